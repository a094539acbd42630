/* The log: RFC 6962 against third-party vectors, and our own streaming against the definition. */
#include "check_util.h"
#include "vectors.h"

#include "base/codec.h"
#include "manifests/merkle.h"

#include <string.h>

#define LEAVES 70

static struct merkle_hash leaves[LEAVES];

static void fill_leaves(void)
{
    for (uint8_t i = 0; i < LEAVES; i++)
        merkle_leaf(&i, 1, &leaves[i]);
}

/* MTH as RFC 6962 section 2.1 writes it down. */
static void slow_root(size_t from, size_t count, struct merkle_hash *out)
{
    struct merkle_hash left, right;
    size_t k = 1;

    if (count == 1) {
        *out = leaves[from];
        return;
    }
    while (2 * k < count)
        k *= 2;
    slow_root(from, k, &left);
    slow_root(from + k, count - k, &right);
    merkle_node(&left, &right, out);
}

/* PROOF as RFC 6962 section 2.1.2 writes it down. Returns the number of hashes. */
static size_t slow_consistency(size_t from, size_t m, size_t n, bool whole, struct merkle_hash *out)
{
    size_t k = 1, made;

    if (m == n) {
        if (whole)
            return 0;
        slow_root(from, m, out);
        return 1;
    }
    while (2 * k < n)
        k *= 2;
    if (m <= k) {
        made = slow_consistency(from, m, k, whole, out);
        slow_root(from + k, n - k, out + made);
    } else {
        made = slow_consistency(from + k, m - k, n - k, false, out);
        slow_root(from, k, out + made);
    }
    return made + 1;
}

START_TEST(leaf_and_node_hashes_are_those_of_rfc_6962)
{
    struct merkle_hash leaf, node;
    struct merkle_tree empty = {0};
    char hex[65];

    merkle_leaf("", 0, &leaf);
    hex_encode(leaf.bytes, 32, hex);
    ck_assert_str_eq(hex, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    merkle_root(&empty, &leaf);
    hex_encode(leaf.bytes, 32, hex);
    ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    memset(&leaf, 0, sizeof leaf);
    merkle_node(&leaf, &leaf, &node);
    merkle_leaf(&(uint8_t[64]){0}, 64, &leaf);
    ck_assert_mem_ne(&node, &leaf, sizeof node);
}
END_TEST

START_TEST(a_streamed_tree_has_the_root_of_the_definition_at_every_size)
{
    struct merkle_tree tree = {0}, again;
    struct merkle_hash root, expected, frontier[MERKLE_LEVELS];

    fill_leaves();
    for (size_t n = 1; n <= LEAVES; n++) {
        size_t count;

        merkle_push(&tree, &leaves[n - 1]);
        merkle_root(&tree, &root);
        slow_root(0, n, &expected);
        ck_assert_mem_eq(&root, &expected, sizeof root);
        count = merkle_frontier(&tree, frontier);
        ck_assert_int_eq(merkle_restore(&again, n, frontier, count), 0);
        merkle_root(&again, &root);
        ck_assert_mem_eq(&root, &expected, sizeof root);
        ck_assert_int_eq(merkle_restore(&again, n, frontier, count + 1), ERR_FORMAT);
        ck_assert_int_eq(merkle_restore(&again, n, frontier, count - 1), ERR_FORMAT);
    }
}
END_TEST

START_TEST(the_frontier_is_largest_first)
{
    struct merkle_tree tree = {0};
    struct merkle_hash frontier[MERKLE_LEVELS], expected;

    fill_leaves();
    for (size_t n = 0; n < 7; n++)
        merkle_push(&tree, &leaves[n]);
    ck_assert_uint_eq(merkle_frontier(&tree, frontier), 3);
    slow_root(0, 4, &expected);
    ck_assert_mem_eq(&frontier[0], &expected, 32);
    slow_root(4, 2, &expected);
    ck_assert_mem_eq(&frontier[1], &expected, 32);
    ck_assert_mem_eq(&frontier[2], &leaves[6], 32);
}
END_TEST

/* The proof of index in a tree of size, started from the tree of before leaves. */
static void prove(size_t before, size_t index, size_t size, struct merkle_prover *p)
{
    struct merkle_tree start = {0};

    for (size_t i = 0; i < before; i++)
        merkle_push(&start, &leaves[i]);
    merkle_prover_init(p, &start, index);
    for (size_t i = before; i < size; i++)
        merkle_prover_push(p, &leaves[i]);
    ck_assert_int_eq(merkle_prover_finish(p), 0);
}

START_TEST(a_streamed_inclusion_proof_verifies_for_its_leaf_only)
{
    struct merkle_prover p;
    struct merkle_hash root;

    fill_leaves();
    for (size_t size = 1; size <= 40; size++)
        for (size_t index = 0; index < size; index++) {
            slow_root(0, size, &root);
            prove(index / 2, index, size, &p);
            ck_assert_int_eq(
                merkle_verify_inclusion(index, size, &leaves[index], p.path, p.len, &root), 0);
            ck_assert_int_eq(
                merkle_verify_inclusion(index, size, &leaves[index + 1], p.path, p.len, &root),
                ERR_INTEGRITY);
            ck_assert_int_eq(
                merkle_verify_inclusion(index + 1, size, &leaves[index], p.path, p.len, &root),
                ERR_INTEGRITY);
        }
}
END_TEST

START_TEST(a_leaf_that_was_not_pushed_has_no_proof)
{
    struct merkle_tree start = {0};
    struct merkle_prover p;

    fill_leaves();
    merkle_prover_init(&p, &start, 2);
    merkle_prover_push(&p, &leaves[0]);
    merkle_prover_push(&p, &leaves[1]);
    ck_assert_int_eq(merkle_prover_finish(&p), ERR_MISSING);
}
END_TEST

START_TEST(a_consistency_proof_verifies_for_its_two_trees_only)
{
    struct merkle_hash root1, root2, proof[MERKLE_LEVELS];

    fill_leaves();
    for (size_t n = 1; n <= 24; n++)
        for (size_t m = 1; m <= n; m++) {
            size_t count = slow_consistency(0, m, n, true, proof);

            slow_root(0, m, &root1);
            slow_root(0, n, &root2);
            ck_assert_int_eq(merkle_verify_consistency(m, n, &root1, &root2, proof, count), 0);
            ck_assert_int_eq(merkle_verify_consistency(0, n, &root1, &root2, proof, count),
                             ERR_INTEGRITY);
            root1.bytes[0] ^= 1;
            ck_assert_int_eq(merkle_verify_consistency(m, n, &root1, &root2, proof, count),
                             ERR_INTEGRITY);
            root1.bytes[0] ^= 1;
            root2.bytes[31] ^= 1;
            ck_assert_int_eq(merkle_verify_consistency(m, n, &root1, &root2, proof, count),
                             ERR_INTEGRITY);
        }
}
END_TEST

/*
 * A hash out of a vector. Some consistency vectors have roots of other lengths; hashing them keeps
 * what is equal equal and what differs different.
 */
static struct merkle_hash vector_hash(const json_t *value)
{
    const char *text = json_string_value(value) ? json_string_value(value) : "";
    struct merkle_hash hash;
    struct buf bytes;

    buf_init(&bytes, 4096);
    ck_assert_int_eq(base64_decode(text, strlen(text), &bytes), 0);
    if (bytes.len == sizeof hash.bytes)
        memcpy(hash.bytes, bytes.data, sizeof hash.bytes);
    else
        merkle_leaf(bytes.data, bytes.len, &hash); /* not the plain hash: some roots are that */
    buf_done(&bytes);
    return hash;
}

/* Numbers go up to 2^64 - 1, which the parser gives as a float. */
static uint64_t vector_number(const json_t *vector, const char *name)
{
    const json_t *value = json_object_get(vector, name);

    if (json_is_integer(value))
        return (uint64_t)json_integer_value(value);
    ck_assert_msg(json_is_number(value), "%s", name);
    return json_number_value(value) >= 18446744073709551615.0 ? UINT64_MAX
                                                              : (uint64_t)json_number_value(value);
}

static size_t vector_proof(const json_t *vector, struct merkle_hash *proof)
{
    const json_t *list = json_object_get(vector, "proof");
    size_t count = json_array_size(list);

    ck_assert_uint_le(count, MERKLE_LEVELS);
    for (size_t i = 0; i < count; i++)
        proof[i] = vector_hash(json_array_get(list, i));
    return count;
}

/* A leaf or root that is no hash at all cannot even be passed to us. */
static bool is_hash(const json_t *vector, const char *name)
{
    return json_string_length(json_object_get(vector, name)) == 44;
}

static void check_inclusion(const char *path, const json_t *v)
{
    struct merkle_hash proof[MERKLE_LEVELS];
    struct merkle_hash leaf = vector_hash(json_object_get(v, "leafHash"));
    struct merkle_hash root = vector_hash(json_object_get(v, "root"));
    size_t count = vector_proof(v, proof);
    int rc = ERR_FORMAT;

    if (is_hash(v, "leafHash") && is_hash(v, "root"))
        rc = merkle_verify_inclusion(vector_number(v, "leafIdx"), vector_number(v, "treeSize"),
                                     &leaf, proof, count, &root);

    ck_assert_msg((rc != 0) == json_is_true(json_object_get(v, "wantErr")), "%s", path);
}

static void check_consistency(const char *path, const json_t *v)
{
    struct merkle_hash proof[MERKLE_LEVELS];
    struct merkle_hash root1 = vector_hash(json_object_get(v, "root1"));
    struct merkle_hash root2 = vector_hash(json_object_get(v, "root2"));
    size_t count = vector_proof(v, proof);
    int rc = merkle_verify_consistency(vector_number(v, "size1"), vector_number(v, "size2"), &root1,
                                       &root2, proof, count);

    ck_assert_msg((rc != 0) == json_is_true(json_object_get(v, "wantErr")), "%s", path);
}

START_TEST(inclusion_agrees_with_every_vector_of_transparency_dev)
{
    if (vectors_present())
        ck_assert_uint_eq(vectors_each("merkle/inclusion", check_inclusion), 98);
}
END_TEST

START_TEST(consistency_agrees_with_every_vector_of_transparency_dev)
{
    if (vectors_present())
        ck_assert_uint_eq(vectors_each("merkle/consistency", check_consistency), 98);
}
END_TEST

CHECK_MAIN("merkle", leaf_and_node_hashes_are_those_of_rfc_6962,
           a_streamed_tree_has_the_root_of_the_definition_at_every_size,
           the_frontier_is_largest_first, a_streamed_inclusion_proof_verifies_for_its_leaf_only,
           a_leaf_that_was_not_pushed_has_no_proof,
           a_consistency_proof_verifies_for_its_two_trees_only,
           inclusion_agrees_with_every_vector_of_transparency_dev,
           consistency_agrees_with_every_vector_of_transparency_dev)
