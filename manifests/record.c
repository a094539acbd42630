#include "manifests/record.h"

#include "base/clock.h"
#include "manifests/canon.h"
#include "manifests/rotation.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define BIT(t)   (1u << (t))
#define COUNT(a) (sizeof(a) / sizeof *(a))

#define ALL      (BIT(RECORD_TYPES) - 2u) /* every type, from 1 on */
#define IDENTITY (BIT(RECORD_ADD) | BIT(RECORD_REPLACE))
#define NAMED    (ALL & ~BIT(RECORD_ROTATE))
#define CHANGES                                                                                    \
    (BIT(RECORD_REPLACE) | BIT(RECORD_REVOKE) | BIT(RECORD_DECOMMISSION) | BIT(RECORD_RECOMMISSION))
#define REASONED (BIT(RECORD_REVOKE) | BIT(RECORD_VOID) | BIT(RECORD_DECOMMISSION))

static const char *const type_names[] = {NULL,   "add",          "replace",      "revoke", "void",
                                         "attr", "decommission", "recommission", "rotate"};
static const char *const mode_names[] = {NULL, "hsm", "device", "derived"};
static const char *const auth_names[] = {NULL, "attested", "enrolled", "none"};
static const char *const use_names[] = {NULL, "registration", "operational"};
enum kind { TEXT, TIME, HEX, BASE64, BYTES, CHIP, CHOICE, BOOLEAN, NUMBER, UDI, FW, RAW };
enum need { MUST_NOT, MAY, MUST };

struct member {
    const char *name;
    enum kind kind;
    size_t offset;            /* in struct record */
    size_t size;              /* of the field: TEXT, HEX, BASE64; most bytes: BYTES */
    const char *const *names; /* CHOICE */
    size_t count;
    unsigned must, may;                       /* types that have to, or can, have it */
    enum need (*need)(const struct record *); /* instead of must and may */
};

/* A device record says which unit it was: all of them, and a void whose key was released. */
static enum need need_device(const struct record *r)
{
    if (r->t == RECORD_VOID)
        return r->reason == RECORD_BURNED ? MUST : MUST_NOT;
    return (IDENTITY | BIT(RECORD_DECOMMISSION) | BIT(RECORD_RECOMMISSION)) & BIT(r->t) ? MUST
                                                                                        : MUST_NOT;
}

static enum need need_chip(const struct record *r)
{
    return r->t == RECORD_ATTR ? MAY : need_device(r);
}

static enum need need_cert(const struct record *r)
{
    if (r->t == RECORD_VOID)
        return MAY;
    return (IDENTITY & BIT(r->t)) && r->mode != RECORD_MODE_DERIVED ? MUST : MUST_NOT;
}

/* iss and spki come and go with the certificate. */
static enum need need_with_cert(const struct record *r)
{
    if (r->t == RECORD_VOID)
        return r->cert.p ? MUST : MUST_NOT;
    return need_cert(r);
}

/* Where no random public key makes the leaf hash unguessable, n does. */
static enum need need_n(const struct record *r)
{
    return r->spki.p ? MUST_NOT : MUST;
}

#define AT(field)     offsetof(struct record, field)
#define SIZED(field)  AT(field), sizeof(((struct record *)0)->field)
#define CHOICES(list) .names = list, .count = COUNT(list)

static const struct member members[] = {
    {"auth", CHOICE, AT(auth), 0, CHOICES(auth_names), .must = IDENTITY},
    {"cert", BYTES, AT(cert), RECORD_CERT_MAX, .need = need_cert},
    {"chip", CHIP, SIZED(chip), .need = need_chip},
    {"crit", RAW, AT(crit), 0, .may = ALL},
    {"ev", HEX, SIZED(ev), .must = IDENTITY},
    {"ext", RAW, AT(ext), 0, .may = ALL},
    {"fw", FW, AT(fw), 0, .may = NAMED},
    {"hsm", TEXT, SIZED(hsm), .must = IDENTITY},
    {"iss", HEX, SIZED(iss), .need = need_with_cert},
    {"lock", BOOLEAN, AT(lock), 0, .must = IDENTITY},
    {"mode", CHOICE, AT(mode), 0, CHOICES(mode_names), .must = IDENTITY},
    {"n", BASE64, SIZED(n), .need = need_n},
    {"order", HEX, SIZED(order), .must = NAMED},
    {"plain", BOOLEAN, AT(plain), 0, .must = IDENTITY},
    {"prod", TEXT, SIZED(prod), .must = NAMED},
    {"reason", CHOICE, AT(reason), 0, .names = record_reason_names, .count = RECORD_REASONS,
     .must = REASONED},
    {"ref", NUMBER, AT(ref), 0, .must = CHANGES},
    {"sn", TEXT, SIZED(sn), .must = NAMED},
    {"spki", BYTES, AT(spki), RECORD_SPKI_MAX, .need = need_with_cert},
    {"t", CHOICE, AT(t), 0, CHOICES(type_names), .must = ALL},
    {"ts", TIME, AT(ts), 0, .must = ALL},
    {"tx", HEX, SIZED(tx), .need = need_device},
    {"udi", UDI, AT(udi), 0, .may = NAMED},
    {"use", CHOICE, AT(use), 0, CHOICES(use_names), .must = IDENTITY},
};

static enum need need_of(const struct member *m, const struct record *r)
{
    if (m->need)
        return m->need(r);
    return m->must & BIT(r->t) ? MUST : m->may & BIT(r->t) ? MAY : MUST_NOT;
}

static const void *field(const struct record *r, const struct member *m)
{
    return (const char *)r + m->offset;
}

/* Whether a record in memory holds the member; a fixed-size value always does. */
static bool holds(const struct record *r, const struct member *m)
{
    const void *p = field(r, m);

    switch (m->kind) {
    case TEXT:
        return *(const char *)p != 0;
    case BYTES:
        return ((const struct record_bytes *)p)->p != NULL;
    case CHIP:
        return r->chip_len != 0;
    case UDI:
        return r->udi.gtin[0] != 0;
    case FW:
        return r->fw.version[0] != 0;
    case RAW:
        return *(const char *const *)p != NULL;
    case CHOICE:
        return *(const int *)p > 0 && *(const int *)p < (int)m->count;
    default:
        return true;
    }
}

/* Kinds whose value in memory says whether they are there. */
static bool can_be_absent(enum kind kind)
{
    return kind == TEXT || kind == BYTES || kind == CHIP || kind == UDI || kind == FW ||
           kind == RAW;
}

static void write_udi(struct jcs *j, const struct record_udi *udi)
{
    jcs_object(j, "udi");
    if (udi->exp[0])
        jcs_str(j, "exp", udi->exp);
    jcs_str(j, "gtin", udi->gtin);
    if (udi->lot[0])
        jcs_str(j, "lot", udi->lot);
    if (udi->mfd[0])
        jcs_str(j, "mfd", udi->mfd);
    jcs_end(j);
}

static void write_fw(struct jcs *j, const struct record_fw *fw)
{
    jcs_object(j, "fw");
    if (fw->has_debug)
        jcs_bool(j, "debug", fw->debug);
    if (fw->has_sha256)
        jcs_hex(j, "sha256", fw->sha256, sizeof fw->sha256);
    jcs_str(j, "version", fw->version);
    jcs_end(j);
}

static void write_time(struct jcs *j, const char *name, int64_t utc)
{
    char text[CLOCK_TEXT_SIZE];

    clock_text(utc, text);
    jcs_str(j, name, text);
}

static void write_member(struct jcs *j, const struct record *r, const struct member *m)
{
    const void *p = field(r, m);
    const struct record_bytes *bytes = p;

    switch (m->kind) {
    case TEXT:
        return jcs_str(j, m->name, p);
    case TIME:
        return write_time(j, m->name, *(const int64_t *)p);
    case HEX:
        return jcs_hex(j, m->name, p, m->size);
    case BASE64:
        return jcs_base64(j, m->name, p, m->size);
    case BYTES:
        return jcs_base64(j, m->name, bytes->p, bytes->len);
    case CHIP:
        return jcs_hex(j, m->name, r->chip, r->chip_len);
    case CHOICE:
        return jcs_str(j, m->name, m->names[*(const int *)p]);
    case BOOLEAN:
        return jcs_bool(j, m->name, *(const bool *)p);
    case NUMBER:
        return jcs_int(j, m->name, (int64_t) * (const uint64_t *)p);
    case UDI:
        return write_udi(j, &r->udi);
    case FW:
        return write_fw(j, &r->fw);
    case RAW:
        return canon_write_text(j, m->name, *(const char *const *)p);
    }
}

/* What the table cannot say: values that must fit each other. */
static int check_values(const struct record *r, int code, struct error *err)
{
    bool is_void = r->t == RECORD_VOID;
    int64_t again;
    char text[CLOCK_TEXT_SIZE];

    if ((BIT(r->t) & REASONED) && is_void != (r->reason <= RECORD_BURNED))
        return error_set(err, code, "reason '%s' is not possible in a '%s' record",
                         record_reason_name(r->reason), record_type_name(r->t));
    if (strchr(r->prod, ' ') || strchr(r->sn, ' '))
        return error_set(err, code, "a product or serial has a blank in it");
    if (r->ts < 0 || r->ts > INT64_C(253402300799))
        return error_set(err, code, "member 'ts' is outside the years 1970 to 9999");
    if (r->udi.gtin[0] && strspn(r->udi.gtin, "0123456789") != 14)
        return error_set(err, code, "member 'gtin' of udi is not 14 digits");
    for (int i = 0; i < 2; i++) {
        const char *date = i ? r->udi.mfd : r->udi.exp;

        if (!date[0])
            continue;
        snprintf(text, sizeof text, "%sT00:00:00Z", date);
        if (clock_parse(text, &again))
            return error_set(err, code, "'%s' in udi is not a date like 2026-01-31", date);
    }
    return 0;
}

/* Checks a record in memory against the table. seen: the members that a parsed line had. */
static int check_members(const struct record *r, const bool *seen, int code, struct error *err)
{
    if (r->t < RECORD_ADD || r->t >= RECORD_TYPES)
        return error_set(err, code, "a record has no type");
    for (size_t i = 0; i < COUNT(members); i++) {
        const struct member *m = &members[i];
        enum need need = need_of(m, r);
        bool there = seen ? seen[i] : holds(r, m);

        if (need == MUST && !there)
            return error_set(err, code, "a '%s' record needs the member '%s'",
                             record_type_name(r->t), m->name);
        if (need == MUST_NOT && there && (seen || can_be_absent(m->kind)))
            return error_set(err, code, "this '%s' record cannot have the member '%s'",
                             record_type_name(r->t), m->name);
    }
    return check_values(r, code, err);
}

static void write_line(const struct record *r, struct buf *line)
{
    struct jcs j;

    jcs_init(&j, line);
    jcs_object(&j, NULL);
    for (size_t i = 0; i < COUNT(members); i++) {
        enum need need = need_of(&members[i], r);

        if (need == MUST || (need == MAY && holds(r, &members[i])))
            write_member(&j, r, &members[i]);
    }
    jcs_end(&j);
}

static bool bytes_too_long(const struct record_bytes *b, size_t max)
{
    return b->p && (b->len == 0 || b->len > max);
}

int record_write(const struct record *r, struct buf *line, struct error *err)
{
    struct buf made;
    int rc = check_members(r, NULL, ERR_INPUT, err);

    if (rc == 0 && canon_check_ext_form(r->ext, r->crit, NULL))
        rc = error_set(err, ERR_INPUT,
                       "ext is not a JSON object, or crit not a list of names of its members");
    if (rc == 0 && (bytes_too_long(&r->cert, RECORD_CERT_MAX) ||
                    bytes_too_long(&r->spki, RECORD_SPKI_MAX) || r->chip_len > sizeof r->chip))
        rc = error_set(err, ERR_INPUT, "a certificate, key or chip id is empty or too long");
    if (rc)
        return rc;
    buf_init(&made, RECORD_LINE_MAX);
    write_line(r, &made);
    if (buf_failed(&made))
        rc = error_set(err, ERR_INPUT,
                       "the record of '%s' has a text that is not printable ASCII, a number that "
                       "is too large, or is longer than %d bytes",
                       r->sn, RECORD_LINE_MAX);
    else
        buf_put(line, made.data, made.len);
    buf_done(&made);
    return rc ? rc : buf_check(line, "the record", err);
}

static void read_udi(struct canon *c, struct record_udi *udi)
{
    struct canon in;

    canon_enter(c, "udi", &in);
    if (canon_has(&in, "exp"))
        canon_text(&in, "exp", udi->exp, sizeof udi->exp);
    canon_text(&in, "gtin", udi->gtin, sizeof udi->gtin);
    if (canon_has(&in, "lot"))
        canon_text(&in, "lot", udi->lot, sizeof udi->lot);
    if (canon_has(&in, "mfd"))
        canon_text(&in, "mfd", udi->mfd, sizeof udi->mfd);
    in.rc = canon_end(&in);
    canon_leave(c, &in);
}

static void read_fw(struct canon *c, struct record_fw *fw)
{
    struct canon in;

    canon_enter(c, "fw", &in);
    fw->has_debug = canon_has(&in, "debug");
    if (fw->has_debug)
        canon_bool(&in, "debug", &fw->debug);
    fw->has_sha256 = canon_has(&in, "sha256");
    if (fw->has_sha256)
        canon_hex(&in, "sha256", fw->sha256, sizeof fw->sha256);
    canon_text(&in, "version", fw->version, sizeof fw->version);
    in.rc = canon_end(&in);
    canon_leave(c, &in);
}

/*
 * Appends decoded bytes or a text to held. held has its final room from the start, so pointers into
 * it stay valid.
 */
static void read_bytes(struct canon *c, const char *name, size_t max, struct buf *held,
                       struct record_bytes *out)
{
    size_t from = held->len;

    canon_base64_any(c, name, held);
    if (c->rc == 0 && (held->len == from || held->len - from > max))
        canon_fail(c, "member '%s' of %s is empty or longer than %zu bytes", name, c->what, max);
    if (c->rc == 0)
        *out = (struct record_bytes){held->data + from, held->len - from};
}

static void read_raw(struct canon *c, const char *name, struct buf *held, const char **out)
{
    size_t from = held->len;

    canon_raw(c, name, held);
    buf_put_u8(held, 0);
    if (c->rc == 0)
        *out = (const char *)held->data + from;
}

static void read_member(struct canon *c, struct record *r, const struct member *m)
{
    void *p = (char *)r + m->offset;

    switch (m->kind) {
    case TEXT:
        return canon_text(c, m->name, p, m->size);
    case TIME:
        return canon_time(c, m->name, p);
    case HEX:
        return canon_hex(c, m->name, p, m->size);
    case BASE64:
        return canon_base64(c, m->name, p, m->size);
    case BYTES:
        return read_bytes(c, m->name, m->size, &r->held, p);
    case CHIP:
        return canon_hex_any(c, m->name, r->chip, sizeof r->chip, &r->chip_len);
    case CHOICE:
        return canon_choice(c, m->name, m->names, m->count, p);
    case BOOLEAN:
        return canon_bool(c, m->name, p);
    case NUMBER:
        return canon_u64(c, m->name, p);
    case UDI:
        return read_udi(c, &r->udi);
    case FW:
        return read_fw(c, &r->fw);
    case RAW:
        return read_raw(c, m->name, &r->held, p);
    }
}

/* Decoded bytes and canonical texts are never longer than the line they came from. */
static int make_room(struct buf *held, size_t len, struct error *err)
{
    buf_init(held, len + 2);
    if (!buf_grow(held, len + 2))
        return error_set(err, ERR_INTERNAL, "out of memory for a record");
    buf_reset(held);
    return 0;
}

static int read_members(const void *line, size_t len, struct record *r, struct error *err)
{
    bool seen[COUNT(members)] = {false};
    struct canon c;
    int rc = canon_open_line(&c, line, len, "the record", err);

    for (size_t i = 0; rc == 0 && i < COUNT(members); i++) {
        seen[i] = canon_has(&c, members[i].name);
        if (seen[i])
            read_member(&c, r, &members[i]);
    }
    if (rc == 0)
        rc = canon_end(&c);
    canon_close(&c);
    return rc ? rc : check_members(r, seen, ERR_FORMAT, err);
}

static int same_bytes(const struct record *r, const void *line, size_t len, struct error *err)
{
    struct buf again;
    int rc;

    buf_init(&again, RECORD_LINE_MAX);
    buf_reserve(&again, len); /* what is the same is as long */
    write_line(r, &again);
    rc = canon_same(&again, line, len,
                    "the record is not canonical JSON: order of members, blanks or escapes", err);
    buf_done(&again);
    return rc;
}

int record_parse(const void *line, size_t len, struct record *r, struct error *err)
{
    struct record made = {0};
    int rc;

    if (len > RECORD_LINE_MAX)
        return error_set(err, ERR_FORMAT, "the record is longer than %d bytes", RECORD_LINE_MAX);
    rc = make_room(&made.held, len, err);
    if (rc == 0)
        rc = read_members(line, len, &made, err);
    if (rc == 0)
        rc = same_bytes(&made, line, len, err);
    if (rc == 0)
        rc = canon_check_ext(made.ext, made.crit, made.t == RECORD_ROTATE ? ROTATION_MEMBER : NULL,
                             err);
    if (rc)
        record_done(&made);
    else
        *r = made;
    return rc;
}

void record_done(struct record *r)
{
    buf_done(&r->held);
}

bool record_has_ref(const struct record *r)
{
    return (CHANGES & BIT(r->t)) != 0;
}

const char *record_type_name(enum record_type t)
{
    return t >= RECORD_ADD && t < RECORD_TYPES ? type_names[t] : "?";
}
