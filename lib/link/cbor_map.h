/*
 * cbor_map: strict reading of one CBOR map, over libcbor.
 *
 * Invariants
 *  1. link_map_open() accepts deterministic CBOR (RFC 8949 section 4.2.1) of unsigned integers,
 *     byte and text strings, arrays, maps with ascending integer keys, and booleans; at most
 *     LINK_MAP_DEPTH deep; nothing after it. It checks sizes before libcbor allocates by them, and
 *     compares what it decoded, encoded again, with what came.
 *  2. The getters take members in order. What is missing, of another type or out of bounds
 *     makes the map bad; once bad it stays so, and getters return 0. Ask link_map_end() once.
 */
#ifndef LINK_CBOR_MAP_H
#define LINK_CBOR_MAP_H

#include "base/buf.h"

#include <cbor.h>

#define LINK_MAP_DEPTH 4

struct link_map {
    const struct cbor_pair *pairs;
    size_t left;
    bool bad;
};

/* Decodes one map. *root is freed by link_map_close. Errors: ERR_FORMAT. */
MUST_USE int link_map_open(const uint8_t *bytes, size_t len, cbor_item_t **root);
void link_map_close(cbor_item_t *root);

/* Starts reading an item; one that is not a map (or NULL) is bad from the start. */
void link_map_init(struct link_map *m, const cbor_item_t *item);

/* True when the next member has this key. */
bool link_map_has(const struct link_map *m, uint64_t key);

/* The next member's value, whatever its type; NULL when its key is another one. */
const cbor_item_t *link_map_item(struct link_map *m, uint64_t key);

uint64_t link_map_uint(struct link_map *m, uint64_t key, uint64_t max);
bool link_map_bool(struct link_map *m, uint64_t key);
/* Copies min to max bytes to out; returns how many. */
size_t link_map_bytes(struct link_map *m, uint64_t key, void *out, size_t min, size_t max);
/* Copies 1 to max printable ASCII characters and a NUL to out, which holds max + 1. */
void link_map_text(struct link_map *m, uint64_t key, char *out, size_t max);
/* An array of at most max unsigned integers of at most limit each; returns how many. */
size_t link_map_uints(struct link_map *m, uint64_t key, uint32_t *out, size_t max, uint64_t limit);

/* ERR_FORMAT when the map is bad or has members left. */
MUST_USE int link_map_end(const struct link_map *m);

#endif
