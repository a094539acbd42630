#include "pki/template.h"

#include "base/clock.h"
#include "pki/profile_build.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define YEAR_2050    INT64_C(2524608000)
#define PLACES_MAX   32 /* where the values of a certificate are, all together */
#define COMPILED_MAX 256

/* The values that differ from certificate to certificate. */
static const enum pattern_value varying[] = {VALUE_SERIAL, VALUE_CHIP_ID, VALUE_UDI};
#define VARYING (sizeof varying / sizeof *varying)

/* What has to be the same for two certificates to be patched in the same places. */
struct shape {
    size_t len[VARYING];
    bool begins_late, ends_late; /* in 2050 or later: GeneralizedTime */
};

/* Both times of a certificate, as numbers and as they are written. */
struct times {
    int64_t issued, value[2];
    char text[2][16]; /* 13 characters, or 15 */
    size_t len[2];
};

struct place {
    size_t at, value; /* index of varying */
};

/* A TBSCertificate and where to patch it. 0 is no place: there the outermost header is. */
struct compiled {
    struct shape shape;
    struct buf tbs;
    size_t number, key, key_id, not_before, not_after;
    struct place places[PLACES_MAX];
    size_t place_count;
    struct compiled *next;
};

struct cert_template {
    struct cert_profile profile;
    char *values[VALUE_COUNT]; /* NULL: differs, or is not known */
    X509 *issuer;
    enum key_type key;
    enum sig_scheme scheme;
    size_t signature_max; /* algorithm and BIT STRING */
    unsigned uses;
    bool begins_at_issuance, end_is_relative;
    struct times times;        /* of the last certificate: mostly those of the next */
    struct compiled *compiled; /* the last used first */
};

static int times_of(const struct cert_template *t, int64_t issued, struct times *out,
                    struct error *err)
{
    int rc = profile_times(&t->profile.validity, issued, &out->value[0], &out->value[1], err);

    out->issued = issued;
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)out->value[i]);

        out->len[i] = time ? (size_t)ASN1_STRING_length(time) : 0;
        if (out->len[i] == 13 || out->len[i] == 15)
            memcpy(out->text[i], ASN1_STRING_get0_data(time), out->len[i]);
        else
            rc = error_set(err, ERR_CRYPTO, "OpenSSL cannot write a time");
        ASN1_TIME_free(time);
    }
    return rc;
}

static const char *varying_of(const struct cert_subject *s, size_t i)
{
    const char *const all[VARYING] = {s->serial, s->chip_id, s->udi};

    return all[i];
}

static void shape_of(const struct cert_template *t, const struct cert_subject *s,
                     const struct times *times, struct shape *shape)
{
    shape->begins_late = times->value[0] >= YEAR_2050;
    shape->ends_late = times->value[1] >= YEAR_2050;
    for (size_t i = 0; i < VARYING; i++)
        shape->len[i] = t->uses & 1u << varying[i] ? strlen(varying_of(s, i)) : 0;
}

static bool same_shape(const struct shape *a, const struct shape *b)
{
    return memcmp(a->len, b->len, sizeof a->len) == 0 && a->begins_late == b->begins_late &&
           a->ends_late == b->ends_late;
}

/* ---- A certificate by OpenSSL: what the patched bytes have to equal. ---- */

static int reference_tbs(const struct cert_template *t, const struct cert_subject *s,
                         struct buf *out, struct error *err)
{
    const char *values[VALUE_COUNT];
    const struct profile_input input = {s->number, &s->key, s->not_before, values, t->issuer};

    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = t->values[i];
    for (size_t i = 0; i < VARYING; i++)
        values[varying[i]] = varying_of(s, i);
    buf_reset(out);
    return profile_build_tbs(&t->profile, &input, t->scheme, out, err);
}

/* A subject with random number and key, whose values are 'a' in the given lengths. */
struct sample {
    struct cert_subject subject;
    char texts[VARYING][PROFILE_TEXT_MAX + 1];
};

static int sample_init(struct sample *s, enum key_type type, const struct shape *shape,
                       int64_t not_before, struct error *err)
{
    const char **subject[VARYING] = {&s->subject.serial, &s->subject.chip_id, &s->subject.udi};
    int rc = key_random(type, &s->subject.key, err);

    if (rc == 0 && RAND_bytes(s->subject.number, CERT_NUMBER_SIZE) != 1)
        rc = error_set(err, ERR_CRYPTO, "OpenSSL makes no random number");
    s->subject.number[0] = 0x01;
    s->subject.not_before = not_before;
    for (size_t i = 0; i < VARYING; i++) {
        *subject[i] = shape->len[i] ? s->texts[i] : NULL;
        memset(s->texts[i], 'a', shape->len[i]);
        s->texts[i][shape->len[i]] = 0;
    }
    return rc;
}

/* ---- Compiling. ---- */

/* The one place where needle is; 0 when there is none, or more than one. */
static size_t locate(const struct buf *tbs, const void *needle, size_t len)
{
    size_t found = 0;

    for (size_t at = 1; at + len <= tbs->len; at++)
        if (memcmp(tbs->data + at, needle, len) == 0) {
            if (found)
                return 0;
            found = at;
        }
    return found;
}

/* Found by the encoding of both together: a name cannot hold their tags. */
static bool locate_times(const struct cert_template *t, const struct times *times,
                         struct compiled *c)
{
    uint8_t both[40], *p = both;
    size_t at;

    for (size_t i = 0; i < 2; i++) {
        *p++ = times->len[i] == 13 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME;
        *p++ = (uint8_t)times->len[i];
        memcpy(p, times->text[i], times->len[i]);
        p += times->len[i];
    }
    at = locate(&c->tbs, both, (size_t)(p - both));
    c->not_before = t->begins_at_issuance ? at + 2 : 0;
    c->not_after = t->begins_at_issuance && t->end_is_relative ? at + 2 + times->len[0] + 2 : 0;
    return at > 0;
}

static bool locate_fixed(const struct cert_template *t, const struct cert_subject *s,
                         struct compiled *c)
{
    uint8_t key_id[CERT_KEY_ID_SIZE];

    cert_key_id(&s->key, key_id);
    c->number = locate(&c->tbs, s->number, sizeof s->number);
    c->key = locate(&c->tbs, s->key.spki, s->key.len);
    c->key_id = t->profile.subject_key_id ? locate(&c->tbs, key_id, sizeof key_id) : 0;
    return c->number && c->key && (c->key_id || !t->profile.subject_key_id);
}

/* Where two certificates differ that differ in this value: each run is one place, or several that
 * touch. */
static bool add_places(struct compiled *c, const struct buf *other, size_t value)
{
    size_t len = c->shape.len[value], found = 0;

    for (size_t at = 0; at < c->tbs.len; at++) {
        size_t run = 0;

        while (at + run < c->tbs.len && run < len && c->tbs.data[at + run] != other->data[at + run])
            run++;
        if (run == 0)
            continue;
        if (run != len || c->place_count == PLACES_MAX)
            return false;
        c->places[c->place_count++] = (struct place){at, value};
        at += len - 1;
        found++;
    }
    return found > 0;
}

static int no_template(const struct cert_template *t, const char *why, struct error *err)
{
    return error_set(err, ERR_CRYPTO, "cannot compile a template of profile '%s': %s",
                     t->profile.name, why);
}

static int locate_values(const struct cert_template *t, struct sample *s, struct compiled *c,
                         struct error *err)
{
    struct buf other;
    int rc = 0;

    buf_init(&other, CERT_DER_MAX);
    for (size_t i = 0; rc == 0 && i < VARYING; i++) {
        if (!c->shape.len[i])
            continue;
        memset(s->texts[i], 'b', c->shape.len[i]);
        rc = reference_tbs(t, &s->subject, &other, err);
        memset(s->texts[i], 'a', c->shape.len[i]);
        if (rc == 0 && (other.len != c->tbs.len || !add_places(c, &other, i)))
            rc = no_template(t, "a value is in too many places, or nowhere", err);
    }
    buf_done(&other);
    return rc;
}

static void patch(const struct compiled *c, const struct cert_subject *s, const struct times *times,
                  uint8_t *tbs)
{
    memcpy(tbs, c->tbs.data, c->tbs.len);
    memcpy(tbs + c->number, s->number, sizeof s->number);
    memcpy(tbs + c->key, s->key.spki, s->key.len);
    if (c->key_id)
        cert_key_id(&s->key, tbs + c->key_id);
    if (c->not_before)
        memcpy(tbs + c->not_before, times->text[0], times->len[0]);
    if (c->not_after)
        memcpy(tbs + c->not_after, times->text[1], times->len[1]);
    for (size_t i = 0; i < c->place_count; i++) {
        size_t value = c->places[i].value;

        memcpy(tbs + c->places[i].at, varying_of(s, value), c->shape.len[value]);
    }
}

/* Other times whose texts have the same forms; at worst the same. */
static void other_times(const struct cert_template *t, const struct times *times,
                        struct times *other)
{
    static const int64_t steps[] = {34563671, -34563671, 1, -1};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (times_of(t, times->issued + steps[i], other, NULL) == 0 &&
            memcmp(other->len, times->len, sizeof times->len) == 0)
            return;
    *other = *times;
}

/* Does patching give what OpenSSL gives, for values that have nothing in common with the sample? */
static int reproduces(const struct cert_template *t, const struct compiled *c,
                      const struct times *times, struct error *err)
{
    struct sample other;
    struct times at;
    uint8_t patched[CERT_DER_MAX];
    struct buf reference;
    int rc;

    other_times(t, times, &at);
    rc = sample_init(&other, t->key, &c->shape, at.issued, err);
    buf_init(&reference, sizeof patched);
    for (size_t i = 0; i < VARYING; i++)
        for (size_t k = 0; k < c->shape.len[i]; k++)
            other.texts[i][k] = "cdefghijklmnopqrstuvwxyz0123456789"[(k + 7 * i) % 34];
    if (rc == 0)
        rc = reference_tbs(t, &other.subject, &reference, err);
    if (rc == 0) {
        patch(c, &other.subject, &at, patched);
        if (reference.len != c->tbs.len || memcmp(patched, reference.data, reference.len))
            rc = no_template(t, "patching does not give what OpenSSL builds", err);
    }
    buf_done(&reference);
    return rc;
}

/* SEQUENCE { tbs, algorithm, signature }, with the longest signature. */
static size_t size_of(const struct compiled *c, size_t signature_max)
{
    size_t body = c->tbs.len + signature_max;

    return body + (body < 128 ? 2 : body < 256 ? 3 : 4);
}

static int check_size(const struct cert_template *t, const struct compiled *c, struct error *err)
{
    size_t most = t->profile.max_size ? (size_t)t->profile.max_size : CERT_DER_MAX;
    X509_NAME *name = X509_get_subject_name(t->issuer);

    if (size_of(c, t->signature_max) <= most)
        return 0;
    return error_set(err, ERR_INPUT,
                     "a certificate of profile '%s' would take up to %zu octets, and may have %zu: "
                     "%d of them are the issuer's name; shorten serials or names",
                     t->profile.name, size_of(c, t->signature_max), most,
                     i2d_X509_NAME(name, NULL));
}

static void compiled_free(struct compiled *c)
{
    if (c)
        buf_done(&c->tbs);
    free(c);
}

static int compile_shape(const struct cert_template *t, struct compiled *c, struct error *err)
{
    struct sample s;
    int rc = sample_init(&s, t->key, &c->shape, t->times.issued, err);

    if (rc == 0)
        rc = reference_tbs(t, &s.subject, &c->tbs, err);
    if (rc == 0 && (!locate_fixed(t, &s.subject, c) || !locate_times(t, &t->times, c)))
        rc = no_template(t, "number, key or times are not where they are looked for", err);
    if (rc == 0)
        rc = locate_values(t, &s, c, err);
    if (rc == 0)
        rc = check_size(t, c, err);
    return rc ? rc : reproduces(t, c, &t->times, err);
}

/* Forgets what was not used for longest. */
static void trim(struct cert_template *t)
{
    struct compiled **end = &t->compiled;
    size_t n = 0;

    for (; *end && n < COMPILED_MAX; n++)
        end = &(*end)->next;
    compiled_free(*end);
    *end = NULL;
}

static int compile(struct cert_template *t, const struct shape *shape, struct error *err)
{
    struct compiled *c = calloc(1, sizeof *c);
    int rc;

    if (!c)
        return error_set(err, ERR_INTERNAL, "out of memory");
    c->shape = *shape;
    buf_init(&c->tbs, CERT_DER_MAX);
    rc = compile_shape(t, c, err);
    if (rc) {
        compiled_free(c);
        return rc;
    }
    c->next = t->compiled;
    t->compiled = c;
    trim(t);
    return 0;
}

/* The compilation for a subject, at the head of the list. */
static int find(struct cert_template *t, const struct cert_subject *s, struct error *err)
{
    struct shape shape;
    int rc = 0;

    if (t->times.issued != s->not_before || !t->times.len[0])
        rc = times_of(t, s->not_before, &t->times, err);
    if (rc) {
        t->times.len[0] = 0;
        return rc;
    }
    shape_of(t, s, &t->times, &shape);
    for (struct compiled **at = &t->compiled; *at; at = &(*at)->next)
        if (same_shape(&(*at)->shape, &shape)) {
            struct compiled *c = *at;

            *at = c->next;
            c->next = t->compiled;
            t->compiled = c;
            return 0;
        }
    return compile(t, &shape, err);
}

/* ---- What may be a subject. ---- */

/* A value is patched without being expanded, so it has to fit every form of pattern.h: letters and
 * digits do, and '-' within, which is what a serial may have. */
static int check_values(const struct cert_template *t, const struct cert_subject *s,
                        struct error *err)
{
    int rc = serial_valid(s->serial, err);

    /* The subject's serialNumber, which every profile has, is a PrintableString. */
    if (rc == 0 && strchr(s->serial, '_'))
        rc = error_set(err, ERR_INPUT,
                       "serial '%s' holds '_', which the serialNumber of a certificate cannot (it "
                       "is a PrintableString): use '-'",
                       s->serial);
    for (size_t i = 1; rc == 0 && i < VARYING; i++) {
        const char *text = varying_of(s, i);

        if (!(t->uses & 1u << varying[i]))
            continue;
        if (!text || !*text || strlen(text) > PROFILE_TEXT_MAX || text[0] == '-' ||
            text[strlen(text) - 1] == '-' ||
            strspn(text, "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") !=
                strlen(text))
            rc = error_set(err, ERR_INPUT,
                           "profile '%s' needs {%s} (%s), which is missing or holds more than "
                           "letters, "
                           "digits and '-' within",
                           t->profile.name, pattern_name(varying[i]), pattern_meaning(varying[i]));
    }
    return rc;
}

static int check_subject(const struct cert_template *t, const struct cert_subject *s,
                         struct error *err)
{
    if (s->number[0] != 0x01)
        return error_set(err, ERR_INPUT, "a certificate serial number does not begin with 0x01");
    if (s->key.type != t->key)
        return error_set(err, ERR_INPUT, "a key of type %s, and the certificates are for %s",
                         key_type_name(s->key.type), key_type_name(t->key));
    return check_values(t, s, err);
}

/* ---- The issuer. ---- */

/* The one attribute of this type in a name, or NULL. */
static const ASN1_STRING *name_part(const X509_NAME *name, const char *oid)
{
    ASN1_OBJECT *type = OBJ_txt2obj(oid, 1);
    int at = type ? X509_NAME_get_index_by_OBJ(name, type, -1) : -1;

    ASN1_OBJECT_free(type);
    return at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
}

static int check_matter_id(const struct cert_profile *profile,
                           const char *const values[VALUE_COUNT], const struct profile_attribute *a,
                           X509 *issuer, struct error *err)
{
    const ASN1_STRING *has = name_part(X509_get_subject_name(issuer), a->type);
    char text[PROFILE_TEXT_MAX + 1];
    int rc = pattern_expand(a->value, values, FORM_TEXT, text, sizeof text, err);

    if (rc)
        return error_prefix(err, "profile '%s'", profile->name);
    if (strspn(text, "0123456789ABCDEF") != 4 || text[4])
        return error_set(err, ERR_INPUT,
                         "profile '%s': '%s' is no id of 4 upper-case hexadecimal digits",
                         profile->name, text);
    if (!has && strcmp(a->type, PROFILE_MATTER_PRODUCT) == 0)
        return 0;
    if (has && ASN1_STRING_length(has) == 4 && memcmp(ASN1_STRING_get0_data(has), text, 4) == 0)
        return 0;
    return error_set(err, ERR_INPUT,
                     "the issuing CA cannot issue certificates of profile '%s': its name must say "
                     "%s %s, so it has to be a CA of profile '%s'",
                     profile->name,
                     strcmp(a->type, PROFILE_MATTER_VENDOR) ? "product id" : "vendor id", text,
                     *profile->issuer ? profile->issuer : profile->name);
}

int cert_issuer_check(const struct cert_profile *profile, const char *const values[VALUE_COUNT],
                      X509 *issuer, struct error *err)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuer);
    int rc = 0;

    if (X509_check_ca(issuer) != 1 || !id || ASN1_STRING_length(id) != CERT_KEY_ID_SIZE)
        return error_set(err, ERR_INPUT,
                         "the issuer of a certificate template is not a CA certificate with a "
                         "subject key identifier of %d octets",
                         CERT_KEY_ID_SIZE);
    for (size_t i = 0; rc == 0 && i < profile->subject_count; i++)
        if (strcmp(profile->subject[i].type, PROFILE_MATTER_VENDOR) == 0 ||
            strcmp(profile->subject[i].type, PROFILE_MATTER_PRODUCT) == 0)
            rc = check_matter_id(profile, values, &profile->subject[i], issuer, err);
    return rc;
}

/* ---- The public face. ---- */

/* Algorithm and BIT STRING, at their longest; the header of the latter has one to three octets more. */
static int set_signature_max(struct cert_template *t, struct error *err)
{
    struct public_key key;
    size_t algorithm, longest;
    int rc = key_of(X509_get0_pubkey(t->issuer), &key, err);

    if (rc == 0 && !scheme_fits(t->scheme, key.type))
        rc = error_set(err, ERR_INPUT, "an issuing CA with a key of type %s does not sign with %s",
                       key_type_name(key.type), scheme_name(t->scheme));
    if (rc)
        return rc;
    (void)scheme_algorithm(t->scheme, &algorithm);
    longest = scheme_longest(key.type) + 1;
    t->signature_max = algorithm + longest + (longest < 128 ? 2 : longest < 256 ? 3 : 4);
    return 0;
}

static int take_params(struct cert_template *t, const struct cert_template_params *params,
                       struct error *err)
{
    int rc;

    t->profile = *params->profile;
    t->uses = cert_profile_uses(&t->profile);
    t->begins_at_issuance = profile_begins_at_issuance(&t->profile.validity);
    t->end_is_relative = profile_end_is_relative(&t->profile.validity);
    if (t->profile.constraints.ca)
        return error_set(err, ERR_INPUT, "profile '%s' is that of a CA, not of devices",
                         t->profile.name);
    for (size_t i = 0; i < VALUE_COUNT; i++)
        if (params->values[i] && !(t->values[i] = strdup(params->values[i])))
            return error_set(err, ERR_INTERNAL, "out of memory");
    X509_up_ref(params->issuer);
    t->issuer = params->issuer;
    t->key = params->key;
    t->scheme = params->scheme;
    rc = set_signature_max(t, err);
    return rc ? rc : cert_issuer_check(&t->profile, params->values, params->issuer, err);
}

int cert_template_new(const struct cert_template_params *params, size_t serial_len,
                      struct cert_template **out, struct error *err)
{
    struct cert_template *t = calloc(1, sizeof *t);
    char serial[SERIAL_MAX + 1] = "";
    const struct cert_subject first = {.serial = serial, .not_before = clock_utc()};
    int rc;

    if (!t)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = take_params(t, params, err);
    if (rc == 0 && (serial_len < SERIAL_MIN || serial_len > SERIAL_MAX))
        rc = error_set(err, ERR_INPUT, "serials of %zu characters: a serial may have %d to %d",
                       serial_len, SERIAL_MIN, SERIAL_MAX);
    if (rc == 0 && !(t->uses & (1u << VALUE_CHIP_ID | 1u << VALUE_UDI))) {
        memset(serial, 'a', serial_len);
        rc = find(t, &first, err);
    }
    if (rc) {
        cert_template_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void cert_template_free(struct cert_template *t)
{
    if (!t)
        return;
    while (t->compiled) {
        struct compiled *next = t->compiled->next;

        compiled_free(t->compiled);
        t->compiled = next;
    }
    for (size_t i = 0; i < VALUE_COUNT; i++)
        free(t->values[i]);
    X509_free(t->issuer);
    free(t);
}

int cert_template_size(struct cert_template *t, const struct cert_subject *subject, size_t *size,
                       struct error *err)
{
    int rc = check_subject(t, subject, err);

    if (rc == 0)
        rc = find(t, subject, err);
    if (rc == 0)
        *size = size_of(t->compiled, t->signature_max);
    return rc;
}

int cert_template_tbs(struct cert_template *t, const struct cert_subject *subject, struct buf *tbs,
                      struct error *err)
{
    uint8_t *room;
    int rc = check_subject(t, subject, err);

    if (rc == 0)
        rc = find(t, subject, err);
    if (rc)
        return rc;
    room = buf_grow(tbs, t->compiled->tbs.len);
    if (room)
        patch(t->compiled, subject, &t->times, room);
    return buf_check(tbs, "a certificate to be signed", err);
}
