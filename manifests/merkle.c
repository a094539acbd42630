#include "manifests/merkle.h"

#include <string.h>

void merkle_leaf(const void *leaf, size_t len, struct merkle_hash *out)
{
    struct sha256 *s = sha256_new();

    sha256_update(s, "\x00", 1);
    sha256_update(s, leaf, len);
    sha256_final(s, out->bytes);
}

void merkle_node(const struct merkle_hash *left, const struct merkle_hash *right,
                 struct merkle_hash *out)
{
    uint8_t pair[1 + 2 * SHA256_SIZE] = {0x01};

    memcpy(pair + 1, left->bytes, SHA256_SIZE);
    memcpy(pair + 1 + SHA256_SIZE, right->bytes, SHA256_SIZE);
    sha256(pair, sizeof pair, out->bytes);
}

static int has_level(uint64_t size, size_t level)
{
    return (int)(size >> level & 1);
}

void merkle_push(struct merkle_tree *tree, const struct merkle_hash *leaf)
{
    struct merkle_hash carry = *leaf;
    size_t level = 0;

    /* Adding one to the size carries past every set bit: each such subtree is joined. */
    for (; has_level(tree->size, level); level++)
        merkle_node(&tree->node[level], &carry, &carry);
    tree->node[level] = carry;
    tree->size++;
}

/* Joins the subtrees below a level, smallest first. False when there are none. */
static int fold_below(const struct merkle_tree *tree, size_t limit, struct merkle_hash *out)
{
    int any = 0;

    for (size_t level = 0; level < limit; level++) {
        if (!has_level(tree->size, level))
            continue;
        if (any)
            merkle_node(&tree->node[level], out, out);
        else
            *out = tree->node[level];
        any = 1;
    }
    return any;
}

void merkle_root(const struct merkle_tree *tree, struct merkle_hash *root)
{
    if (!fold_below(tree, MERKLE_LEVELS, root))
        sha256("", 0, root->bytes);
}

size_t merkle_frontier(const struct merkle_tree *tree, struct merkle_hash out[MERKLE_LEVELS])
{
    size_t count = 0;

    for (size_t level = MERKLE_LEVELS; level-- > 0;)
        if (has_level(tree->size, level))
            out[count++] = tree->node[level];
    return count;
}

int merkle_restore(struct merkle_tree *tree, uint64_t size, const struct merkle_hash *frontier,
                   size_t count)
{
    size_t next = 0;

    if (count != (size_t)__builtin_popcountll(size))
        return ERR_FORMAT;
    *tree = (struct merkle_tree){.size = size};
    for (size_t level = MERKLE_LEVELS; level-- > 0;)
        if (has_level(size, level))
            tree->node[level] = frontier[next++];
    return 0;
}

void merkle_prover_init(struct merkle_prover *p, const struct merkle_tree *start, uint64_t index)
{
    *p = (struct merkle_prover){.tree = *start, .index = index};
}

/* True when the complete subtree of this level that begins at first holds the leaf. */
static int holds(const struct merkle_prover *p, uint64_t first, size_t level)
{
    return p->index >= first && p->index - first < UINT64_C(1) << level;
}

void merkle_prover_push(struct merkle_prover *p, const struct merkle_hash *leaf)
{
    struct merkle_tree *tree = &p->tree;
    struct merkle_hash carry = *leaf;
    uint64_t first = tree->size; /* where the subtree in carry begins */
    size_t level = 0;

    for (; has_level(tree->size, level); level++) {
        uint64_t left = first - (UINT64_C(1) << level);

        if (holds(p, first, level))
            p->path[p->len++] = tree->node[level];
        else if (holds(p, left, level))
            p->path[p->len++] = carry;
        merkle_node(&tree->node[level], &carry, &carry);
        first = left;
    }
    tree->node[level] = carry;
    tree->size++;
}

int merkle_prover_finish(struct merkle_prover *p)
{
    size_t own = p->len;
    struct merkle_hash right;

    if (p->index >= p->tree.size)
        return ERR_MISSING;
    if (fold_below(&p->tree, own, &right))
        p->path[p->len++] = right;
    for (size_t level = own + 1; level < MERKLE_LEVELS; level++)
        if (has_level(p->tree.size, level))
            p->path[p->len++] = p->tree.node[level];
    return 0;
}

static int hash_differs(const struct merkle_hash *a, const struct merkle_hash *b)
{
    return !sha256_equal(a->bytes, b->bytes);
}

int merkle_verify_inclusion(uint64_t index, uint64_t size, const struct merkle_hash *leaf,
                            const struct merkle_hash *proof, size_t count,
                            const struct merkle_hash *root)
{
    struct merkle_hash hash = *leaf;
    uint64_t node, last;

    if (index >= size)
        return ERR_INTEGRITY;
    node = index;
    last = size - 1;
    for (size_t i = 0; i < count; i++) {
        if (last == 0)
            return ERR_INTEGRITY; /* more hashes than levels */
        if ((node & 1) || node == last) {
            merkle_node(&proof[i], &hash, &hash);
            /* A right edge that is not complete has no sibling on these levels. */
            while (!(node & 1) && node) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            merkle_node(&hash, &proof[i], &hash);
        }
        node >>= 1;
        last >>= 1;
    }
    return last || hash_differs(&hash, root) ? ERR_INTEGRITY : 0;
}

/* The walk of RFC 9162 section 2.1.4.2, from the node that both trees share. */
static int walk_consistency(uint64_t node, uint64_t last, const struct merkle_hash *seed,
                            const struct merkle_hash *root1, const struct merkle_hash *root2,
                            const struct merkle_hash *proof, size_t count)
{
    struct merkle_hash old = *seed, new = *seed;

    for (size_t i = 0; i < count; i++) {
        if (last == 0)
            return ERR_INTEGRITY;
        if ((node & 1) || node == last) {
            merkle_node(&proof[i], &old, &old);
            merkle_node(&proof[i], &new, &new);
            while (!(node & 1) && node) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            merkle_node(&new, &proof[i], &new);
        }
        node >>= 1;
        last >>= 1;
    }
    return last || hash_differs(&old, root1) || hash_differs(&new, root2) ? ERR_INTEGRITY : 0;
}

int merkle_verify_consistency(uint64_t size1, uint64_t size2, const struct merkle_hash *root1,
                              const struct merkle_hash *root2, const struct merkle_hash *proof,
                              size_t count)
{
    uint64_t node = size1 - 1, last = size2 - 1;

    if (size1 == 0 || size1 > size2)
        return ERR_INTEGRITY;
    if (size1 == size2)
        return count || hash_differs(root1, root2) ? ERR_INTEGRITY : 0;
    if (count == 0)
        return ERR_INTEGRITY;
    for (; node & 1; node >>= 1)
        last >>= 1;
    /* A complete old tree is a node of the new one; its root is not repeated in the proof. */
    if (node == 0)
        return walk_consistency(node, last, root1, root1, root2, proof, count);
    return walk_consistency(node, last, &proof[0], root1, root2, proof + 1, count - 1);
}
