/*
 * probe: what a device says when it is asked who it is, and how that travels from the confined process that
 * asks to the command that judges.
 *
 * Nothing here is believed: every member is what the device chose to say, cut to its size.
 *
 * On the channel the command sends a question; one or two messages answer: the probe, or why there is none;
 * then, where the device was asked for its proof, a zero byte and the first PROBE_CERTIFICATES_MAX bytes of
 * its certificates.
 */
#ifndef STATION_VERIFY_PROBE_H
#define STATION_VERIFY_PROBE_H

#include "agent/ids.h"
#include "base/buf.h"

#define PROBE_CERTIFICATES_MAX 8191 /* bytes: what a message of the channel has room for */

/* Random numbers that the command drew: the proof must be over one that nobody knew before. */
struct probe_question {
    uint8_t hello[IMPRINT_NONCE_SIZE];
    uint8_t prove[IMPRINT_NONCE_SIZE];
};

struct probe {
    uint8_t chip[IMPRINT_CHIP_ID_MAX];
    size_t chip_len;                         /* 1 or more */
    char firmware[IMPRINT_FIRMWARE_MAX + 1]; /* printable ASCII */
    bool debug;                              /* a debug port is open */
    uint8_t state; /* enum imprint_tx_state; what follows: of IMPRINT_TX_COMMITTED */
    uint8_t tx[IMPRINT_TX_SIZE];
    char serial[IMPRINT_SERIAL_MAX + 1]; /* printable ASCII */
    bool proved;                         /* it answered PROVE; otherwise it refused */
    uint8_t lifecycle;                   /* as the proof says */
    uint32_t commit_count;
    uint16_t proof_alg; /* enum imprint_algorithm */
    uint16_t proof_len;
    uint8_t proof[IMPRINT_SIG_MAX];
};

void probe_question_put(struct buf *out, const struct probe_question *q);
MUST_USE int probe_question_get(const uint8_t *bytes, size_t len, struct probe_question *q);

void probe_put(struct buf *out, const struct probe *p);
/* Why there is none: code is that of the error. */
void probe_put_failure(struct buf *out, const struct error *why);

/* Errors: that which the asker met, with its text; ERR_PROTOCOL for bytes that are no such message. */
MUST_USE int probe_get(const uint8_t *bytes, size_t len, struct probe *p, struct error *err);

#endif
