/* Commands that turn the whole state into a list for other programs. */
#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "manifests/cms.h"
#include "manifests/platform_command.h"
#include "manifests/state_program.h"
#include "manifests/trust/crl.h"
#include "manifests/trust/list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

    if ((rc = program_read_key(args->option[OPT_KEY], &p->key, err)) ||
        (rc = cms_read_certificate(args->option[OPT_CERT], &p->cert, err)) ||
        (rc = program_open_state(args, TRUST_WRITE, &t, err)))
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
        return program_export_platform(args, format, err);
    if (args->operands || args->set_count || args->option[OPT_KEY] || args->option[OPT_CERT] ||
        args->option[OPT_PRODUCT])
        return error_set(err, ERR_USAGE,
                         "csv and json are of the whole state: folders, --set, --key, --cert and "
                         "--product are for other formats");
    if (program_json(args) && !path)
        return error_set(err, ERR_USAGE, "--json needs --output for the whitelist");
    rc = program_open_state(args, TRUST_READ, &t, err);
    if (rc)
        return rc;
    rc = path ? export_file(t, &e, path, err) : export_to(t, &e, err);
    trust_close(t);
    if (rc == 0 && program_json(args))
        rc = program_print_json(json_pack("{s:I, s:s}", "rows", (json_int_t)e.rows, "file", path),
                                err);
    return rc;
}
