/*
 * counter: a number in a TPM 2.0 that only grows, and beside it a hash of what it was counted for: no
 * copy of a directory takes either back.
 *
 * Two NV indexes (TPM 2.0 Library, part 1, 37.2): at INDEX one of the type TPM2_NT_COUNTER, at INDEX + 1
 * one of the type TPM2_NT_EXTEND, the chain: chain = SHA-256(chain ‖ link). The number alone would not
 * tell two copies apart that each counted once. Whoever has the owner's authorisation of the TPM can
 * delete both; the same TPM never makes a counter again that is lower than one it had.
 *
 * What proves that the answers come from one TPM is its storage key: a primary ECC key under the
 * owner's seed, made anew each time and the same until the TPM is cleared. Every command is authorised
 * in an HMAC session that is salted to that key, whose name the caller keeps, so that neither another
 * TPM nor whoever sits on the way can answer.
 *
 * Invariants
 *  1. Both are written with the indexes' authorisation alone (AUTHWRITE), and what the TPM has in memory
 *     is never ahead of its flash (not ORDERLY): after a power cut it is what it was.
 *  2. An index that exists is never taken over.
 *  3. Nothing is left in the TPM by counter_close but the indexes. A program that is killed leaves a
 *     session, which a resource manager (/dev/tpmrm0) removes.
 *
 * The owner's authorisation must be empty, as a TPM comes. A TPM that limits the rate of writes is
 * asked again, for ten seconds.
 *
 * Errors of every function: ERR_COUNTER, with the TPM's code in native and a text that says what to
 * do. Without a TPM library at build time every call that opens says so.
 */
#ifndef STATION_COUNTER_H
#define STATION_COUNTER_H

#include "base/error.h"

#include <stdint.h>

#define COUNTER_AUTH_SIZE  32
#define COUNTER_CHAIN_SIZE 32 /* SHA-256 */
#define COUNTER_NAME_SIZE  34 /* u16 hash algorithm (SHA-256), and the hash */
#define COUNTER_INDEX_MIN  0x01000000
#define COUNTER_INDEX_MAX  0x01fffffe /* the chain has the next one */

enum counter_part { COUNTER_NUMBER, COUNTER_CHAIN, COUNTER_PARTS };

/* Which counter: compared each time one is opened. Not secret. */
struct counter_id {
    uint32_t index;                                  /* handle of the NV index of the number */
    uint8_t tpm[COUNTER_NAME_SIZE];                  /* name of the TPM's storage key */
    uint8_t names[COUNTER_PARTS][COUNTER_NAME_SIZE]; /* of the indexes, once they were written */
};

struct counter;

/*
 * Opens the counter of id in the TPM that tcti names, such as "device:/dev/tpmrm0" (a TCTI of
 * tpm2-tss). auth is the indexes' authorisation, which the first counter_read tries.
 */
MUST_USE int counter_open(const char *tcti, const struct counter_id *id,
                          const uint8_t auth[COUNTER_AUTH_SIZE], struct counter **out,
                          struct error *err);

/*
 * Makes both indexes, counts once and extends by zeros, which gives them their first values, and fills
 * id. Errors: also ERR_EXISTS when there is an index of one of these numbers.
 */
MUST_USE int counter_define(const char *tcti, uint32_t index, const uint8_t auth[COUNTER_AUTH_SIZE],
                            struct counter_id *id, struct counter **out, struct error *err);

/* Deletes what counter_define made. The counter stays the caller's to close. */
MUST_USE int counter_remove(struct counter *c, struct error *err);

MUST_USE int counter_read(struct counter *c, uint64_t *number, uint8_t chain[COUNTER_CHAIN_SIZE],
                          struct error *err);

/* Each is on the TPM's flash when it returns. After an error read: it may have been done. */
MUST_USE int counter_extend(struct counter *c, const uint8_t link[COUNTER_CHAIN_SIZE],
                            struct error *err);
MUST_USE int counter_increment(struct counter *c, struct error *err);

void counter_close(struct counter *c); /* NULL is fine */

#endif
