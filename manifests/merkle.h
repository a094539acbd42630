/*
 * merkle: the append-only log of RFC 6962 (section 2.1) with SHA-256, in constant memory.
 *
 * Invariants
 *  1. A leaf hash is SHA-256(0x00 ‖ leaf), a node is SHA-256(0x01 ‖ left ‖ right): a leaf can never
 *     pass for a node.
 *  2. A tree is kept as its frontier: the roots of the complete subtrees along its right edge, one
 *     for each bit that is set in its size. It says all that is needed to append and to compute the
 *     root, and nothing about what was appended.
 *  3. A proof is a list of hashes from the leaf towards the root, as RFC 6962 orders it.
 *
 * Nothing here allocates or keeps a pointer.
 */
#ifndef MANIFESTS_MERKLE_H
#define MANIFESTS_MERKLE_H

#include "base/error.h"
#include "pki/digest.h"

#include <stddef.h>
#include <stdint.h>

#define MERKLE_LEVELS 64 /* most hashes in a frontier or in an inclusion proof */

struct merkle_hash {
    uint8_t bytes[SHA256_SIZE];
};

/* Plain data; may be copied. Zeroed, it is the empty tree. */
struct merkle_tree {
    uint64_t size;                          /* leaves so far */
    struct merkle_hash node[MERKLE_LEVELS]; /* node[i] counts while bit i of size is set */
};

void merkle_leaf(const void *leaf, size_t len, struct merkle_hash *out);
void merkle_node(const struct merkle_hash *left, const struct merkle_hash *right,
                 struct merkle_hash *out);

/* Appends a leaf hash. */
void merkle_push(struct merkle_tree *tree, const struct merkle_hash *leaf);

/* The root; of the empty tree SHA-256 of nothing. */
void merkle_root(const struct merkle_tree *tree, struct merkle_hash *root);

/* The frontier, largest subtree first. Returns how many hashes there are. */
size_t merkle_frontier(const struct merkle_tree *tree, struct merkle_hash out[MERKLE_LEVELS]);

/* The tree of a size and its frontier. Errors: ERR_FORMAT when the count does not fit the size. */
MUST_USE int merkle_restore(struct merkle_tree *tree, uint64_t size,
                            const struct merkle_hash *frontier, size_t count);

/*
 * Makes the inclusion proof (RFC 6962 section 2.1.1) of the leaf at index while the leaves stream
 * by: start from the tree before any leaf up to index, push each leaf hash, then finish.
 */
struct merkle_prover {
    struct merkle_tree tree;
    uint64_t index;
    size_t len; /* hashes in path; also the level of the subtree that holds the leaf */
    struct merkle_hash path[MERKLE_LEVELS];
};

/* start->size is at most index. */
void merkle_prover_init(struct merkle_prover *p, const struct merkle_tree *start, uint64_t index);
void merkle_prover_push(struct merkle_prover *p, const struct merkle_hash *leaf);

/*
 * Appends what lies outside the leaf's own subtree; then path and len are the proof for the tree's
 * size at this moment. Errors: ERR_MISSING when the leaf was not pushed yet.
 */
MUST_USE int merkle_prover_finish(struct merkle_prover *p);

/* Errors: ERR_INTEGRITY unless the proof shows leaf at index in the tree of size and root. */
MUST_USE int merkle_verify_inclusion(uint64_t index, uint64_t size, const struct merkle_hash *leaf,
                                     const struct merkle_hash *proof, size_t count,
                                     const struct merkle_hash *root);

/*
 * RFC 6962 section 2.1.2: that the tree of size2 and root2 extends the tree of size1 and root1.
 * Errors: ERR_INTEGRITY when it is not shown. size1 of 0 is refused as well: it would show nothing.
 */
MUST_USE int merkle_verify_consistency(uint64_t size1, uint64_t size2,
                                       const struct merkle_hash *root1,
                                       const struct merkle_hash *root2,
                                       const struct merkle_hash *proof, size_t count);

#endif
