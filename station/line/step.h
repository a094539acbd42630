/*
 * step: what one attempt with a device is made of (slot.h), a file for each step, in their order:
 *
 *   step_hello     one OPEN, HELLO round: what the vault wants done is in s->plan
 *   step_scan      the wait for a scanner, before a claim or before a record
 *   step_plan      HELLO, scans and ABORT, until there is something to do
 *   step_keygen    the device makes its key, where the plan says so
 *   step_deliver   BEGIN, PUT, COMMIT
 *   step_prove     PROVE, READ, and where the vault wants it the label, LOCK and PROVE again
 *   step_farewell  DECOMMISSION, in place of the three before
 *
 * Each returns 0, what the device or the vault said, ERR_GONE when either went, or ERR_INTERRUPTED
 * when *stop came before anything was delivered, and tells nobody of it.
 */
#ifndef STATION_LINE_STEP_H
#define STATION_LINE_STEP_H

#include "station/line/slot.h"

/* ---- the steps ---- */

/* Waits wait_ms, or SLOT_FOR_EVER, for the device to answer. Errors also: ERR_TIMEOUT; ERR_PROTOCOL for
 * babble that outlasts a boot. */
MUST_USE int step_hello(struct slot *s, int wait_ms, struct error *err);

/* As step_hello; s->plan is then one to be carried out: neither ABORT nor SCAN. */
MUST_USE int step_plan(struct slot *s, int wait_ms, struct error *err);

/* s->plan, KEYGEN before, is then DELIVER. A key that power was cut off from writing is cleared once. */
MUST_USE int step_keygen(struct slot *s, struct error *err);

/* Every object from where the device has it already. */
MUST_USE int step_deliver(struct slot *s, struct error *err);

/* s->waits becomes true for a device that another run locks. */
MUST_USE int step_prove(struct slot *s, struct error *err);

/* Ends with a look whether the device did forget. */
MUST_USE int step_farewell(struct slot *s, struct error *err);

/* ---- the wait for a scan, which the vault reads ---- */

enum step_awaited { SCAN_CAME, SCAN_DEVICE_LEFT, SCAN_FAILED /* err says why */ };

/* Until a scanner said something about this slot. passed: the device has its certificate; of one that has
 * not, nothing begins while it is paused. The link's limits are then those of a look: step_restore_limits. */
enum step_awaited step_await_scan(struct slot *s, bool passed, struct error *err);

/* Asks people for the scan: of the unit's label, or of slot and unit. */
void step_tell_scan(struct slot *s, bool label);

/* ---- what steps share ---- */

/* Errors: ERR_INTERRUPTED when the line is to stop. */
MUST_USE int step_check_stop(const struct slot *s, struct error *err);

/* A fifth of a second, so that waiting keeps no processor busy. */
void step_rest(void);

/* As step_rest, on the device's port: what comes is dropped. Errors: ERR_GONE, ERR_IO. */
MUST_USE int step_idle(struct slot *s, struct error *err);

/* The link waits and repeats again as the job says, after a look at the device. */
void step_restore_limits(struct slot *s);

/* out, of len bytes, is set where the key or signature has this length; *has tells. */
void step_copy_key(const struct link_key *key, uint8_t *out, size_t len, uint8_t *has);

#endif
