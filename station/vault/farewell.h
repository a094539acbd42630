/*
 * farewell: the owner takes the identity of the device in a slot away, so that the device can be
 * provisioned again or leaves the field (DECOMMISSION of docs/device-link.md).
 *
 * For each device the owner signs a statement that names its chip and its certificate. In the folder
 * v->farewells lie NAME.sig, the signature as openssl writes it, by the name of the device's serial
 * (pki/serial_name.h). Where there is none, NAME.tbs is written: the bytes to be signed.
 *
 * Invariants
 *  1. The record is committed and anchored before the signature leaves: from then on the whitelist
 *     does not hold the device, whatever becomes of it. A device that lost its power or its answer
 *     gets the same signature again.
 *  2. Nothing is taken away without a signature of the key that the order named to its devices.
 */
#ifndef STATION_VAULT_FAREWELL_H
#define STATION_VAULT_FAREWELL_H

#include "station/vault/session.h"

/* Whether the job and its order can take identities away at all. Errors: ERR_REFUSED. */
MUST_USE int farewell_check(const struct vault *v, struct error *err);

/*
 * In place of plan_device. Fills s->claim, s->credential and s->farewell. Errors that concern the
 * device: ERR_REFUSED (no identity, one that was not proven, or no signature yet), ERR_DUPLICATE,
 * ERR_SIGNATURE, and those of plan_device's first looks. Others are the station's own.
 */
MUST_USE int farewell_plan(struct vault *v, struct session *s, struct wire_plan *plan,
                           struct error *err);

/* Object 0 of such a plan. Errors: ERR_PROTOCOL for another. */
MUST_USE int farewell_object(const struct session *s, size_t index, struct buf *out,
                             struct error *err);

#endif
