/* Serials and the names that carry them: every character there and back. */
#include "check_util.h"

#include "pki/profile.h"
#include "pki/serial_name.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *serial, *name;
} pairs[] = {
    {"PUMP-0000001", "PUMP-0000001"},
    {"a1", "a1"},
    {"Zebra-z9", "Zebra-z9"},
    {"AB/12", "ABZ2F12--Z"},
    {"AB_12", "ABZ5F12--Z"},
    {"-12", "Z2D12--Z"},
    {"12-", "12Z2D--Z"},
    {"1--2", "1Z2DZ2D2--Z"},
    {"1--Z", "1Z2DZ2DZ5A--Z"},
    {"z%", "Z7AZ25--Z"},
    {"?", "Z3F--Z"},
    {"!\"%&'()*+,-./:;<=>?_", "Z21Z22Z25Z26Z27Z28Z29Z2AZ2BZ2CZ2DZ2EZ2FZ3AZ3BZ3CZ3DZ3EZ3FZ5F--Z"},
};

START_TEST(a_serial_and_its_name_are_each_others)
{
    char name[SERIAL_NAME_MAX + 1], serial[SERIAL_TEXT_MAX + 1];
    struct error err = ERROR_INIT;

    ASSERT_OK(serial_to_name(pairs[_i].serial, name, &err), err);
    ck_assert_str_eq(name, pairs[_i].name);
    ck_assert(serial_from_name(name, serial));
    ck_assert_str_eq(serial, pairs[_i].serial);
}
END_TEST

/* Each of the 82 at each of three places, with each neighbour that could be confused. */
START_TEST(every_character_goes_there_and_back)
{
    static const char *const around[] = {"A%cB", "%c9", "Z%c2F", "-%c-", "a%c--Z", "%c%c"};
    char text[16], name[SERIAL_NAME_MAX + 1], serial[SERIAL_TEXT_MAX + 1];
    struct error err = ERROR_INIT;

    ck_assert_uint_eq(strlen(SERIAL_CHARACTERS), 82);
    for (size_t c = 0; c < 82; c++)
        for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
            snprintf(text, sizeof text, around[i], SERIAL_CHARACTERS[c], SERIAL_CHARACTERS[c]);
            ASSERT_OK(serial_to_name(text, name, &err), err);
            ASSERT_OK(serial_valid(name, &err), err);
            ck_assert_ptr_null(strchr(name, '_'));
            ck_assert(serial_from_name(name, serial));
            ck_assert_str_eq(serial, text);
        }
}
END_TEST

/* Two serials of two characters each: their names differ also for who ignores case. */
START_TEST(no_two_serials_share_a_name)
{
    char a[3] = "", b[5], one[SERIAL_NAME_MAX + 1], other[SERIAL_NAME_MAX + 1];
    static const char *const escapes[] = {"z2f", "Z2F", "2f", "Z", "z", "--", "--z", "-Z"};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < 82 * 82; i++) {
        a[0] = SERIAL_CHARACTERS[i / 82];
        a[1] = SERIAL_CHARACTERS[i % 82];
        ASSERT_OK(serial_to_name(a, one, &err), err);
        for (size_t e = 0; e < sizeof escapes / sizeof *escapes; e++) {
            snprintf(b, sizeof b, "%c%s", a[0], escapes[e]);
            ASSERT_OK(serial_to_name(b, other, &err), err);
            ck_assert(strcasecmp(a, b) == 0 || strcasecmp(one, other) != 0);
        }
    }
}
END_TEST

static const char *const bad[] = {
    "",
    "a",
    "a b",
    "a\tb",
    "a#",
    "a$",
    "a@",
    "a[",
    "a^",
    "a`",
    "a{",
    "a~",
    "a\x80",
    "a\n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "//////////////////////"};

START_TEST(what_is_no_serial_has_no_name)
{
    char name[SERIAL_NAME_MAX + 1] = "untouched";
    struct error err = ERROR_INIT;

    ASSERT_FAILS(serial_to_name(bad[_i], name, &err), ERR_INPUT);
    ck_assert_str_eq(name, "untouched");
}
END_TEST

static const char *const no_names[] = {"",       "a",        "ABZ2f--Z", "ABZ2--Z",
                                       "ABZ--Z", "ABZ41--Z", "AB--Z",    "AB--Z2F",
                                       "-AB",    "AB_1",     "ABZ20--Z", "ABz2F--Z"};

START_TEST(what_no_serial_gives_is_no_name)
{
    char serial[SERIAL_TEXT_MAX + 1] = "untouched";

    ck_assert(!serial_from_name(no_names[_i], serial));
    ck_assert_str_eq(serial, "untouched");
}
END_TEST

CHECK_ITEMS_MAIN("serial_name", EACH_ROW(a_serial_and_its_name_are_each_others, pairs),
                 ONCE(every_character_goes_there_and_back), ONCE(no_two_serials_share_a_name),
                 EACH_ROW(what_is_no_serial_has_no_name, bad),
                 EACH_ROW(what_no_serial_gives_is_no_name, no_names))
