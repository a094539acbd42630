/* The commands of imprint-manifest that work on the state. */
#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "manifests/program.h"
#include "manifests/trust/accept.h"
#include "manifests/trust/compare.h"
#include "manifests/trust/crl.h"
#include "manifests/trust/decide.h"
#include "manifests/trust/list.h"
#include "manifests/trust/lookup.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CERT_FILE_MAX (1 << 20)
#define LIST_FILE_MAX (256 << 20)

static int open_state(const struct program_args *args, enum trust_mode mode, struct trust **t,
                      struct error *err)
{
    return trust_open(args->option[OPT_STATE], mode, t, err);
}

/* A file, or standard input for "-". */
static int read_input(const char *path, struct buf *out, struct error *err)
{
    uint8_t block[65536];
    size_t n;

    if (strcmp(path, "-"))
        return file_read(path, out, err);
    while ((n = fread(block, 1, sizeof block, stdin)) > 0)
        buf_put(out, block, n);
    if (ferror(stdin))
        return error_set(err, ERR_IO, "cannot read standard input");
    return buf_failed(out)
               ? error_set(err, ERR_FORMAT, "standard input is larger than %zu bytes", out->limit)
               : 0;
}

/* ---- accept */

static json_t *json_accepted(const char *dir, const struct trust_accepted *a)
{
    json_t *one = json_pack("{s:s, s:s, s:I, s:b}", "folder", dir, "origin", a->origin, "seq",
                            (json_int_t)a->seq, "known", a->before);

    if (!a->before)
        json_object_update_new(
            one,
            json_pack("{s:I, s:I, s:o, s:I, s:I}", "count", (json_int_t)a->report.count, "size",
                      (json_int_t)a->report.size, "root", program_json_root(&a->report.root),
                      "proofs_skipped", (json_int_t)a->report.proofs_skipped, "unauthenticated",
                      (json_int_t)a->report.unauthenticated));
    return one;
}

static void print_accepted(const struct trust_accepted *a)
{
    if (a->before) {
        printf("known: manifest %" PRIu64 " of '%s' was accepted before\n", a->seq, a->origin);
        return;
    }
    printf("accepted: manifest %" PRIu64 " of '%s', %" PRIu64 " records", a->seq, a->origin,
           a->report.count);
    if (a->report.unauthenticated)
        printf(", %" PRIu64 " of devices that were not authenticated", a->report.unauthenticated);
    if (a->report.proofs_skipped)
        printf(", %" PRIu64 " proofs not verified again", a->report.proofs_skipped);
    putchar('\n');
}

/* Each folder is accepted by itself; what went before a failure stays accepted. */
static int accept_all(const struct program_args *args, struct trust *t,
                      const struct verify_policy *policy, const struct trust_orders *orders,
                      json_t *list, struct error *err)
{
    struct trust_accepted *a = calloc(1, sizeof *a);
    int rc = a ? 0 : error_set(err, ERR_INTERNAL, "out of memory");

    for (int i = 0; rc == 0 && i < args->operands; i++) {
        rc = trust_accept(t, args->operand[i], policy, orders, a, err);
        program_progress_end();
        if (rc == 0 && list)
            json_array_append_new(list, json_accepted(args->operand[i], a));
        else if (rc == 0)
            print_accepted(a);
        if (fflush(stdout))
            rc = error_set(err, ERR_IO, "cannot write to standard output");
    }
    /* Whoever names an old manifest as the last one was given an old one. */
    if (rc == 0 && a->before && !a->newest)
        rc = error_set(err, ERR_ROLLBACK,
                       "'%s' is manifest %" PRIu64 " of '%s', and newer ones were accepted before: "
                       "ask for the newest",
                       args->operand[args->operands - 1], a->seq, a->origin);
    free(a);
    return rc;
}

static int read_orders(const struct program_args *args, struct trust_orders *orders,
                       struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < args->order_count; i++)
        rc = trust_order_read(args->orders[i], orders, err);
    return rc;
}

static int print_list(const char *name, json_t *list, int rc, struct error *err)
{
    json_t *result = json_pack("{s:o}", name, list);
    struct error ignored;

    if (rc == 0)
        return program_print_json(result, err);
    json_object_set_new(result, "error", program_json_error(rc, err));
    (void)!program_print_json(result, &ignored);
    return rc;
}

int program_accept(const struct program_args *args, struct error *err)
{
    struct trust_orders *orders = calloc(1, sizeof *orders);
    json_t *list = program_json(args) ? json_array() : NULL;
    struct trust *t = NULL;
    struct verify_policy policy = {
        .root = args->option[OPT_ROOT],
        .device_root = args->option[OPT_DEVICE_ROOT],
        .log_key = args->option[OPT_LOG_KEY],
        .skip_proofs = args->option[OPT_SKIP_PROOFS] != NULL,
        .progress = program_progress(),
    };
    int rc = orders ? 0 : error_set(err, ERR_INTERNAL, "out of memory");

    if (rc == 0 && args->option[OPT_AT] && clock_parse(args->option[OPT_AT], &policy.at))
        rc = error_set(err, ERR_USAGE, "'%s' is not a time like 2026-01-31T23:59:59Z",
                       args->option[OPT_AT]);
    if (rc == 0)
        rc = read_orders(args, orders, err);
    if (rc == 0)
        rc = open_state(args, TRUST_CREATE, &t, err);
    if (rc == 0)
        rc = accept_all(args, t, &policy, args->order_count ? orders : NULL, list, err);
    trust_close(t);
    free(orders);
    return list ? print_list("manifests", list, rc, err) : rc;
}

/* ---- check, release */

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
    rc = read_input(path, &file, err);
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
    rc = open_state(args, TRUST_READ, &t, err);
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
        rc = read_input(path, &s->text, err);
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
        rc = open_state(args, TRUST_READ, &t, err);
    for (size_t i = 0; rc == 0 && i < s.count; i++)
        rc = release_one(args, t, s.at[i], list, &refused, err);
    if (rc == 0 && refused)
        rc = error_set(err, ERR_REFUSED, "%" PRIu64 " of %zu serials must not be released", refused,
                       s.count);
    trust_close(t);
    serials_done(&s);
    return list ? print_list("serials", list, rc, err) : rc;
}

/* ---- hold, revoke */

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
        rc = open_state(args, TRUST_WRITE, &t, err);
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

/* ---- crl */

static int read_key(const char *path, EVP_PKEY **key, struct error *err)
{
    struct buf pem;
    BIO *in;
    int rc;

    buf_init(&pem, CERT_FILE_MAX);
    rc = file_read(path, &pem, err);
    in = rc ? NULL : BIO_new_mem_buf(pem.data, (int)pem.len);
    *key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
    if (rc == 0 && !*key)
        rc = error_set(err, ERR_INPUT, "'%s' is not a private key in PEM", path);
    BIO_free(in);
    buf_wipe(&pem);
    ERR_clear_error();
    return rc;
}

static int read_days(const char *text, unsigned *days, struct error *err)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*end || end == text || value == 0 || value > CRL_DAYS_MAX)
        return error_set(err, ERR_USAGE, "'%s' is not a number of days from 1 to %d", text,
                         CRL_DAYS_MAX);
    *days = (unsigned)value;
    return 0;
}

static int make_crl(const struct program_args *args, struct crl_policy *p, struct buf *out,
                    struct crl_made *made, struct error *err)
{
    struct trust *t = NULL;
    int rc;

    if ((rc = read_key(args->option[OPT_KEY], &p->key, err)) ||
        (rc = cms_read_certificate(args->option[OPT_CERT], &p->cert, err)) ||
        (rc = open_state(args, TRUST_WRITE, &t, err)))
        return rc;
    rc = trust_crl(t, p, out, made, err);
    trust_close(t);
    return rc;
}

int program_crl(const struct program_args *args, struct error *err)
{
    struct crl_policy p = {
        .uri = args->option[OPT_URI], .days = 30, .der = args->option[OPT_DER] != NULL};
    struct crl_made made = {0};
    struct buf out;
    int rc = args->option[OPT_DAYS] ? read_days(args->option[OPT_DAYS], &p.days, err) : 0;

    if (rc == 0 && program_json(args) && !args->option[OPT_OUTPUT])
        rc = error_set(err, ERR_USAGE, "--json needs --output for the list");
    buf_init(&out, SIZE_MAX);
    if (rc == 0)
        rc = make_crl(args, &p, &out, &made, err);
    if (rc == 0)
        rc = program_put(args, &out, err);
    if (rc == 0 && program_json(args))
        rc = program_print_json(json_pack("{s:I, s:I, s:o, s:s}", "number", (json_int_t)made.number,
                                          "entries", (json_int_t)made.entries, "next_update",
                                          program_json_time(made.next_update), "file",
                                          args->option[OPT_OUTPUT]),
                                err);
    buf_done(&out);
    EVP_PKEY_free(p.key);
    X509_free(p.cert);
    return rc;
}

/* ---- export */

struct export
{
    FILE *out;
    bool json;
    uint64_t rows;
};

static void put_hex(FILE *out, const void *bytes, size_t len)
{
    char text[2 * 128 + 1];

    if (bytes && len <= 128) {
        hex_encode(bytes, len, text);
        fputs(text, out);
    }
}

/* RFC 4180: a quote is doubled. */
static void put_csv(FILE *out, const char *text)
{
    if (!strpbrk(text, "\",")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void put_hash(FILE *out, const uint8_t *hash)
{
    put_hex(out, hash, SHA256_SIZE);
    fputc(',', out);
}

static void export_csv(FILE *out, const struct trust_row *r)
{
    char ts[CLOCK_TEXT_SIZE];

    clock_text(r->ts, ts);
    put_csv(out, r->serial);
    fputc(',', out);
    put_csv(out, r->product);
    fprintf(out, ",%s,", whitelist_answer_name(r->answer));
    put_hash(out, r->key);
    put_hash(out, r->cert);
    put_hash(out, r->issuer);
    put_hex(out, r->number.p, r->number.len);
    fputc(',', out);
    put_hash(out, r->order);
    put_csv(out, r->origin);
    fprintf(out, ",%" PRIu64 ",%s\n", r->leaf, ts);
}

static void put_json_hash(struct jcs *j, const char *name, const uint8_t *hash)
{
    if (hash)
        jcs_hex(j, name, hash, SHA256_SIZE);
}

static bool export_json(FILE *out, const struct trust_row *r, bool first)
{
    char ts[CLOCK_TEXT_SIZE];
    struct buf line;
    struct jcs j;
    bool good;

    clock_text(r->ts, ts);
    buf_init(&line, 65536);
    jcs_init(&j, &line);
    jcs_object(&j, NULL);
    jcs_str(&j, "answer", whitelist_answer_name(r->answer));
    if (r->number.p)
        jcs_hex(&j, "cert_serial", r->number.p, r->number.len);
    put_json_hash(&j, "cert_sha256", r->cert);
    put_json_hash(&j, "issuer_sha256", r->issuer);
    jcs_int(&j, "leaf", (int64_t)r->leaf);
    put_json_hash(&j, "order", r->order);
    jcs_str(&j, "origin", r->origin);
    jcs_str(&j, "product", r->product);
    jcs_str(&j, "serial", r->serial);
    put_json_hash(&j, "spki_sha256", r->key);
    jcs_str(&j, "ts", ts);
    jcs_end(&j);
    good = !buf_failed(&line);
    fprintf(out, "%s%.*s", first ? "" : ",\n", (int)line.len, (const char *)line.data);
    buf_done(&line);
    return good;
}

static int export_row(void *ctx, const struct trust_row *row, struct error *err)
{
    struct export *e = ctx;

    if (!e->json)
        export_csv(e->out, row);
    else if (!export_json(e->out, row, e->rows == 0))
        return error_set(err, ERR_STORE, "the row of '%s' cannot be written", row->serial);
    e->rows++;
    return ferror(e->out) ? error_set(err, ERR_IO, "cannot write the whitelist") : 0;
}

static int export_to(struct trust *t, struct export *e, struct error *err)
{
    int rc;

    fputs(e->json ? "["
                  : "serial,product,answer,spki_sha256,cert_sha256,issuer_sha256,cert_serial,"
                    "order,origin,leaf,ts\n",
          e->out);
    rc = trust_list(t, export_row, e, err);
    if (e->json)
        fputs("]\n", e->out);
    return rc;
}

/* A file appears whole or not at all. */
static int export_file(struct trust *t, struct export *e, const char *path, struct error *err)
{
    char temporary[4096];
    int rc;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return error_set(err, ERR_INPUT, "'%s' is too long", path);
    e->out = fopen(temporary, "we");
    if (!e->out)
        return error_set_errno(err, errno, "cannot write '%s'", temporary);
    rc = export_to(t, e, err);
    if (rc)
        fclose(e->out);
    else
        rc = file_close(e->out, temporary, err);
    if (rc == 0 && rename(temporary, path))
        rc = error_set_errno(err, errno, "cannot rename '%s'", temporary);
    if (rc)
        unlink(temporary);
    return rc;
}

int program_export(const struct program_args *args, struct error *err)
{
    const char *format = args->option[OPT_FORMAT] ? args->option[OPT_FORMAT] : "csv";
    const char *path = args->option[OPT_OUTPUT];
    struct export e = {.out = stdout, .json = strcmp(format, "json") == 0};
    struct trust *t;
    int rc;

    if (!e.json && strcmp(format, "csv"))
        return error_set(err, ERR_USAGE, "the format is csv or json, not '%s'", format);
    if (program_json(args) && !path)
        return error_set(err, ERR_USAGE, "--json needs --output for the whitelist");
    rc = open_state(args, TRUST_READ, &t, err);
    if (rc)
        return rc;
    rc = path ? export_file(t, &e, path, err) : export_to(t, &e, err);
    trust_close(t);
    if (rc == 0 && program_json(args))
        rc = program_print_json(json_pack("{s:I, s:s}", "rows", (json_int_t)e.rows, "file", path),
                                err);
    return rc;
}

/* ---- diff, merge */

struct changes {
    json_t *list; /* NULL: print lines */
    uint64_t count;
};

static const char *change_word(const struct trust_change *c)
{
    if (c->before == WHITELIST_UNKNOWN)
        return "added";
    return c->after == WHITELIST_UNKNOWN ? "gone" : whitelist_answer_name(c->after);
}

static int take_change(void *ctx, const struct trust_change *c, struct error *err)
{
    struct changes *all = ctx;
    const char *before = whitelist_answer_name(c->before), *after = whitelist_answer_name(c->after);

    (void)err;
    all->count++;
    if (all->list)
        json_array_append_new(
            all->list, json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "change", change_word(c),
                                 "serial", c->serial, "product", c->product, "origin", c->origin,
                                 "leaf", (json_int_t)c->leaf, "before", before, "after", after));
    else
        printf("%s\t%s\t%s\t%s -> %s\n", change_word(c), c->serial, c->product, before, after);
    return 0;
}

int program_diff(const struct program_args *args, struct error *err)
{
    struct changes all = {.list = program_json(args) ? json_array() : NULL};
    struct trust *t = NULL;
    int rc = trust_open(args->operand[1], TRUST_READ, &t, err);

    if (rc == 0)
        rc = trust_diff(t, args->operand[0], take_change, &all, err);
    trust_close(t);
    return all.list ? print_list("changes", all.list, rc, err) : rc;
}

static int take_clone(void *ctx, const struct trust_clone *c, struct error *err)
{
    json_t *list = ctx;

    (void)err;
    if (list)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:I}", "what", c->what,
                            "serial", c->serial, "product", c->product, "origin", c->origin, "leaf",
                            (json_int_t)c->leaf, "other_serial", c->other_serial, "other_product",
                            c->other_product, "other_origin", c->other_origin, "other_leaf",
                            (json_int_t)c->other_leaf));
    else
        printf("clone\t%s\t%s (%s, record %" PRIu64 " of '%s')\t%s (%s, record %" PRIu64
               " of '%s')\n",
               c->what, c->serial, c->product, c->leaf, c->origin, c->other_serial,
               c->other_product, c->other_leaf, c->other_origin);
    return 0;
}

int program_merge(const struct program_args *args, struct error *err)
{
    json_t *list = program_json(args) ? json_array() : NULL;
    struct trust_merged merged;
    struct trust *t = NULL;
    int rc = open_state(args, TRUST_CREATE, &t, err);

    for (int i = 0; rc == 0 && i < args->operands; i++) {
        rc = trust_merge(t, args->operand[i], take_clone, list, &merged, err);
        if (rc == 0 && !list)
            printf("merged: '%s', %" PRIu64 " logs, %" PRIu64 " identities, %" PRIu64
                   " decisions\n",
                   args->operand[i], merged.logs, merged.identities, merged.decisions);
    }
    trust_close(t);
    return list ? print_list("clones", list, rc, err) : rc;
}
