#include "pki/pattern.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum pattern_from from;
    const char *meaning;
} table[VALUE_COUNT] = {
#define PATTERN_ROW(value, placeholder, who, what) [value] = {placeholder, who, what},
    PATTERN_LIST(PATTERN_ROW)
#undef PATTERN_ROW
};

const char *pattern_name(enum pattern_value value)
{
    return table[value].name;
}

const char *pattern_meaning(enum pattern_value value)
{
    return table[value].meaning;
}

enum pattern_from pattern_from(enum pattern_value value)
{
    return table[value].from;
}

static int unknown(const char *name, int len, struct error *err)
{
    char known[256] = "";

    for (size_t i = 0; i < VALUE_COUNT; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s{%s}", i ? ", " : "",
                 table[i].name);
    return error_set(err, ERR_INPUT, "there is no value '{%.*s}': the values are %s", len, name,
                     known);
}

/*
 * The next piece of a pattern: one character of it in *literal, or a value in *value and *literal
 * 0. Returns the rest, or NULL after an error; the end of the pattern is not a piece.
 */
static const char *next_piece(const char *p, char *literal, size_t *value, struct error *err)
{
    size_t len;

    *literal = *p;
    if ((*p == '{' || *p == '}') && p[1] == *p)
        return p + 2;
    if (*p == '}') {
        error_set(err, ERR_INPUT, "a '}' stands alone: write '}}' for the character itself");
        return NULL;
    }
    if (*p != '{')
        return p + 1;
    *literal = 0;
    len = strcspn(++p, "{}");
    if (p[len] != '}') {
        error_set(err, ERR_INPUT, "a '{' has no '}': write '{{' for the character itself");
        return NULL;
    }
    for (*value = 0; *value < VALUE_COUNT; ++*value)
        if (strlen(table[*value].name) == len && memcmp(table[*value].name, p, len) == 0)
            return p + len + 1;
    unknown(p, (int)len, err);
    return NULL;
}

int pattern_uses(const char *pattern, unsigned *uses, struct error *err)
{
    unsigned found = 0;

    while (*pattern) {
        size_t value;
        char literal;

        pattern = next_piece(pattern, &literal, &value, err);
        if (!pattern)
            return ERR_INPUT;
        if (!literal)
            found |= 1u << value;
    }
    *uses = found;
    return 0;
}

static bool is_alphanumeric(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool fits(enum pattern_form form, unsigned char c)
{
    switch (form) {
    case FORM_TEXT:
        return c >= 0x20 && c != 0x7f;
    case FORM_PRINTABLE:
        return is_alphanumeric(c) || (c && strchr(" '()+,-./:=?", c));
    case FORM_ASCII:
        return c >= 0x20 && c <= 0x7e;
    case FORM_URI:
        return is_alphanumeric(c) || (c && strchr("-._~:/?#[]@!$&'()*+,;=%", c));
    case FORM_DNS:
        return is_alphanumeric(c) || c == '-' || c == '.';
    }
    return false;
}

static const char *form_name(enum pattern_form form)
{
    static const char *const names[] = {[FORM_TEXT] = "a text",
                                        [FORM_PRINTABLE] = "a PrintableString",
                                        [FORM_ASCII] = "a text in ASCII",
                                        [FORM_URI] = "a URI",
                                        [FORM_DNS] = "a DNS name"};

    return names[form];
}

/* Continuation bytes and their number are enough: what is longer than it need be, a surrogate or
 * beyond U+10FFFF is refused by OpenSSL's own reader of UTF-8 when the name is built. */
static bool is_utf8(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        int more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc2 ? 1 : 0;

        if (*p >= 0xf5 || (*p >= 0x80 && more == 0))
            return false;
        for (; more > 0; more--)
            if ((*++p & 0xc0) != 0x80)
                return false;
    }
    return true;
}

/* Labels of 1 to 63 characters that neither begin nor end with a hyphen. A first label "*" is not
 * taken: a device is not all hosts of a domain. */
static bool is_dns_name(const char *name)
{
    size_t len;

    do {
        len = strcspn(name, ".");
        if (len == 0 || len > 63 || name[0] == '-' || name[len - 1] == '-')
            return false;
        name += len;
    } while (*name++);
    return true;
}

/* A scheme, a colon, and something after it; a percent sign is followed by two digits. */
static bool is_uri(const char *uri)
{
    size_t scheme = strcspn(uri, ":/?#");

    if (scheme == 0 || uri[scheme] != ':' || !uri[scheme + 1] ||
        strspn(uri, "abcdefghijklmnopqrstuvwxyz"
                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-") < scheme ||
        !((uri[0] | 0x20) >= 'a' && (uri[0] | 0x20) <= 'z'))
        return false;
    for (const char *p = strchr(uri, '%'); p; p = strchr(p + 1, '%'))
        if (strspn(p + 1, "0123456789abcdefABCDEF") < 2)
            return false;
    return true;
}

static int check_form(const char *text, enum pattern_form form, struct error *err)
{
    for (const char *p = text; *p; p++)
        if (!fits(form, (unsigned char)*p))
            return error_set(err, ERR_INPUT, "'%.80s' holds character 0x%02x, which %s cannot",
                             text, (unsigned char)*p, form_name(form));
    if ((form == FORM_TEXT && !is_utf8(text)) || (form == FORM_DNS && !is_dns_name(text)) ||
        (form == FORM_URI && !is_uri(text)))
        return error_set(err, ERR_INPUT, "'%.80s' is not %s", text, form_name(form));
    return 0;
}

/* A value on its way into a text; in a URI only the unreserved characters stand for themselves. */
static void put_value(struct buf *out, const char *value, enum pattern_form form)
{
    if (form != FORM_URI) {
        buf_put_str(out, value);
        return;
    }
    for (; *value; value++)
        if (is_alphanumeric((unsigned char)*value) || strchr("-._~", *value))
            buf_put_u8(out, (uint8_t)*value);
        else
            buf_printf(out, "%%%02X", (unsigned char)*value);
}

int pattern_expand(const char *pattern, const char *const values[VALUE_COUNT],
                   enum pattern_form form, char *out, size_t size, struct error *err)
{
    struct buf text;
    size_t value;
    char literal;
    int rc = 0;

    buf_init(&text, size - 1);
    for (const char *p = pattern; rc == 0 && *p;) {
        p = next_piece(p, &literal, &value, err);
        if (!p)
            rc = ERR_INPUT;
        else if (literal)
            buf_put_u8(&text, (uint8_t)literal);
        else if (values[value])
            put_value(&text, values[value], form);
        else
            rc = error_set(err, ERR_INPUT, "there is no value for '{%s}' (%s)", table[value].name,
                           table[value].meaning);
    }
    if (rc == 0 && buf_failed(&text))
        rc = error_set(err, ERR_INPUT, "'%.80s' becomes longer than %zu bytes", pattern, size - 1);
    if (rc == 0) {
        if (text.len)
            memcpy(out, text.data, text.len);
        out[text.len] = 0;
        rc = check_form(out, form, err);
    }
    buf_done(&text);
    return rc;
}
