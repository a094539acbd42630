#!/bin/sh
# Judges a device certificate with programs that share no code with ours.
#
# usage: certificates.sh DIR SERIAL
# DIR holds root.pem, issuing.pem, device.pem, stranger.pem (the root of another station line).
# Exits 0 when each judge accepts what is right and refuses what is wrong.
set -eu
cd "$1"
serial=$2

fail() { echo "certificates.sh: $*" >&2; exit 1; }

openssl verify -x509_strict -CAfile root.pem -untrusted issuing.pem device.pem >/dev/null ||
    fail "openssl verify -x509_strict refuses the chain"
openssl verify -x509_strict -CAfile root.pem issuing.pem >/dev/null ||
    fail "openssl verify -x509_strict refuses the issuing CA"
! openssl verify -x509_strict -CAfile stranger.pem -untrusted issuing.pem device.pem >/dev/null 2>&1 ||
    fail "openssl verify accepts the chain under a stranger's root"
! openssl verify -x509_strict -CAfile root.pem device.pem >/dev/null 2>&1 ||
    fail "openssl verify accepts the device without its issuing CA"

text=$(openssl x509 -in device.pem -noout -text -nameopt RFC2253,sname)
echo "$text" | grep -q "serialNumber=$serial" || fail "openssl shows no subject serialNumber $serial"
echo "$text" | grep -q "Not After : Dec 31 23:59:59 9999 GMT" || fail "openssl shows another notAfter"
echo "$text" | grep -q "1.3.6.1.5.5.7.8.4" || fail "openssl shows no hardware module name"
# The otherName is opaque to openssl, so its bytes are looked at: OCTET STRING, length, serial.
openssl asn1parse -in device.pem | grep -q ":99991231235959Z" || fail "notAfter is no GeneralizedTime"

if command -v certtool >/dev/null 2>&1; then
    cat device.pem issuing.pem >chain.pem
    certtool --verify --load-ca-certificate root.pem --infile chain.pem >verdict.txt 2>&1 ||
        { cat verdict.txt >&2; fail "certtool refuses the chain"; }
    ! certtool --verify --load-ca-certificate stranger.pem --infile chain.pem >/dev/null 2>&1 ||
        fail "certtool accepts the chain under a stranger's root"
    certtool --certificate-info --infile device.pem | grep -q "serialNumber=$serial" ||
        fail "certtool shows no subject serialNumber $serial"
else
    echo "certificates.sh: certtool is missing (package gnutls-bin): judged by openssl alone" >&2
fi
