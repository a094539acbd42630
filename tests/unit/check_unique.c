/* Sorting beyond memory, and what stands twice among more records than fit into it. */
#include "base/scratch.h"
#include "check_util.h"
#include "manifest_kit.h"
#include "manifests/sorter.h"
#include "manifests/unique.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define RUN (SORTER_BYTES / sizeof(struct pair)) /* elements that memory holds */

static struct error err;

struct pair {
    uint64_t value, place;
};

static int by_value(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static uint64_t scramble(uint64_t i)
{
    return (i * UINT64_C(0x9e3779b97f4a7c15)) >> 40; /* 24 bits: many values come more than once */
}

/* Adds so many; all come back, in order. */
static void sort_so_many(size_t count)
{
    struct sorter *s = sorter_new(sizeof(struct pair), by_value);
    struct pair p, last = {0};
    uint64_t sum = 0, want = 0;
    int rc;

    ck_assert_ptr_nonnull(s);
    for (size_t i = 0; i < count; i++) {
        p = (struct pair){scramble(i), i};
        want += p.value ^ p.place;
        ASSERT_OK(sorter_add(s, &p, &err), err);
    }
    ASSERT_OK(sorter_sort(s, &err), err);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(sorter_next(s, &p, &err), 1);
        ck_assert(i == 0 || by_value(&last, &p) < 0);
        ck_assert_uint_eq(p.value, scramble(p.place));
        sum += p.value ^ p.place;
        last = p;
    }
    rc = sorter_next(s, &p, &err);
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_eq(sum, want);
    sorter_free(s);
}

START_TEST(elements_come_back_in_order)
{
    const size_t counts[] = {0, 1, 2, 1000, RUN - 1, RUN, RUN + 1, 2 * RUN, 5 * RUN + 7};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        sort_so_many(counts[i]);
}
END_TEST

static int fill(struct sorter *s)
{
    int rc = 0;

    for (uint64_t i = 0; rc == 0 && i <= RUN; i++)
        rc = sorter_add(s, &(struct pair){i, i}, &err);
    return rc;
}

START_TEST(a_folder_that_is_missing_is_told)
{
    struct sorter *s = sorter_new(sizeof(struct pair), by_value);

    setenv("TMPDIR", "/nonexistent", 1);
    ASSERT_FAILS(fill(s), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "'/nonexistent' (TMPDIR names another folder)"));
    sorter_free(s);
}
END_TEST

START_TEST(a_file_that_cannot_grow_is_told)
{
    struct sorter *s = sorter_new(sizeof(struct pair), by_value);
    struct rlimit few = {4096, 4096};

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &few), 0);
    ck_assert_int_lt(fill(s), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "temporary file"));
    sorter_free(s);
}
END_TEST

START_TEST(a_scratch_file_that_ends_early_is_told)
{
    char bytes[8] = "1234567";
    int file = -1;

    ASSERT_OK(scratch_open(&file, &err), err);
    ASSERT_OK(scratch_put(file, bytes, sizeof bytes, 100, &err), err);
    ASSERT_OK(scratch_get(file, bytes, sizeof bytes, 100, &err), err);
    ck_assert_str_eq(bytes, "1234567");
    ASSERT_FAILS(scratch_get(file, bytes, sizeof bytes, 104, &err), ERR_IO);
    close(file);
}
END_TEST

#define MANY 400000 /* more than the sorters and the list of lines hold */

/* Record i of a batch: a device with a key, a chip and a certificate number of its own. */
struct made {
    struct record r;
    struct cert cert;
    uint64_t key;
};

static void make(struct made *m, uint64_t i)
{
    *m = (struct made){.r = {.t = RECORD_ADD, .chip_len = sizeof i}, .key = i};
    strcpy(m->r.prod, KIT_PRODUCT);
    snprintf(m->r.sn, sizeof m->r.sn, "A-%07u", (unsigned)i);
    memcpy(m->r.chip, &i, sizeof i);
    m->r.spki = (struct record_bytes){(uint8_t *)&m->key, sizeof m->key};
    m->cert.serial = m->r.spki;
}

static int add(struct unique *to, const struct made *m)
{
    return unique_add(to, &m->r, m->r.t == RECORD_ADD ? &m->cert : NULL, &err);
}

/*
 * A batch of MANY devices, to which a test adds more. It is filled before the first test: the fork that each
 * one is has a copy of it, and adds to the common scratch file at its own count, one test after the other.
 */
static struct unique *u;

static void fill_unique(void)
{
    struct made m;

    u = unique_new(0);
    ck_assert_ptr_nonnull(u);
    for (uint64_t i = 0; i < MANY; i++) {
        make(&m, i);
        ASSERT_OK(add(u, &m), err);
    }
}

static void free_unique(void)
{
    unique_free(u);
}

static void end_life(struct made *m, uint64_t device)
{
    make(m, device);
    m->r.t = RECORD_REVOKE;
    m->r.ref = device;
    m->r.chip_len = 0;
}

START_TEST(many_records_of_their_own_are_good)
{
    struct made m;

    /* What was long written to the file is found again: by who changes it, and only by them. */
    end_life(&m, 5);
    ASSERT_OK(add(u, &m), err);
    end_life(&m, MANY - 1);
    ASSERT_OK(add(u, &m), err);
    end_life(&m, 6);
    m.r.ref = 7;
    ASSERT_FAILS(add(u, &m), ERR_INTEGRITY);
    /* The chip of a revoked device is free again. */
    make(&m, MANY + 1);
    memcpy(m.r.chip, &(uint64_t){5}, sizeof(uint64_t));
    ASSERT_OK(add(u, &m), err);
    ASSERT_OK(unique_check(u, &err), err);
}
END_TEST

static void same_serial(struct made *m)
{
    strcpy(m->r.sn, "A-0000123");
}

static void same_chip(struct made *m)
{
    memcpy(m->r.chip, &(uint64_t){123}, sizeof(uint64_t));
}

static void same_key(struct made *m)
{
    m->key = 123;
    m->cert.serial = (struct record_bytes){(const uint8_t *)"other", 5};
}

static uint64_t number_123 = 123;

static void same_number(struct made *m)
{
    m->cert.serial = (struct record_bytes){(const uint8_t *)&number_123, sizeof number_123};
}

static void revoked_twice(struct made *m)
{
    end_life(m, 123);
}

static const struct {
    void (*change)(struct made *m);
    const char *what;
} doubles[] = {{same_serial, "a device stands twice"},
               {same_chip, "a chip of a live device stands twice"},
               {same_key, "a public key stands twice"},
               {same_number, "a certificate serial number stands twice"},
               {revoked_twice, "a revocation stands twice"}};

START_TEST(one_among_many_that_stands_twice_is_found)
{
    struct made m;

    if (doubles[_i].change == revoked_twice) {
        end_life(&m, 123);
        ASSERT_OK(add(u, &m), err);
    }
    make(&m, MANY);
    doubles[_i].change(&m);
    ASSERT_OK(add(u, &m), err);
    ASSERT_FAILS(unique_check(u, &err), ERR_DUPLICATE);
    ck_assert_msg(strncmp(err.text, doubles[_i].what, strlen(doubles[_i].what)) == 0, "%s",
                  err.text);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("unique");

    tcase_add_unchecked_fixture(tcase, fill_unique, free_unique);
    tcase_add_test(tcase, elements_come_back_in_order);
    tcase_add_test(tcase, a_folder_that_is_missing_is_told);
    tcase_add_test(tcase, a_file_that_cannot_grow_is_told);
    tcase_add_test(tcase, a_scratch_file_that_ends_early_is_told);
    tcase_add_test(tcase, many_records_of_their_own_are_good);
    tcase_add_loop_test(tcase, one_among_many_that_stands_twice_is_found, 0,
                        sizeof doubles / sizeof *doubles);
    return check_run_case("unique", tcase, 600);
}
