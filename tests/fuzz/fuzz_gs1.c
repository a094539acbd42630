/*
 * What a scanner sends. What is taken holds the characters of GS1, and says the same when it is written in
 * brackets and read again.
 */
#include "fuzz.h"

#include "gs1/gs1.h"
#include "pki/serial_name.h"

#include <stdio.h>
#include <string.h>

#define YEAR 2026

static void check_text(const char *text, size_t most)
{
    FUZZ_ASSERT(strlen(text) <= most);
    FUZZ_ASSERT(strspn(text, SERIAL_CHARACTERS) == strlen(text));
}

static void check_date(const char *date)
{
    FUZZ_ASSERT(!*date || strlen(date) == 7 || strlen(date) == 10);
}

/* A bracket in lot or serial could be read as the next identifier. */
static void read_again(const struct gs1_code *code)
{
    char text[3 * GS1_TEXT_MAX + 20];
    struct error err = ERROR_INIT;
    struct gs1_code again;
    size_t len = 0;

    if (strchr(code->lot, '(') || strchr(code->serial, '('))
        return;
    if (*code->gtin)
        len += (size_t)sprintf(text + len, "(01)%s", code->gtin);
    if (*code->lot)
        len += (size_t)sprintf(text + len, "(10)%s", code->lot);
    if (*code->serial)
        len += (size_t)sprintf(text + len, "(21)%s", code->serial);
    if (len == 0)
        return;
    FUZZ_ASSERT(gs1_read(text, len, GS1_ONLY, 0, YEAR, &again, &err) == 0);
    FUZZ_ASSERT(strcmp(code->gtin, again.gtin) == 0 && strcmp(code->lot, again.lot) == 0 &&
                strcmp(code->serial, again.serial) == 0);
}

static void check(const struct gs1_code *code, enum gs1_kind kind)
{
    char gtin[GS1_GTIN_SIZE + 1];

    FUZZ_ASSERT(code->is_gs1 ? kind != GS1_PLAIN && !*code->plain
                             : kind != GS1_ONLY && *code->plain);
    check_text(code->serial, GS1_TEXT_MAX);
    check_text(code->lot, GS1_TEXT_MAX);
    check_date(code->made);
    check_date(code->best_before);
    check_date(code->expires);
    FUZZ_ASSERT(!*code->gtin || gs1_gtin(code->gtin, gtin, NULL) == 0);
    for (const char *p = code->plain; *p; p++)
        FUZZ_ASSERT(*p > 0x20 && *p < 0x7f);
    read_again(code);
}

/* The first two bytes choose kind and separator. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    struct gs1_code code;
    enum gs1_kind kind;
    int rc;

    if (size < 2)
        return 0;
    kind = (enum gs1_kind)(data[0] % 3);
    rc = gs1_read((const char *)data + 2, size - 2, kind, (char)data[1], YEAR, &code, &err);
    FUZZ_ASSERT((rc == 0) == (err.code == 0));
    FUZZ_ASSERT(rc == 0 || rc == ERR_INPUT);
    if (rc == 0)
        check(&code, kind);
    return 0;
}
