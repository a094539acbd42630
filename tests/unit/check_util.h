/*
 * check_util: what every unit test program shares: its main, and assertions that show the error.
 *
 * A test program names its tests in a table and ends with CHECK_MAIN("name", tests). Check forks
 * for each test, so a crash fails one test and the others go on.
 */
#ifndef TESTS_CHECK_UTIL_H
#define TESTS_CHECK_UTIL_H

#include "base/error.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Asserts that call, which fills err, succeeded; shows err's text otherwise. */
#define ASSERT_OK(call, err)                                                                       \
    do {                                                                                           \
        int assert_rc = (call);                                                                    \
        ck_assert_msg(assert_rc == 0, "%s: %s: %s", #call, error_name(assert_rc), (err).text);     \
    } while (0)

/* Asserts that call failed with exactly this code. */
#define ASSERT_FAILS(call, expected)                                                               \
    do {                                                                                           \
        int assert_rc = (call);                                                                    \
        ck_assert_msg(assert_rc == (expected), "%s: %s instead of %s", #call,                      \
                      error_name(assert_rc), error_name(expected));                                \
    } while (0)

/* How far sweeps go: IMPRINT_SWEEP is "all", "short" (as under sanitizers), or not set. */
static inline bool sweep_is(const char *how)
{
    const char *wanted = getenv("IMPRINT_SWEEP");

    return wanted && strcmp(wanted, how) == 0;
}

/* One test to run: once, or once for each row of a table (its index is _i). */
struct check_item {
    const TTest *test;
    size_t rows;
};
#define ONCE(test)            ((struct check_item){test, 0})
#define EACH_ROW(test, table) ((struct check_item){test, sizeof(table) / sizeof(table)[0]})

/* main of a program whose tests all run once; and of one that lists ONCE and EACH_ROW items. */
#define CHECK_MAIN(name, ...)                                                                      \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        struct check_item items[sizeof tests / sizeof *tests];                                     \
                                                                                                   \
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)                                  \
            items[i] = ONCE(tests[i]);                                                             \
        return check_run(name, items, sizeof items / sizeof *items);                               \
    }
#define CHECK_ITEMS_MAIN(name, ...)                                                                \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct check_item items[] = {__VA_ARGS__};                                           \
                                                                                                   \
        return check_run(name, items, sizeof items / sizeof *items);                               \
    }

/* Runs the one case of a program, each test of which has so many seconds; its exit status. */
static inline int check_run_case(const char *name, TCase *tcase, double seconds)
{
    Suite *suite = suite_create(name);
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, seconds);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline int check_run(const char *name, const struct check_item *items, size_t count)
{
    TCase *tcase = tcase_create(name);

    for (size_t i = 0; i < count; i++)
        if (items[i].rows)
            tcase_add_loop_test(tcase, items[i].test, 0, (int)items[i].rows);
        else
            tcase_add_test(tcase, items[i].test);
    return check_run_case(name, tcase, 300);
}

/* A chain (pki/ca_chain.h) of an issuing CA and its root, for one expression. */
#define CHAIN(issuer, root) (&(struct ca_chain){{issuer, root}, 2})

#endif
