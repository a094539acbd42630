/*
 * wire: bytes in and bytes out: big-endian fields, lp(x), and the part of CBOR that the link uses.
 *
 * Invariants
 *  1. A reader or writer that once failed stays failed: make all calls, then ask `bad` once.
 *  2. A failed read gives 0 or NULL, never a pointer past the end.
 *  3. Only deterministic CBOR (RFC 8949 section 4.2.1) is read: definite lengths and shortest
 *     forms; unsigned integers, byte and text strings, arrays, maps and booleans. As the caller
 *     names every key in turn, keys ascend, none is missing, unknown or repeated.
 */
#ifndef IMPRINT_AGENT_WIRE_H
#define IMPRINT_AGENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum imprint_agent_major {
    IMPRINT_AGENT_UINT = 0,
    IMPRINT_AGENT_BYTES = 2,
    IMPRINT_AGENT_TEXT = 3,
    IMPRINT_AGENT_ARRAY = 4,
    IMPRINT_AGENT_MAP = 5,
    IMPRINT_AGENT_SIMPLE = 7
};

struct imprint_agent_reader {
    const uint8_t *p;
    size_t left;
    bool bad;
};

struct imprint_agent_writer {
    uint8_t *start;
    size_t len;
    size_t cap;
    bool bad;
};

void imprint_agent_read(struct imprint_agent_reader *r, const uint8_t *bytes, size_t len);
void imprint_agent_write(struct imprint_agent_writer *w, uint8_t *room, size_t cap);

uint32_t imprint_agent_load_u32(const uint8_t bytes[4]);
uint32_t imprint_agent_load_u16(const uint8_t bytes[2]);
void imprint_agent_store_u32(uint8_t bytes[4], uint32_t v);
void imprint_agent_store_u16(uint8_t bytes[2], uint32_t v);

/* CRC-32 of IEEE 802.3. Start with 0; feed the result back to go on. */
uint32_t imprint_agent_crc32(uint32_t crc, const uint8_t *bytes, size_t len);

/* Equality in a time that does not depend on the contents. */
bool imprint_agent_equal(const uint8_t *a, const uint8_t *b, size_t len);

/* Clears memory that held a secret; not removed by a compiler that sees no later use. */
void imprint_agent_wipe(void *bytes, size_t len);

/* The next len bytes. */
const uint8_t *imprint_agent_take(struct imprint_agent_reader *r, size_t len);

/* lp(x) with a length of at most max. */
const uint8_t *imprint_agent_take_lp(struct imprint_agent_reader *r, size_t max, size_t *len);

/* The argument of a CBOR head, which must be of this major type and at most max. */
uint32_t imprint_agent_cbor_head(struct imprint_agent_reader *r, enum imprint_agent_major major,
                                 uint32_t max);

/* A CBOR head, which must be this one: so many members, bytes, or this very number. */
void imprint_agent_cbor_exact(struct imprint_agent_reader *r, enum imprint_agent_major major,
                              uint32_t v);

/* A key of a map, which must be this one, and an unsigned integer of at most max. */
uint32_t imprint_agent_cbor_uint(struct imprint_agent_reader *r, uint32_t key, uint32_t max);

/* A key of a map, which must be this one, and a string of 1 to max bytes. */
const uint8_t *imprint_agent_cbor_string(struct imprint_agent_reader *r, uint32_t key,
                                         enum imprint_agent_major major, size_t max, size_t *len);

/* A key of a map, which must be this one, and a byte string without bytes. */
void imprint_agent_cbor_empty(struct imprint_agent_reader *r, uint32_t key);

/* As imprint_agent_cbor_string for byte strings of a fixed length. */
const uint8_t *imprint_agent_cbor_fixed(struct imprint_agent_reader *r, uint32_t key, size_t len);

void imprint_agent_put(struct imprint_agent_writer *w, const void *bytes, size_t len);
void imprint_agent_put_u8(struct imprint_agent_writer *w, uint32_t v);
void imprint_agent_put_u16(struct imprint_agent_writer *w, uint32_t v);
void imprint_agent_put_lp(struct imprint_agent_writer *w, const void *bytes, size_t len);
/* lp(u16 algorithm ‖ bytes): a key or signature as transcripts hold it. */
void imprint_agent_put_tagged(struct imprint_agent_writer *w, uint32_t algorithm,
                              const uint8_t *bytes, size_t len);
void imprint_agent_put_head(struct imprint_agent_writer *w, enum imprint_agent_major major,
                            uint32_t v);
/* A key of a map, and the head of its value, whose contents follow. */
void imprint_agent_put_open(struct imprint_agent_writer *w, uint32_t key,
                            enum imprint_agent_major major, uint32_t v);
/* A key or signature as messages hold it: its algorithm under key, its bytes under key + 1. */
void imprint_agent_put_pair(struct imprint_agent_writer *w, uint32_t key, uint32_t algorithm,
                            const uint8_t *bytes, size_t len);
void imprint_agent_put_uint(struct imprint_agent_writer *w, uint32_t key, uint32_t v);
void imprint_agent_put_bool(struct imprint_agent_writer *w, uint32_t key, bool v);
void imprint_agent_put_string(struct imprint_agent_writer *w, uint32_t key,
                              enum imprint_agent_major major, const void *bytes, size_t len);

#endif
