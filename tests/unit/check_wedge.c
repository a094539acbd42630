/* What a scanner types at the board, and what a person does. */
#include "check_util.h"

#include "station/board/wedge.h"

#define FKEY 0x10c /* as ncurses has it: beyond all characters */

static const struct {
    const char *code; /* what is a scan; NULL: nothing is */
    struct {
        int key, after_ms;
    } keys[8];
} typed[] = {
    {"AB", {{'A', 0}, {'B', 5}, {'\r', 5}}},
    {"AB", {{'A', 0}, {'B', WEDGE_GAP_MS}, {'\t', WEDGE_GAP_MS}}},
    {"AB", {{'A', 0}, {'B', 0}, {'\n', 0}}},
    {"A\x1d"
     "B",
     {{'A', 0}, {0x1d, 1}, {'B', 1}, {'\r', 1}}},
    {"CD", {{'A', 0}, {'B', 1}, {'C', WEDGE_GAP_MS + 1}, {'D', 1}, {'\r', 1}}},
    {"A\x1a"
     "B",
     {{'A', 0}, {FKEY, 1}, {'B', 1}, {'\r', 1}}},
    {"A\x1a"
     "B",
     {{'A', 0}, {0x03, 1}, {'B', 1}, {'\r', 1}}},
    {NULL, {{'A', 0}, {'\r', 1}}},
    {NULL, {{'A', 0}, {'B', 1}, {'\r', WEDGE_GAP_MS + 1}}},
    {NULL, {{'A', 0}, {'B', WEDGE_GAP_MS + 1}, {'\r', 1}}},
    {NULL, {{'\r', 0}, {'\t', 1}}},
    {NULL, {{0x03, 0}, {FKEY, 1}, {'\r', 1}}},
    {NULL, {{'q', 0}, {'u', 200}, {'i', 200}, {'t', 200}, {'\r', 200}}},
};

START_TEST(a_scan_is_typed_quickly_and_ended)
{
    struct wedge w = {.len = 0};
    const char *code = NULL;
    int64_t now = 1000000;
    char said[WEDGE_MAX + 1];

    for (int i = 0; i < 8 && typed[_i].keys[i].key; i++) {
        now += typed[_i].keys[i].after_ms;
        if (!wedge_take(&w, typed[_i].keys[i].key, now))
            continue;
        memcpy(said, w.code, w.len);
        said[w.len] = 0;
        code = said;
    }
    ck_assert(!code == !typed[_i].code);
    if (code)
        ck_assert_str_eq(code, typed[_i].code);
}
END_TEST

START_TEST(one_after_the_other)
{
    struct wedge w = {.len = 0};

    ck_assert(!wedge_take(&w, 'A', 1000));
    ck_assert(!wedge_is_typing(&w, 1001));
    ck_assert(!wedge_take(&w, 'B', 1001));
    ck_assert(wedge_is_typing(&w, 1002));
    ck_assert(wedge_take(&w, '\r', 1002));
    ck_assert(!wedge_is_typing(&w, 1003));
    ck_assert(!wedge_take(&w, '\n', 1003)); /* CR and LF are one end */
    ck_assert(!wedge_take(&w, 'C', 1004) && !wedge_take(&w, 'D', 1005));
    ck_assert(wedge_take(&w, '\r', 1006));
    ck_assert_uint_eq(w.len, 2);
    ck_assert_int_eq(w.code[0], 'C');
}
END_TEST

/* A person hit a key, and then those that end the line. */
START_TEST(keys_of_a_person_are_not_swallowed)
{
    struct wedge w = {.len = 0};

    ck_assert(!wedge_take(&w, 'x', 1000));
    ck_assert(!wedge_is_typing(&w, 1010) && !wedge_take(&w, 0x03, 1010));
    ck_assert(!wedge_is_typing(&w, 1020) && !wedge_take(&w, FKEY, 1020));
    ck_assert(!wedge_take(&w, 'y', 1030));
    ck_assert(wedge_is_typing(&w, 1040));
}
END_TEST

START_TEST(what_is_endless_is_bounded)
{
    struct wedge w = {.len = 0};

    for (int i = 0; i < 10 * WEDGE_MAX; i++)
        ck_assert(!wedge_take(&w, 'A', 1000 + i));
    ck_assert(wedge_take(&w, '\r', 1000 + 10 * WEDGE_MAX));
    ck_assert_uint_eq(w.len, WEDGE_MAX);
}
END_TEST

CHECK_ITEMS_MAIN("wedge", EACH_ROW(a_scan_is_typed_quickly_and_ended, typed),
                 ONCE(one_after_the_other), ONCE(keys_of_a_person_are_not_swallowed),
                 ONCE(what_is_endless_is_bounded))
