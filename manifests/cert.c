#include "manifests/cert.h"

#include "base/clock.h"

#include <string.h>

#define TAG_BOOLEAN    0x01
#define TAG_INTEGER    0x02
#define TAG_BIT_STRING 0x03
#define TAG_OCTETS     0x04
#define TAG_OID        0x06
#define TAG_UTF8       0x0c
#define TAG_PRINTABLE  0x13
#define TAG_UTC_TIME   0x17
#define TAG_TIME       0x18
#define TAG_SEQUENCE   0x30
#define TAG_SET        0x31
#define TAG_VERSION    0xa0
#define TAG_EXTENSIONS 0xa3

static const uint8_t oid_serial_number[] = {0x55, 0x04, 0x05};
static const uint8_t oid_basic_constraints[] = {0x55, 0x1d, 0x13};

/* A definite length in its shortest form, of at most three bytes. */
static int read_length(struct reader *r, size_t *len)
{
    uint8_t first, next;
    size_t value = 0;

    if (reader_u8(r, &first))
        return ERR_FORMAT;
    if (first < 0x80) {
        *len = first;
        return 0;
    }
    if (first < 0x81 || first > 0x83)
        return ERR_FORMAT;
    for (int i = first & 0x7f; i > 0; i--) {
        if (reader_u8(r, &next))
            return ERR_FORMAT;
        value = value << 8 | next;
    }
    if (value < 0x80 || value >> (8 * ((first & 0x7f) - 1)) == 0)
        return ERR_FORMAT;
    *len = value;
    return 0;
}

/* The next element, which must have this tag: its contents and, where asked for, all of it. */
static int take(struct reader *r, uint8_t tag, struct reader *contents, struct record_bytes *whole)
{
    const uint8_t *from = r->p, *view;
    uint8_t found;
    size_t len;

    if (reader_u8(r, &found) || found != tag || read_length(r, &len) || reader_view(r, &view, len))
        return ERR_FORMAT;
    if (contents)
        reader_init(contents, view, len);
    if (whole)
        *whole = (struct record_bytes){from, (size_t)(r->p - from)};
    return 0;
}

static bool next_is(const struct reader *r, uint8_t tag)
{
    return r->left > 0 && r->p[0] == tag;
}

static bool equals(const struct reader *r, const void *bytes, size_t len)
{
    return r->left == len && memcmp(r->p, bytes, len) == 0;
}

/* One relative distinguished name: a SET of one attribute or more. */
static int parse_rdn(struct reader *rdn, struct cert *c)
{
    while (rdn->left) {
        struct reader attribute, oid, text;

        if (take(rdn, TAG_SEQUENCE, &attribute, NULL) || take(&attribute, TAG_OID, &oid, NULL))
            return ERR_FORMAT;
        if (!equals(&oid, oid_serial_number, sizeof oid_serial_number))
            continue;
        if (c->sn.p || (take(&attribute, TAG_PRINTABLE, &text, NULL) &&
                        take(&attribute, TAG_UTF8, &text, NULL)))
            return ERR_FORMAT;
        c->sn = (struct record_bytes){text.p, text.left};
    }
    return 0;
}

static int parse_subject(struct reader *name, struct cert *c)
{
    while (name->left) {
        struct reader rdn;

        if (take(name, TAG_SET, &rdn, NULL) || parse_rdn(&rdn, c))
            return ERR_FORMAT;
    }
    return 0;
}

/* SEQUENCE { cA BOOLEAN DEFAULT FALSE, ... } inside the OCTET STRING of an extension. */
static int parse_basic_constraints(struct reader *octets, struct cert *c)
{
    struct reader value, flag;

    if (take(octets, TAG_SEQUENCE, &value, NULL) || reader_end(octets))
        return ERR_FORMAT;
    if (next_is(&value, TAG_BOOLEAN)) {
        if (take(&value, TAG_BOOLEAN, &flag, NULL) || flag.left != 1)
            return ERR_FORMAT;
        c->is_ca = flag.p[0] != 0;
    }
    return 0;
}

/* Whether one of the extensions from `list` up to `end` has this OID (RFC 5280 section 4.2: at most one may). */
static bool came_before(struct reader list, const uint8_t *end, const struct reader *oid)
{
    struct reader extension, before;

    while (list.p < end && take(&list, TAG_SEQUENCE, &extension, NULL) == 0 &&
           take(&extension, TAG_OID, &before, NULL) == 0)
        if (equals(&before, oid->p, oid->left))
            return true;
    return false;
}

static int parse_extensions(struct reader *tbs, struct cert *c)
{
    struct reader wrapper, list, all;

    if (take(tbs, TAG_EXTENSIONS, &wrapper, NULL) || take(&wrapper, TAG_SEQUENCE, &list, NULL) ||
        reader_end(&wrapper))
        return ERR_FORMAT;
    all = list;
    while (list.left) {
        const uint8_t *begin = list.p;
        struct reader extension, oid, octets, flag;

        if (take(&list, TAG_SEQUENCE, &extension, NULL) || take(&extension, TAG_OID, &oid, NULL) ||
            came_before(all, begin, &oid))
            return ERR_FORMAT;
        if (next_is(&extension, TAG_BOOLEAN) && take(&extension, TAG_BOOLEAN, &flag, NULL))
            return ERR_FORMAT;
        if (take(&extension, TAG_OCTETS, &octets, NULL) || reader_end(&extension))
            return ERR_FORMAT;
        if (equals(&oid, oid_basic_constraints, sizeof oid_basic_constraints) &&
            parse_basic_constraints(&octets, c))
            return ERR_FORMAT;
    }
    return 0;
}

/* YYMMDDHHMMSSZ, of the years 1950 to 2049, or YYYYMMDDHHMMSSZ (RFC 5280 section 4.1.2.5). */
static int parse_time(struct reader *validity, int64_t *utc)
{
    bool two = next_is(validity, TAG_UTC_TIME);
    size_t year = two ? 2 : 4;
    char text[CLOCK_TEXT_SIZE];
    struct reader time;

    if (take(validity, two ? TAG_UTC_TIME : TAG_TIME, &time, NULL) || time.left != year + 11 ||
        time.p[time.left - 1] != 'Z')
        return ERR_FORMAT;
    memcpy(text, time.p[0] >= '5' ? "1900-00-00T00:00:00Z" : "2000-00-00T00:00:00Z", sizeof text);
    memcpy(text + 4 - year, time.p, year);
    for (size_t i = 0; i < 5; i++)
        memcpy(text + 5 + 3 * i, time.p + year + 2 * i, 2);
    return clock_parse(text, utc);
}

static int parse_tbs(struct reader *tbs, struct cert *c)
{
    struct reader serial, validity, subject;
    struct record_bytes algorithm;

    if (next_is(tbs, TAG_VERSION) && take(tbs, TAG_VERSION, &serial, NULL))
        return ERR_FORMAT;
    if (take(tbs, TAG_INTEGER, &serial, NULL) || serial.left == 0 ||
        take(tbs, TAG_SEQUENCE, NULL, &algorithm) ||
        !scheme_parse(algorithm.p, algorithm.len, &c->scheme) ||
        take(tbs, TAG_SEQUENCE, NULL, &c->issuer) || take(tbs, TAG_SEQUENCE, &validity, NULL) ||
        parse_time(&validity, &c->not_before) || take(tbs, TAG_SEQUENCE, &subject, NULL) ||
        parse_subject(&subject, c) || take(tbs, TAG_SEQUENCE, NULL, &c->spki))
        return ERR_FORMAT;
    c->serial = (struct record_bytes){serial.p, serial.left};
    if (next_is(tbs, TAG_EXTENSIONS) && parse_extensions(tbs, c))
        return ERR_FORMAT;
    return reader_end(tbs);
}

int cert_parse(const uint8_t *der, size_t len, struct cert *cert)
{
    struct cert c = {0};
    struct record_bytes algorithm;
    struct reader all, body, tbs, bits;
    enum sig_scheme outer;
    uint8_t unused;

    reader_init(&all, der, len);
    if (take(&all, TAG_SEQUENCE, &body, NULL) || reader_end(&all) ||
        take(&body, TAG_SEQUENCE, &tbs, &c.tbs) || parse_tbs(&tbs, &c) ||
        take(&body, TAG_SEQUENCE, NULL, &algorithm) ||
        !scheme_parse(algorithm.p, algorithm.len, &outer) || outer != c.scheme ||
        take(&body, TAG_BIT_STRING, &bits, NULL) || reader_end(&body) ||
        reader_u8(&bits, &unused) || unused != 0)
        return ERR_FORMAT;
    c.signature = (struct record_bytes){bits.p, bits.left};
    *cert = c;
    return 0;
}
