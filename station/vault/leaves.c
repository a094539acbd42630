#include "station/vault/leaves.h"

#include "station/store/whitelist.h"

static int push_leaf(void *context, const void *line, size_t line_len, const void *evidence,
                     size_t evidence_len, struct error *err)
{
    struct merkle_hash leaf;

    (void)evidence;
    (void)evidence_len;
    (void)err;
    merkle_leaf(line, line_len, &leaf);
    merkle_push(context, &leaf);
    return 0;
}

int leaves_push(struct store *store, int64_t first, int64_t count, struct merkle_tree *tree,
                struct error *err)
{
    return whitelist_each(store, first, count, push_leaf, tree, err);
}
