/* What scanners send: element strings with and without brackets, plain text, and what is refused. */
#include "check_util.h"

#include "gs1/gs1.h"
#include "gs1/identifiers.h"
#include "pki/serial_name.h"

#include <stdio.h>
#include <string.h>

#define YEAR 2026
#define GTIN "09506000134352"
#define GS   "\x1d"

static const struct {
    const char *sent;
    enum gs1_kind kind;
    char separator;
    struct gs1_code says;
} good[] = {
    {"PUMP-0000001", GS1_ANY, 0, {.plain = "PUMP-0000001"}},
    {"]C0PUMP-0000001", GS1_ANY, 0, {.plain = "PUMP-0000001"}},
    {"]d1AB/12", GS1_PLAIN, 0, {.plain = "AB/12"}},
    {"]Q1AB/12", GS1_ANY, 0, {.plain = "AB/12"}},
    {"]x", GS1_ANY, 0, {.plain = "]x"}},
    {"0109506000134352", GS1_ANY, 0, {.plain = "0109506000134352"}},
    {"010950600013435321A", GS1_ANY, 0, {.plain = "010950600013435321A"}},
    {"01" GTIN "21AB12", GS1_PLAIN, 0, {.plain = "01" GTIN "21AB12"}},
    {"(A)12", GS1_ANY, 0, {.plain = "(A)12"}},
    {"]d201" GTIN "21AB/12", GS1_ANY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "AB/12"}},
    {"]C101" GTIN "21AB/12", GS1_ANY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "AB/12"}},
    {"]Q301" GTIN "21AB/12", GS1_ONLY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "AB/12"}},
    {"]e001" GTIN "21AB/12", GS1_ONLY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "AB/12"}},
    {"]J101" GTIN "21AB/12", GS1_ONLY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "AB/12"}},
    {"]d2" GS "01" GTIN "21A", GS1_ANY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "A"}},
    {GS "01" GTIN "21A", GS1_ANY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "A"}},
    {"01" GTIN "21A", GS1_ONLY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "A"}},
    {"]d201" GTIN "10L7" GS "21A",
     GS1_ANY,
     0,
     {.is_gs1 = true, .gtin = GTIN, .serial = "A", .lot = "L7"}},
    {"01" GTIN "10L7" GS "21A",
     GS1_ANY,
     0,
     {.is_gs1 = true, .gtin = GTIN, .serial = "A", .lot = "L7"}},
    {"]d201" GTIN "10L7~21A",
     GS1_ANY,
     '~',
     {.is_gs1 = true, .gtin = GTIN, .serial = "A", .lot = "L7"}},
    {"]d210L7" GS "21A" GS, GS1_ANY, '~', {.is_gs1 = true, .serial = "A", .lot = "L7"}},
    {"]d210L7|21A", GS1_ANY, '|', {.is_gs1 = true, .serial = "A", .lot = "L7"}},
    {"]d201" GTIN GS "21A", GS1_ANY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "A"}},
    {"(01)" GTIN "(21)AB/12", GS1_ANY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "AB/12"}},
    {"]d2(01)" GTIN "(21)AB/12", GS1_ANY, 0, {.is_gs1 = true, .gtin = GTIN, .serial = "AB/12"}},
    {"(01)" GTIN "(11)261122(17)281100(10)L(7)(21)A(B)",
     GS1_ANY,
     0,
     {.is_gs1 = true,
      .gtin = GTIN,
      .serial = "A(B)",
      .lot = "L(7)",
      .made = "2026-11-22",
      .expires = "2028-11-30"}},
    {"]d2112611001528020017280229",
     GS1_ANY,
     0,
     {.is_gs1 = true, .made = "2026-11", .best_before = "2028-02-29", .expires = "2028-02-29"}},
    {"]d217760131", GS1_ANY, 0, {.is_gs1 = true, .expires = "2076-01-31"}},
    {"]d217770131", GS1_ANY, 0, {.is_gs1 = true, .expires = "1977-01-31"}},
    {"]d221A" GS "21A", GS1_ANY, 0, {.is_gs1 = true, .serial = "A"}},
    {"]d221ABCDEFGHIJKLMNOPQRST", GS1_ANY, 0, {.is_gs1 = true, .serial = "ABCDEFGHIJKLMNOPQRST"}},
    {"]d23103000125240P" GS "8012V1.2" GS "21A", GS1_ANY, 0, {.is_gs1 = true, .serial = "A"}},
};

START_TEST(a_code_says_what_stands_on_the_label)
{
    const struct gs1_code *is = &good[_i].says;
    struct error err = ERROR_INIT;
    struct gs1_code code;

    ASSERT_OK(gs1_read(good[_i].sent, strlen(good[_i].sent), good[_i].kind, good[_i].separator,
                       YEAR, &code, &err),
              err);
    ck_assert_int_eq(code.is_gs1, is->is_gs1);
    ck_assert_str_eq(code.plain, is->plain);
    ck_assert_str_eq(code.gtin, is->gtin);
    ck_assert_str_eq(code.serial, is->serial);
    ck_assert_str_eq(code.lot, is->lot);
    ck_assert_str_eq(code.made, is->made);
    ck_assert_str_eq(code.best_before, is->best_before);
    ck_assert_str_eq(code.expires, is->expires);
}
END_TEST

static const struct {
    const char *sent, *said;
    enum gs1_kind kind;
} bad[] = {
    {"", "the code is empty", GS1_ANY},
    {"]d2", "the GS1 code is empty", GS1_ANY},
    {GS, "the GS1 code is empty", GS1_ANY},
    {"]C0", "the code has 0 characters", GS1_ANY},
    {"A B", "character 2 of the code, 0x20", GS1_ANY},
    {"A\x7f", "character 2 of the code, 0x7f", GS1_ANY},
    {"]E09506000134352", "the number of a product", GS1_ANY},
    {"]I109506000134352", "the number of a product", GS1_PLAIN},
    {"]E49506", "the number of a product", GS1_ONLY},
    {"]d221A", "wrong kind of code: this is a GS1 code", GS1_PLAIN},
    {"(21)A", "wrong kind of code: this is a GS1 code", GS1_PLAIN},
    {"]C0A", "wrong kind of code: expected a GS1 code", GS1_ONLY},
    {"]d1A", "wrong kind of code: expected a GS1 code", GS1_ONLY},
    {"01" GTIN "21AB", "could be a GS1 code or a plain serial", GS1_ANY},
    {"PUMP-1", "'PUMP' begins with no application identifier", GS1_ONLY},
    {"]d2010950600013435321A", "the check digit of 09506000134353 behind (01) is wrong", GS1_ANY},
    {"]d20109506000134", "behind (01) has 11 characters, and at least 14", GS1_ANY},
    {"]d2010950600013435A21A", "character 14 of the value behind (01), 0x41, is none of a number",
     GS1_ANY},
    {"]d221A#", "character 2 of the value behind (21), 0x23, is none that a GS1 code", GS1_ANY},
    {"]d221A\x01", "behind (21), 0x01", GS1_ANY},
    {"]d221\xe9", "behind (21), 0xe9", GS1_ANY},
    {"]d221", "behind (21) has 0 characters, and at least 1", GS1_ANY},
    {"]d210LOT721PUMP-0000000001",
     "behind (10) has 21 characters, and at most 20 belong there: the separator after it is "
     "missing",
     GS1_ANY},
    {"]d221ABCDEFGHIJKLMNOPQRSTU", "behind (21) has 21 characters, and at most 20", GS1_ANY},
    {"]d2(21)ABCDEFGHIJKLMNOPQRSTU", "behind (21) has 21 characters, and at most 20", GS1_ANY},
    {"]d221A" GS "21B", "(21) stands twice with different values", GS1_ANY},
    {"]d201" GTIN "0109506000134369", "(01) stands twice with different values", GS1_ANY},
    {"]d210A" GS "10B", "(10) stands twice with different values", GS1_ANY},
    {"]d21727010117270102", "(17) stands twice with different values", GS1_ANY},
    {"]d217271301", "the date 271301 behind (17)", GS1_ANY},
    {"]d217270001", "the date 270001 behind (17)", GS1_ANY},
    {"]d215270229", "the date 270229 behind (15)", GS1_ANY},
    {"]d211270431", "the date 270431 behind (11)", GS1_ANY},
    {"]d213270431", "the date 270431 behind (13)", GS1_ANY},
    {"]d204123", "'0412' begins with no application identifier", GS1_ANY},
    {"]d221A" GS GS "10L", "begins with no application identifier", GS1_ANY},
    {"]d2(21", "the brackets do not match", GS1_ANY},
    {"]d2(21)A(", NULL, GS1_ANY}, /* a bracket of the serial */
    {"]d2(5)A", "'5)A' begins with no application identifier", GS1_ANY},
    {"]d2(01)" GTIN "A(21)B", "behind (01) has 15 characters, and at most 14", GS1_ANY},
};

START_TEST(each_refusal_has_its_own_words)
{
    struct error err = ERROR_INIT;
    struct gs1_code code = {.serial = "before"};
    int rc = gs1_read(bad[_i].sent, strlen(bad[_i].sent), bad[_i].kind, 0, YEAR, &code, &err);

    if (!bad[_i].said) {
        ASSERT_OK(rc, err);
        return;
    }
    ck_assert_int_eq(rc, ERR_INPUT);
    ck_assert_msg(strstr(err.text, bad[_i].said) != NULL, "'%s' says: %s", bad[_i].sent, err.text);
    ck_assert_str_eq(code.serial, "before");
}
END_TEST

START_TEST(a_code_has_a_longest_length)
{
    char sent[GS1_CODE_MAX + 2];
    struct error err = ERROR_INIT;
    struct gs1_code code;

    memset(sent, 'A', sizeof sent);
    ASSERT_FAILS(gs1_read(sent, GS1_CODE_MAX + 1, GS1_ANY, 0, YEAR, &code, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "longer than 400 bytes"));
    ASSERT_OK(gs1_read(sent, GS1_PLAIN_MAX, GS1_ANY, 0, YEAR, &code, &err), err);
    ASSERT_FAILS(gs1_read(sent, GS1_PLAIN_MAX + 1, GS1_ANY, 0, YEAR, &code, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "has 64 characters"));
}
END_TEST

/* A byte 0 ends no text. */
START_TEST(a_byte_0_is_no_character)
{
    struct error err = ERROR_INIT;
    struct gs1_code code;

    ASSERT_FAILS(gs1_read("A\0B", 3, GS1_ANY, 0, YEAR, &code, &err), ERR_INPUT);
    ASSERT_FAILS(gs1_read("]d221A\0B", 8, GS1_ANY, 0, YEAR, &code, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "character 2 of the value behind (21), 0x00"));
}
END_TEST

START_TEST(all_82_characters_are_serials_and_no_other)
{
    for (int c = 1; c < 256; c++) {
        char sent[] = {']', 'd', '2', '2', '1', 'A', (char)c, 'B'};
        struct error err = ERROR_INIT;
        struct gs1_code code;
        int rc = gs1_read(sent, sizeof sent, GS1_ANY, 0, YEAR, &code, &err);

        if (c == '\x1d')
            continue; /* ends the value */
        ck_assert_int_eq(rc, strchr(SERIAL_CHARACTERS, c) ? 0 : ERR_INPUT);
        if (rc == 0)
            ck_assert_mem_eq(code.serial, sent + 5, 3);
    }
}
END_TEST

static const struct {
    const char *text, *gtin;
} gtins[] = {
    {"95060001", NULL},
    {"96385074", "00000096385074"},
    {"036000291452", "00036000291452"},
    {"9506000134352", "09506000134352"},
    {"09506000134352", "09506000134352"},
    {"9506000134353", NULL},
    {"950600013435", NULL},
    {"950600013435A", NULL},
    {"009506000134352", NULL},
    {"", NULL},
};

START_TEST(a_gtin_has_14_digits_and_a_check_digit)
{
    char gtin[GS1_GTIN_SIZE + 1] = "before";
    struct error err = ERROR_INIT;
    int rc = gs1_gtin(gtins[_i].text, gtin, &err);

    ck_assert_int_eq(rc, gtins[_i].gtin ? 0 : ERR_INPUT);
    ck_assert_str_eq(gtin, gtins[_i].gtin ? gtins[_i].gtin : "before");
}
END_TEST

/* No identifier is the beginning of another, and each predefined family has one length. */
START_TEST(identifiers_are_told_apart_by_their_digits)
{
    int found = 0;

    for (int n = 0; n < 10000; n++) {
        char text[5];
        const struct gs1_identifier *id;

        snprintf(text, sizeof text, "%04d", n);
        id = gs1_identifier_find(text, 4);
        if (!id)
            continue;
        found++;
        ck_assert_uint_ge(strlen(id->ai), 2);
        ck_assert_ptr_null(gs1_identifier_find(text, strlen(id->ai) - 1));
        if (gs1_identifier_is_predefined(text))
            ck_assert_uint_eq(id->most, 0);
    }
    ck_assert_int_gt(found, 3000);
    ck_assert_ptr_null(gs1_identifier_find("", 0));
    ck_assert_ptr_null(gs1_identifier_find("3", 1));
}
END_TEST

CHECK_ITEMS_MAIN("gs1", EACH_ROW(a_code_says_what_stands_on_the_label, good),
                 EACH_ROW(each_refusal_has_its_own_words, bad), ONCE(a_code_has_a_longest_length),
                 ONCE(a_byte_0_is_no_character), ONCE(all_82_characters_are_serials_and_no_other),
                 EACH_ROW(a_gtin_has_14_digits_and_a_check_digit, gtins),
                 ONCE(identifiers_are_told_apart_by_their_digits))
