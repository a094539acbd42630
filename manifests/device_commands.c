/* Commands about single devices: what the state says of them, and what the owner decides. */
#include "manifests/state_program.h"
#include "manifests/trust/decide.h"
#include "manifests/trust/lookup.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CERT_FILE_MAX (1 << 20)
#define LIST_FILE_MAX (256 << 20)

static int code_of(enum whitelist_answer answer)
{
    switch (answer) {
    case WHITELIST_OK:
        return 0;
    case WHITELIST_HELD:
        return ERR_HELD;
    case WHITELIST_REVOKED:
        return ERR_REVOKED;
    case WHITELIST_REPLACED:
        return ERR_REPLACED;
    case WHITELIST_UNKNOWN:
        return ERR_UNKNOWN;
    case WHITELIST_FAILED:
        break;
    }
    return ERR_INTERNAL;
}

/* PEM, and otherwise DER. */
static int read_der(const char *path, struct buf *out, struct error *err)
{
    unsigned char *der = NULL;
    struct buf file;
    X509 *cert = NULL;
    BIO *in = NULL;
    int rc, len;

    buf_init(&file, CERT_FILE_MAX);
    rc = program_read_input(path, &file, err);
    if (rc == 0 && memmem(file.data, file.len, "-----BEGIN", 10)) {
        in = BIO_new_mem_buf(file.data, (int)file.len);
        cert = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
        len = cert ? i2d_X509(cert, &der) : -1;
        if (len > 0)
            buf_put(out, der, (size_t)len);
        else
            rc = error_set(err, ERR_INPUT, "'%s' is not a certificate in PEM", path);
    } else if (rc == 0) {
        buf_put(out, file.data, file.len);
    }
    OPENSSL_free(der);
    X509_free(cert);
    BIO_free(in);
    buf_done(&file);
    ERR_clear_error();
    return rc ? rc : buf_check(out, "the certificate", err);
}

static int look_up(const struct program_args *args, struct trust *t, struct trust_verdict *v,
                   struct error *err)
{
    struct buf der;
    int rc;

    if (!args->option[OPT_CERT])
        return trust_lookup_serial(t, args->operand[0], args->option[OPT_PRODUCT], v, err);
    buf_init(&der, CERT_FILE_MAX);
    rc = read_der(args->option[OPT_CERT], &der, err);
    if (rc == 0)
        rc = trust_lookup_cert(t, der.data, der.len, v, err);
    buf_done(&der);
    return rc;
}

static json_t *json_verdict(const struct trust_verdict *v)
{
    json_t *one =
        json_pack("{s:s, s:s}", "answer", whitelist_answer_name(v->answer), "why", v->why);

    if (v->answer != WHITELIST_UNKNOWN)
        json_object_update_new(one, json_pack("{s:s, s:s, s:s, s:I}", "serial", v->serial,
                                              "product", v->product, "origin", v->origin, "leaf",
                                              (json_int_t)v->leaf));
    return one;
}

int program_check(const struct program_args *args, struct error *err)
{
    struct trust_verdict v;
    struct trust *t;
    int rc;

    if ((args->operands == 1) == (args->option[OPT_CERT] != NULL))
        return error_set(err, ERR_USAGE, "'check' takes a serial or --cert, one of the two");
    rc = program_open_state(args, TRUST_READ, &t, err);
    if (rc)
        return rc;
    rc = look_up(args, t, &v, err);
    trust_close(t);
    if (rc == 0 && program_json(args))
        rc = program_print_json(json_verdict(&v), err);
    if (rc)
        return rc;
    if (v.answer != WHITELIST_OK)
        return error_set(err, code_of(v.answer), "%s%s%s%s: %s", whitelist_answer_name(v.answer),
                         v.serial[0] ? " '" : "", v.serial, v.serial[0] ? "'" : "", v.why);
    if (!program_json(args))
        printf("ok: '%s' (product %s): %s\n", v.serial, v.product, v.why);
    return 0;
}

/* The serials of a list, as views into text, or those of the command line. */
struct serials {
    struct buf text;
    const char **at;
    size_t count;
};

static int add_serial(struct serials *s, const char *serial, size_t *cap, struct error *err)
{
    const char **moved = s->at;

    if (s->count == *cap) {
        *cap = *cap ? 2 * *cap : 64;
        moved = reallocarray(s->at, *cap, sizeof *moved);
        if (!moved)
            return error_set(err, ERR_INTERNAL, "out of memory for the serials");
        s->at = moved;
    }
    s->at[s->count++] = serial;
    return 0;
}

/* One serial a line; CR before the line end and empty lines are skipped. */
static int split_lines(struct serials *s, const char *path, struct error *err)
{
    char *save, *line;
    size_t cap = 0;
    int rc = 0;

    if (memchr(s->text.data ? s->text.data : (const uint8_t *)"", 0, s->text.len))
        return error_set(err, ERR_INPUT, "'%s' is not a list of serials", path);
    buf_put_u8(&s->text, 0);
    if (buf_failed(&s->text))
        return error_set(err, ERR_INPUT, "'%s' is too long", path);
    line = strtok_r((char *)s->text.data, "\r\n", &save);
    for (; rc == 0 && line; line = strtok_r(NULL, "\r\n", &save)) {
        if (strlen(line) > IMPRINT_SERIAL_MAX || strpbrk(line, " \t,;"))
            rc = error_set(err, ERR_INPUT, "'%s', serial %zu: '%.70s' is not a serial", path,
                           s->count + 1, line);
        else
            rc = add_serial(s, line, &cap, err);
    }
    return rc;
}

static int read_serials(const struct program_args *args, struct serials *s, struct error *err)
{
    const char *path = args->option[OPT_LIST];
    size_t cap = 0;
    int rc = 0;

    *s = (struct serials){0};
    buf_init(&s->text, LIST_FILE_MAX);
    if (path && args->operands)
        return error_set(err, ERR_USAGE, "name serials, or a list of them, not both");
    if (path) {
        rc = program_read_input(path, &s->text, err);
        if (rc == 0)
            rc = split_lines(s, path, err);
    }
    for (int i = 0; rc == 0 && i < args->operands; i++)
        rc = add_serial(s, args->operand[i], &cap, err);
    if (rc == 0 && s->count == 0)
        rc = error_set(err, path ? ERR_INPUT : ERR_USAGE, "there is no serial to work on");
    return rc;
}

static void serials_done(struct serials *s)
{
    buf_done(&s->text);
    free(s->at);
}

/* Logistics knows four answers; a replaced identity is the device's older one. */
static const char *release_word(enum whitelist_answer answer)
{
    switch (answer) {
    case WHITELIST_OK:
        return "OK";
    case WHITELIST_HELD:
        return "HOLD";
    case WHITELIST_UNKNOWN:
        return "UNKNOWN";
    default:
        return "REVOKED";
    }
}

static int release_one(const struct program_args *args, struct trust *t, const char *serial,
                       json_t *list, uint64_t *refused, struct error *err)
{
    struct trust_verdict v;
    int rc = trust_lookup_serial(t, serial, args->option[OPT_PRODUCT], &v, err);

    if (rc)
        return rc;
    *refused += v.answer != WHITELIST_OK;
    if (list)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "serial", serial, "answer",
                                              release_word(v.answer), "why", v.why));
    else
        printf("%s\t%s\t%s\n", release_word(v.answer), serial, v.why);
    return 0;
}

int program_release(const struct program_args *args, struct error *err)
{
    json_t *list = program_json(args) ? json_array() : NULL;
    struct trust *t = NULL;
    struct serials s;
    uint64_t refused = 0;
    int rc = read_serials(args, &s, err);

    if (rc == 0)
        rc = program_open_state(args, TRUST_READ, &t, err);
    for (size_t i = 0; rc == 0 && i < s.count; i++)
        rc = release_one(args, t, s.at[i], list, &refused, err);
    if (rc == 0 && refused)
        rc = error_set(err, ERR_REFUSED, "%" PRIu64 " of %zu serials must not be released", refused,
                       s.count);
    trust_close(t);
    serials_done(&s);
    return list ? program_print_list("serials", list, rc, err) : rc;
}

static const char *user_name(void)
{
    const struct passwd *p = getpwuid(getuid());

    return p ? p->pw_name : NULL;
}

static int parse_reason(const char *text, enum record_reason *reason, struct error *err)
{
    for (int r = RECORD_UNSPECIFIED; r < RECORD_REASONS; r++)
        if (strcmp(record_reason_names[r], text) == 0) {
            *reason = (enum record_reason)r;
            return 0;
        }
    return error_set(err, ERR_USAGE,
                     "'%s' is not a reason of RFC 5280, such as keyCompromise or superseded", text);
}

static int decide(const struct program_args *args, struct trust_decision *d, const char *word,
                  struct error *err)
{
    struct trust *t = NULL;
    struct serials s;
    int rc = read_serials(args, &s, err);

    d->product = args->option[OPT_PRODUCT];
    d->who = args->option[OPT_WHO] ? args->option[OPT_WHO] : user_name();
    d->why = args->option[OPT_WHY];
    if (rc == 0)
        rc = program_open_state(args, TRUST_WRITE, &t, err);
    if (rc == 0)
        rc = trust_decide(t, d, s.at, s.count, err);
    trust_close(t);
    if (rc == 0 && program_json(args))
        rc = program_print_json(json_pack("{s:s, s:I, s:s, s:s}", "decided", word, "serials",
                                          (json_int_t)s.count, "who", d->who, "why", d->why),
                                err);
    else if (rc == 0)
        printf("%s: %zu\n", word, s.count);
    serials_done(&s);
    return rc;
}

int program_hold(const struct program_args *args, struct error *err)
{
    bool lift = args->option[OPT_LIFT] != NULL;
    struct trust_decision d = {.kind = lift ? TRUST_LIFT : TRUST_HOLD};

    return decide(args, &d, lift ? "lifted" : "held", err);
}

int program_revoke(const struct program_args *args, struct error *err)
{
    struct trust_decision d = {.kind = TRUST_REVOKE, .reason = RECORD_UNSPECIFIED};
    int rc = args->option[OPT_REASON] ? parse_reason(args->option[OPT_REASON], &d.reason, err) : 0;

    return rc ? rc : decide(args, &d, "revoked", err);
}
