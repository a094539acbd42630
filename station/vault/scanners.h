/*
 * scanners: the station's barcode scanners, whose bytes the vault reads by itself.
 *
 * An opener of their own (station/opener) opens them and hands them over; the line never has one. A code
 * ends with CR, LF or a tab, or when nothing came for SCANNERS_GAP_MS. A scanner that was unplugged is opened
 * again when it is back.
 *
 * A printed code may hold the end of a code within it, and so say several. A code counts only when
 * nothing followed its end for SCANNERS_QUIET_MS, and nothing is there to be read after that time: what
 * comes together is one code, which is refused. So are a control character, and a code without an end
 * where the scanner has ended codes before, with what is left of it.
 */
#ifndef STATION_VAULT_SCANNERS_H
#define STATION_VAULT_SCANNERS_H

#include "station/vault/vault.h"

#include <poll.h>

#define SCANNERS_GAP_MS   150
#define SCANNERS_QUIET_MS 50
#define SCANNERS_CUT_MS   1000 /* what comes within this time of a code that was cut belongs to it */
#define SCANNERS_LOOK_MS  100  /* how often scanners_work wants to be called, whatever poll says */
#define SCANNERS_POLLED   (CONFIG_SCANNERS_MAX + 1)

struct scanners;

/* control: the socket of the opener, which stays the caller's; -1: no scanner has a port. NULL: out of memory, or the opener is
 * gone. */
struct scanners *scanners_new(int control);
void scanners_free(struct scanners *s);

/* Where the board sends what is typed there, which becomes the scanners'; -1: there is no board. It is closed where
 * no scanner of the station types there. */
void scanners_type(struct scanners *s, const struct vault *v, int fd);

/* Fills SCANNERS_POLLED entries, and takes what came of them; v->scanning gets the codes. Errors: as
 * scanning_take. */
void scanners_poll(const struct scanners *s, struct pollfd polled[SCANNERS_POLLED]);
MUST_USE int scanners_work(struct scanners *s, struct vault *v,
                           const struct pollfd polled[SCANNERS_POLLED], struct error *err);

#endif
