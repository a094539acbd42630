#include "gs1/gs1.h"

#include "gs1/identifiers.h"
#include "pki/serial_name.h"

#include <stdio.h>
#include <string.h>

#define AIM_SIZE 3

/* What is left of a code. */
struct reading {
    const char *at, *end;
    char separator;
    int year;
};

/* ---- characters and digits ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool all_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_digit(text[i]))
            return false;
    return true;
}

static bool is_separator(const struct reading *r, char c)
{
    return c == GS1_SEPARATOR || (r->separator && c == r->separator);
}

/* Section 7.9.1: weights 3 and 1 from the right, the check digit itself having 1. */
static bool check_digit_fits(const char *digits, size_t len)
{
    unsigned sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += (unsigned)(digits[len - 1 - i] - '0') * (i % 2 ? 3 : 1);
    return sum % 10 == 0;
}

int gs1_gtin(const char *text, char gtin[GS1_GTIN_SIZE + 1], struct error *err)
{
    size_t len = strlen(text);

    if (!all_digits(text, len) || (len != 8 && (len < 12 || len > GS1_GTIN_SIZE)))
        return error_set(err, ERR_INPUT, "a GTIN has 8, 12, 13 or 14 digits");
    if (!check_digit_fits(text, len))
        return error_set(err, ERR_INPUT, "the check digit of GTIN %s is wrong", text);
    memset(gtin, '0', GS1_GTIN_SIZE - len);
    memcpy(gtin + GS1_GTIN_SIZE - len, text, len + 1);
    return 0;
}

/* ---- dates ---- */

static int number_of(const char *digits)
{
    return 10 * (digits[0] - '0') + digits[1] - '0';
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

/* Section 7.12: of the centuries the one from 49 years back to 50 years ahead. */
static int year_of(int two_digits, int now)
{
    int year = now - now % 100 + two_digits;

    if (year - now > 50)
        return year - 100;
    return now - year > 49 ? year + 100 : year;
}

/* YYMMDD. last: a day of 00 means the last of the month, otherwise that no day is said. */
static int take_date(const struct reading *r, const char *ai, const char *digits, bool last,
                     char out[GS1_DATE_SIZE + 1], struct error *err)
{
    int year = year_of(number_of(digits), r->year);
    int month = number_of(digits + 2), day = number_of(digits + 4);
    char text[40];

    if (month < 1 || month > 12 || day > days_of(year, month))
        return error_set(err, ERR_INPUT, "the date %.6s behind (%s) is none of the calendar",
                         digits, ai);
    if (day == 0 && last)
        day = days_of(year, month);
    snprintf(text, sizeof text, day ? "%04d-%02d-%02d" : "%04d-%02d", year, month, day);
    snprintf(out, GS1_DATE_SIZE + 1, "%.*s", GS1_DATE_SIZE, text);
    return 0;
}

/* ---- values ---- */

static int check_characters(const struct gs1_identifier *id, const char *ai, const char *value,
                            size_t len, struct error *err)
{
    for (size_t i = 0; i < len; i++) {
        bool digits = id->numeric || i < id->digits;

        if (digits ? !is_digit(value[i]) : !value[i] || !strchr(SERIAL_CHARACTERS, value[i]))
            return error_set(err, ERR_INPUT,
                             "character %zu of the value behind (%s), 0x%02x, is none %s", i + 1,
                             ai, (unsigned)(unsigned char)value[i],
                             digits ? "of a number" : "that a GS1 code may have");
    }
    return 0;
}

static int check_value(const struct gs1_identifier *id, const char *ai, const char *value,
                       size_t len, struct error *err)
{
    size_t least = (size_t)id->digits + id->least, most = (size_t)id->digits + id->most;

    if (len < least)
        return error_set(err, ERR_INPUT,
                         "the value behind (%s) has %zu characters, and at least %zu belong there: "
                         "the label is cut, scan it again",
                         ai, len, least);
    if (len > most)
        return error_set(err, ERR_INPUT,
                         "the value behind (%s) has %zu characters, and at most %zu belong there: "
                         "the separator after it is missing, or is another one than the station is "
                         "set up for",
                         ai, len, most);
    if (check_characters(id, ai, value, len, err))
        return ERR_INPUT;
    if (id->checked && !check_digit_fits(value, len))
        return error_set(err, ERR_INPUT, "the check digit of %.*s behind (%s) is wrong", (int)len,
                         value, ai);
    return 0;
}

/* A text that was there already must be the same. */
static int keep(const char *ai, const char *value, size_t len, char *out, struct error *err)
{
    if (*out && (strlen(out) != len || memcmp(out, value, len)))
        return error_set(err, ERR_INPUT,
                         "(%s) stands twice with different values: the label is wrong, or two were "
                         "scanned as one",
                         ai);
    memcpy(out, value, len);
    out[len] = 0;
    return 0;
}

static int keep_date(const struct reading *r, const char *ai, const char *value, bool last,
                     char *out, struct error *err)
{
    char date[GS1_DATE_SIZE + 1];

    if (take_date(r, ai, value, last, date, err))
        return ERR_INPUT;
    return keep(ai, date, strlen(date), out, err);
}

static int take_value(const struct reading *r, const char *ai, const char *value, size_t len,
                      struct gs1_code *code, struct error *err)
{
    char date[GS1_DATE_SIZE + 1];

    if (strcmp(ai, "01") == 0)
        return keep(ai, value, len, code->gtin, err);
    if (strcmp(ai, "10") == 0)
        return keep(ai, value, len, code->lot, err);
    if (strcmp(ai, "21") == 0)
        return keep(ai, value, len, code->serial, err);
    if (strcmp(ai, "11") == 0)
        return keep_date(r, ai, value, false, code->made, err);
    if (strcmp(ai, "15") == 0)
        return keep_date(r, ai, value, true, code->best_before, err);
    if (strcmp(ai, "17") == 0)
        return keep_date(r, ai, value, true, code->expires, err);
    if (strcmp(ai, "12") == 0 || strcmp(ai, "13") == 0 || strcmp(ai, "16") == 0)
        return take_date(r, ai, value, true, date, err);
    return 0;
}

/* ---- element strings ---- */

static int unknown(const char *at, size_t len, struct error *err)
{
    char shown[5];
    size_t n = 0;

    for (; n < len && n < 4; n++)
        shown[n] = at[n] < 0x20 || at[n] > 0x7e ? '?' : at[n];
    shown[n] = 0;
    return error_set(err, ERR_INPUT, "'%s' begins with no application identifier of GS1", shown);
}

static int take_element(const struct reading *r, const struct gs1_identifier *id, const char *ai,
                        const char *value, size_t len, struct gs1_code *code, struct error *err)
{
    int rc = check_value(id, ai, value, len, err);

    return rc ? rc : take_value(r, ai, value, len, code, err);
}

/* The identifier at r->at, as it stands there, into ai; r->at moves behind it. */
static const struct gs1_identifier *take_identifier(struct reading *r, char ai[5])
{
    const struct gs1_identifier *id = gs1_identifier_find(r->at, (size_t)(r->end - r->at));
    size_t len = id ? strlen(id->ai) : 0;

    memcpy(ai, r->at, len);
    ai[len] = 0;
    r->at += len;
    return id;
}

/* How long the value at r->at is: what is predefined, or up to the separator. */
static size_t value_length(const struct reading *r, const struct gs1_identifier *id, const char *ai)
{
    size_t len = 0, left = (size_t)(r->end - r->at);

    if (gs1_identifier_is_predefined(ai))
        return left < id->digits ? left : id->digits;
    while (len < left && !is_separator(r, r->at[len]))
        len++;
    return len;
}

static int read_elements(struct reading *r, struct gs1_code *code, struct error *err)
{
    while (r->at < r->end) {
        const struct gs1_identifier *id;
        char ai[5];
        size_t len;

        id = take_identifier(r, ai);
        if (!id)
            return unknown(r->at, (size_t)(r->end - r->at), err);
        len = value_length(r, id, ai);
        if (take_element(r, id, ai, r->at, len, code, err))
            return ERR_INPUT;
        r->at += len;
        if (r->at < r->end && is_separator(r, *r->at))
            r->at++;
    }
    return 0;
}

static int refuse_brackets(struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "the brackets do not match: expected '(', an application identifier, ')' and "
                     "its value");
}

/* A bracket may be part of a value: the next element begins where an identifier stands in brackets. */
static bool is_bracketed(const char *at, const char *end)
{
    const struct gs1_identifier *id;
    size_t len;

    if (at == end || *at != '(')
        return false;
    id = gs1_identifier_find(at + 1, (size_t)(end - at - 1));
    len = id ? strlen(id->ai) : 0;
    return id && (size_t)(end - at) > len + 1 && at[len + 1] == ')';
}

static int read_brackets(struct reading *r, struct gs1_code *code, struct error *err)
{
    while (r->at < r->end) {
        const struct gs1_identifier *id;
        size_t len = 0;
        char ai[5];

        if (!is_bracketed(r->at, r->end))
            return *r->at == '(' && memchr(r->at, ')', (size_t)(r->end - r->at))
                       ? unknown(r->at + 1, (size_t)(r->end - r->at - 1), err)
                       : refuse_brackets(err);
        r->at++;
        id = take_identifier(r, ai);
        r->at++;
        while (r->at + len < r->end && !is_bracketed(r->at + len, r->end))
            len++;
        if (take_element(r, id, ai, r->at, len, code, err))
            return ERR_INPUT;
        r->at += len;
    }
    return 0;
}

static int read_gs1(struct reading *r, struct gs1_code *code, struct error *err)
{
    code->is_gs1 = true;
    if (r->at < r->end && is_separator(r, *r->at))
        r->at++;
    if (r->at == r->end)
        return error_set(err, ERR_INPUT, "the GS1 code is empty: scan it again");
    return *r->at == '(' ? read_brackets(r, code, err) : read_elements(r, code, err);
}

/* ---- the kind of a code ---- */

static bool has_separator(const struct reading *r)
{
    for (const char *p = r->at; p < r->end; p++)
        if (is_separator(r, *p))
            return true;
    return false;
}

/* A GTIN with a right check digit and more after it is no serial that somebody thought of. */
static bool could_be_gs1(const struct reading *r)
{
    return r->end - r->at > 2 + GS1_GTIN_SIZE && memcmp(r->at, "01", 2) == 0 &&
           all_digits(r->at + 2, GS1_GTIN_SIZE) && check_digit_fits(r->at + 2, GS1_GTIN_SIZE);
}

static int read_plain(const struct reading *r, struct gs1_code *code, struct error *err)
{
    size_t len = (size_t)(r->end - r->at);

    if (len == 0 || len > GS1_PLAIN_MAX)
        return error_set(err, ERR_INPUT, "the code has %zu characters: 1 to %d can be a serial",
                         len, GS1_PLAIN_MAX);
    for (size_t i = 0; i < len; i++)
        if (r->at[i] <= 0x20 || r->at[i] > 0x7e)
            return error_set(err, ERR_INPUT,
                             "character %zu of the code, 0x%02x, is none of a serial", i + 1,
                             (unsigned)(unsigned char)r->at[i]);
    memcpy(code->plain, r->at, len);
    return 0;
}

enum symbol { SYMBOL_NONE, SYMBOL_GS1, SYMBOL_PRODUCT, SYMBOL_OTHER };

static enum symbol take_symbol(struct reading *r)
{
    static const char *const gs1[] = {"]C1", "]d2", "]Q3", "]J1", "]e0", "]e1", "]e2"};

    if (r->end - r->at < AIM_SIZE || *r->at != ']')
        return SYMBOL_NONE;
    r->at += AIM_SIZE;
    for (size_t i = 0; i < sizeof gs1 / sizeof *gs1; i++)
        if (memcmp(gs1[i], r->at - AIM_SIZE, AIM_SIZE) == 0)
            return SYMBOL_GS1;
    return strchr("EXI", r->at[-2]) && r->at[-2] ? SYMBOL_PRODUCT : SYMBOL_OTHER;
}

static int refuse_product(struct error *err)
{
    return error_set(
        err, ERR_INPUT,
        "wrong kind of code: this one is the number of a product, which all units share; "
        "scan the code with the serial");
}

static int refuse_plain(struct error *err)
{
    return error_set(
        err, ERR_INPUT,
        "wrong kind of code: expected a GS1 code, such as the UDI of the unit; scan that "
        "one");
}

static int refuse_gs1(struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "wrong kind of code: this is a GS1 code, and the job wants a plain serial");
}

static int refuse_doubtful(struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "the code could be a GS1 code or a plain serial: switch the scanner's AIM "
                     "identifiers on, or say in the job's 'label' which kind it is");
}

/* Without AIM identifier. */
static bool is_element_string(const struct reading *r, enum gs1_kind kind)
{
    return kind == GS1_ONLY || has_separator(r) || is_bracketed(r->at, r->end);
}

static int read_code(struct reading *r, enum gs1_kind kind, struct gs1_code *code,
                     struct error *err)
{
    enum symbol symbol = take_symbol(r);

    if (symbol == SYMBOL_PRODUCT)
        return refuse_product(err);
    if (symbol == SYMBOL_GS1 || (symbol == SYMBOL_NONE && is_element_string(r, kind)))
        return kind == GS1_PLAIN ? refuse_gs1(err) : read_gs1(r, code, err);
    if (kind == GS1_ONLY)
        return refuse_plain(err);
    if (symbol == SYMBOL_NONE && kind == GS1_ANY && could_be_gs1(r))
        return refuse_doubtful(err);
    return read_plain(r, code, err);
}

int gs1_read(const char *bytes, size_t len, enum gs1_kind kind, char separator, int year,
             struct gs1_code *code, struct error *err)
{
    struct reading r = {bytes, bytes + len, separator, year};
    struct gs1_code found = {.is_gs1 = false};
    int rc;

    if (len == 0)
        return error_set(err, ERR_INPUT, "the code is empty: scan it again");
    if (len > GS1_CODE_MAX)
        return error_set(err, ERR_INPUT, "the code is longer than %d bytes: scan one at a time",
                         GS1_CODE_MAX);
    rc = read_code(&r, kind, &found, err);
    if (rc == 0)
        *code = found;
    return rc;
}
