#!/bin/sh
# Judges whether a device certificate could pass as a manifest signer, with stock openssl.
#
# usage: manifest-signer.sh DIR
# DIR holds manifest-root.pem, device-root.pem, message, signer.cms (signed by the manifest signer)
# and device.cms (signed by a device, its issuing CA included); both DER, detached.
set -eu
cd "$1"

fail() { echo "manifest-signer.sh: $*" >&2; exit 1; }
verify() { openssl cms -verify -cades -binary -inform DER -in "$1" -content message -CAfile "$2" -out /dev/null 2>/dev/null; }

verify signer.cms manifest-root.pem || fail "the manifest signer does not verify under its root"
! verify signer.cms device-root.pem || fail "the manifest signer verifies under the device root"
! verify device.cms manifest-root.pem || fail "a device certificate verifies as a manifest signer"
# What protects is the separate root: under the device root the same signature is a good one.
verify device.cms device-root.pem || fail "device.cms is no good signature at all: nothing was shown"
