/*
 * bench_device: a device without a link, for a benchmark of the station alone. It opens what it is
 * given and signs with the agent's own functions; what it believes of the station it does not check.
 */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include "agent/agent.h"
#include "station/wire/wire.h"

struct bench_device {
    struct imprint_agent_crypto crypto;
    struct wire_hello hello;
    uint8_t transport[IMPRINT_P256_SCALAR_SIZE], key[IMPRINT_P256_SCALAR_SIZE];
    struct buf x;
};

/* bench_device_done in any case. */
MUST_USE int bench_device_init(struct bench_device *d, struct error *err);
void bench_device_done(struct bench_device *d);

/* Makes it another one: new chip id and transport key, in d->hello. */
MUST_USE int bench_device_renew(struct bench_device *d, struct error *err);

/* Takes the identity of a plan of suite 1. blob: its wrapped key, which is overwritten. */
MUST_USE int bench_device_take(struct bench_device *d, const struct wire_plan *plan,
                               struct buf *blob, struct error *err);

/* certificates: the object of the plan, leaf first. */
MUST_USE int bench_device_prove(struct bench_device *d, const struct buf *certificates,
                                const uint8_t nonce[IMPRINT_NONCE_SIZE], struct wire_proof *proof,
                                struct error *err);

#endif
