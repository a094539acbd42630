/*
 * check: what the vault and the checker say to each other.
 *
 * The vault sends the vendor roots, each a message of one DER certificate, and a message of one zero
 * byte. Then it sends a chain as the line passed it on, and the checker answers with one message of
 * WIRE_CHECK_SIZE bytes:
 *
 *   u8 verdict ‖ u16 reason ‖ u16 algorithm ‖ key (65 bytes)
 *
 * The key is zero unless the verdict is good.
 */
#ifndef STATION_WIRE_CHECK_H
#define STATION_WIRE_CHECK_H

#include "agent/ids.h"
#include "base/buf.h"

#define WIRE_CHECK_SIZE (1 + 2 + 2 + IMPRINT_P256_POINT_SIZE)

enum wire_check_verdict {
    WIRE_CHECK_GOOD = 1,
    WIRE_CHECK_MALFORMED = 2, /* not certificates, too many, or not each signed by the next */
    WIRE_CHECK_UNTRUSTED = 3, /* no valid path to a vendor root; reason is an X509_V_ERR_* */
    WIRE_CHECK_UNFIT = 4      /* a valid path to a certificate that devices cannot have */
};

struct wire_check {
    uint8_t verdict;
    uint16_t reason;
    uint16_t algorithm; /* IMPRINT_ALG_P256 */
    uint8_t point[IMPRINT_P256_POINT_SIZE];
};

void wire_put_check(struct buf *m, const struct wire_check *v);

/* ERR_FORMAT on any deviation: a good verdict without a P-256 key is one. */
MUST_USE int wire_get_check(struct reader *r, struct wire_check *v);

#endif
