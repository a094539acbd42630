/*
 * scanning: what scanners say while the line runs, and what follows from it.
 *
 *   SLOT:S1      the scanner's next code is about slot S1; so it is for 30 seconds
 *   ACK:S1       slot S1, which failed too often (vault/slots.h), goes on
 *   then a code  a slot whose device waits for its label: the label is compared with the serial of the
 *                credential that was read back from there. Any other slot is armed, where serials are
 *                scanned: the device that begins there within 30 seconds gets this serial
 *   a code alone where one slot of the scanner waits for its label, and the code is that label: as with
 *                SLOT. Otherwise it is refused: which slot it is about would be a guess
 *
 * Invariants
 *  1. The vault reads the scanners (vault/scanners.h) and compares by itself. The line is told what
 *     happened, and can neither scan, nor choose a serial, nor say that a label fits.
 *  2. A scanner arms, and checks, slots of its own group alone.
 *  3. A code without slot can only confirm. A code after SLOT that is another unit's condemns: the
 *     credential is burned at once, in a transaction of its own, and is never whitelisted. Only a serial
 *     that the order could have does so, and only where the slot asked for that very label when SLOT was
 *     scanned already: what happened between the two codes changes nothing but that both are refused.
 *  4. What is armed is for one device, and for 30 seconds by the monotonic clock.
 */
#ifndef STATION_VAULT_SCANNING_H
#define STATION_VAULT_SCANNING_H

#include "station/vault/session.h"
#include "station/vault/vault.h"
#include "station/wire/wire.h"

#define SCANNING_MS 30000

struct scanning;

/* For one run. NULL: out of memory. */
struct scanning *scanning_new(void);
void scanning_free(struct scanning *s);

/* One code of the scanner with this number in the station's configuration. What is wrong with it becomes
 * something to tell. Errors: those of the store and the HSM, after which nothing may be issued. */
MUST_USE int scanning_take(struct vault *v, size_t scanner, const char *code, size_t len,
                           int64_t now_ms, struct error *err);

/* Of a code that is not taken, why. */
void scanning_refuse(struct scanning *s, const char *text);

/* A scanner came or went, or cannot be opened: told to people. */
void scanning_tell(struct scanning *s, const char *text);

/* Ends what is over by now. */
void scanning_expire(struct scanning *s, int64_t now_ms);

/* The oldest thing that the line was not told yet; kind WIRE_SCAN_NONE when there is none. */
void scanning_next(struct scanning *s, struct wire_scan *out);

/* The serial for which a slot is armed, or NULL. s may be NULL. */
const char *scanning_serial(struct scanning *s, const char *slot);

/* Whether a new device in the slot has to wait until its code was scanned: a label from before the line
 * began whose unit passed is none for the next. */
bool scanning_is_awaited(const struct vault *v, const char *slot);

/* The slot's device has what it was armed for; nothing is armed there until scanning_forget. s may be
 * NULL. */
void scanning_used(struct scanning *s, const char *slot);

/* The device in the slot was refused, and what was scanned is not kept for the next: told. s may be NULL. */
void scanning_refused(struct scanning *s, const char *slot);

enum scanning_label { LABEL_AWAITED, LABEL_FITS, LABEL_OTHER };

/* What is known of the label of a device that proved the session's credential: the first call asks for
 * it. */
enum scanning_label scanning_label(struct scanning *s, const struct session *session);

/* Refuses what scanning_label found to be another unit's. Errors: ERR_LABEL_MISMATCH. */
MUST_USE int scanning_check(struct scanning *s, const struct session *session, struct error *err);

/* The session is over, or is about no device any more. s may be NULL. */
void scanning_forget(struct scanning *s, const struct session *session);

#endif
