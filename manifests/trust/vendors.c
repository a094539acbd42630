#include "manifests/trust/vendors.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/jcs.h"
#include "manifests/statement.h"
#include "manifests/trust/db.h"
#include "manifests/trust/identities.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define EXT_MAX     4096
#define STATION     "import"
#define ENVIRONMENT "import"

struct import {
    struct trust *t;
    const struct trust_vendor *v;
    struct trust_imported *out;
    struct identities ids;
    uint8_t pins[SHA256_SIZE];
    bool has_previous;
    struct manifest_state previous;
    struct merkle_tree tree;
    int64_t now;
};

/* ---- one device */

/* Parts of a certificate that the state keeps. */
struct certified {
    struct cert parts;
    unsigned char *der, *issuer, *number, *spki;
};

static void certified_done(struct certified *c)
{
    OPENSSL_free(c->der);
    OPENSSL_free(c->issuer);
    OPENSSL_free(c->number);
    OPENSSL_free(c->spki);
}

/* The contents of a DER integer of less than 128 bytes. */
static struct record_bytes contents(const unsigned char *der, int len)
{
    return len > 2 && der[1] < 0x80 ? (struct record_bytes){der + 2, (size_t)len - 2}
                                    : (struct record_bytes){NULL, 0};
}

static int take_apart(const struct vendor_device *d, struct certified *c, struct record *r,
                      struct error *err)
{
    int len = d->key ? i2d_PUBKEY(d->key, &c->spki) : 0;

    if (len > 0)
        r->spki = (struct record_bytes){c->spki, (size_t)len};
    if (!d->cert)
        return 0;
    len = i2d_X509(d->cert, &c->der);
    r->cert = (struct record_bytes){c->der, len > 0 ? (size_t)len : 0};
    len = i2d_X509_NAME(X509_get_issuer_name(d->cert), &c->issuer);
    c->parts.issuer = (struct record_bytes){c->issuer, len > 0 ? (size_t)len : 0};
    len = i2d_ASN1_INTEGER(X509_get0_serialNumber(d->cert), &c->number);
    c->parts.serial = contents(c->number, len);
    if (!c->der || !c->issuer || !c->parts.serial.p)
        return error_set(err, ERR_FORMAT, "its certificate cannot be read");
    /* The maker ships no issuer's certificate that we verified: its name stands for it. */
    sha256(c->issuer, c->parts.issuer.len, r->iss);
    return 0;
}

static int make_ext(const struct import *i, const struct record *r, struct buf *ext,
                    struct error *err)
{
    struct jcs j;

    jcs_init(&j, ext);
    jcs_object(&j, NULL);
    jcs_object(&j, "vendor");
    jcs_str(&j, "format", i->v->format);
    if (r->spki.p)
        jcs_base64(&j, "key", r->spki.p, r->spki.len);
    jcs_end(&j);
    jcs_end(&j);
    buf_put_u8(ext, 0);
    return buf_check(ext, "the record's ext", err);
}

/* The line has no key and no certificate of its own: an attr record cannot. */
static int write_line(struct import *i, const struct record *r, struct error *err)
{
    struct record plain = *r;
    struct merkle_hash leaf;
    struct buf line;
    int rc;

    plain.cert = plain.spki = (struct record_bytes){NULL, 0};
    buf_init(&line, RECORD_LINE_MAX);
    rc = record_write(&plain, &line, err);
    if (rc == 0) {
        merkle_leaf(line.data, line.len, &leaf);
        merkle_push(&i->tree, &leaf);
        if (i->v->records && (fwrite(line.data, 1, line.len, i->v->records) != line.len ||
                              putc('\n', i->v->records) == EOF))
            rc = error_set_errno(err, errno, "cannot write the records");
    }
    buf_done(&line);
    return rc;
}

static int enter(struct import *i, const struct vendor_device *d, struct record *r,
                 struct error *err)
{
    struct certified c = {.der = NULL};
    struct buf ext;
    int rc = take_apart(d, &c, r, err);

    buf_init(&ext, EXT_MAX);
    if (rc == 0)
        rc = make_ext(i, r, &ext, err);
    r->ext = (const char *)ext.data;
    if (rc == 0)
        rc = identities_enter(&i->ids, r, d->cert ? &c.parts : NULL, i->tree.size, err);
    if (rc == 0)
        rc = write_line(i, r, err);
    buf_done(&ext);
    certified_done(&c);
    return rc;
}

static int take(void *context, const struct vendor_device *d, struct error *err)
{
    struct import *i = context;
    struct record r = {.t = RECORD_ATTR, .ts = i->now, .chip_len = d->chip_len};

    if (RAND_bytes(r.n, sizeof r.n) != 1)
        return error_set(err, ERR_CRYPTO, "OpenSSL makes no random number");
    if (i->v->order)
        memcpy(r.order, i->v->order, sizeof r.order);
    snprintf(r.prod, sizeof r.prod, "%s", i->v->product);
    snprintf(r.sn, sizeof r.sn, "%s", d->serial);
    memcpy(r.chip, d->chip, d->chip_len);
    i->out->devices++;
    i->out->without_key += !d->key;
    return enter(i, d, &r, err);
}

/* ---- the log */

/* Its name follows from the pins, whatever their order in the file. */
static int name_log(struct import *i, struct error *err)
{
    uint8_t sum[SHA256_SIZE] = {0}, one[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];

    for (int n = 0; n < sk_X509_num(i->v->pins); n++) {
        if (X509_digest(sk_X509_value(i->v->pins, n), EVP_sha256(), one, NULL) != 1)
            return error_set(err, ERR_CRYPTO, "cannot hash a pinned certificate");
        for (size_t k = 0; k < sizeof sum; k++)
            sum[k] ^= one[k];
    }
    sha256(sum, sizeof sum, i->pins);
    hex_encode(i->pins, sizeof i->pins, hex);
    snprintf(i->out->origin, sizeof i->out->origin, "import/%s/%.16s", i->v->format, hex);
    return 0;
}

static int read_log(struct import *i, sqlite3_stmt *row, struct error *err)
{
    struct manifest_state *p = &i->previous;
    size_t len = (size_t)sqlite3_column_bytes(row, 4);

    i->ids.log = sqlite3_column_int64(row, 0);
    p->seq = (uint64_t)sqlite3_column_int64(row, 1);
    if (sql_blob_exact(row, 3, p->root.bytes, sizeof p->root.bytes, err) ||
        sql_blob_exact(row, 5, p->sha256, sizeof p->sha256, err))
        return ERR_STORE;
    if (merkle_restore(&p->tree, (uint64_t)sqlite3_column_int64(row, 2),
                       sqlite3_column_blob(row, 4), len / sizeof(struct merkle_hash)))
        return error_set(err, ERR_STORE, "the state's log '%s' is damaged", i->out->origin);
    i->tree = p->tree;
    i->has_previous = true;
    return 0;
}

static int add_log(struct import *i, struct error *err)
{
    char station[80];
    int rc;

    /* a station has one log: the name says which import this is */
    snprintf(station, sizeof station, "%.64s", i->out->origin);
    rc = sql_run(&i->t->sql, err,
                 "INSERT INTO logs (origin, station, environment, customer, pins, seq, size, root,"
                 " frontier) VALUES (?, ?, ?, ?, ?, 0, 0, x'', x'')",
                 "ttttb", i->out->origin, station, ENVIRONMENT, STATION, i->pins, sizeof i->pins);
    i->ids.log = sqlite3_last_insert_rowid(i->t->sql.db);
    return rc;
}

static int find_log(struct import *i, struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&i->t->sql, err, &row,
                     "SELECT l.id, l.seq, l.size, l.root, l.frontier, m.sha256 FROM logs l"
                     " JOIN manifests m ON m.log = l.id AND m.seq = l.seq WHERE l.origin = ?",
                     "t", i->out->origin);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return add_log(i, err);
    rc = read_log(i, row, err);
    sql_end(row);
    return rc;
}

static void make_statement(const struct import *i, struct statement *s)
{
    *s = (struct statement){.seq = i->previous.seq + 1,
                            .first = i->previous.tree.size,
                            .count = i->tree.size - i->previous.tree.size,
                            .size = i->tree.size,
                            .has_prev = i->has_previous,
                            .prev = i->previous,
                            .created = i->now};
    snprintf(s->origin, sizeof s->origin, "%s", i->out->origin);
    snprintf(s->station, sizeof s->station, "%s", STATION);
    snprintf(s->environment, sizeof s->environment, "%s", ENVIRONMENT);
    snprintf(s->customer, sizeof s->customer, "%s", STATION);
    merkle_root(&i->tree, &s->root);
}

static int finish(struct import *i, struct error *err)
{
    struct merkle_hash frontier[MERKLE_LEVELS];
    size_t count = merkle_frontier(&i->tree, frontier);
    uint8_t hash[SHA256_SIZE];
    struct statement s;
    struct buf bytes;
    int rc;

    make_statement(i, &s);
    buf_init(&bytes, STATEMENT_MAX);
    rc = statement_write(&s, &bytes, err);
    sha256(bytes.data, bytes.len, hash);
    if (rc == 0)
        rc = sql_run(&i->t->sql, err,
                     "INSERT INTO manifests (log, seq, sha256, size, accepted, statement)"
                     " VALUES (?, ?, ?, ?, ?, ?)",
                     "iibiib", i->ids.log, (int64_t)s.seq, hash, sizeof hash, (int64_t)s.size,
                     i->now, bytes.data, bytes.len);
    if (rc == 0)
        rc = sql_run(&i->t->sql, err,
                     "UPDATE logs SET seq = ?, size = ?, root = ?, frontier = ? WHERE id = ?",
                     "iibbi", (int64_t)s.seq, (int64_t)s.size, s.root.bytes, sizeof s.root.bytes,
                     count ? frontier : (const void *)"", count * sizeof *frontier, i->ids.log);
    buf_done(&bytes);
    return rc;
}

static int run(struct import *i, char *const *files, size_t count, struct error *err)
{
    struct vendor_reader reader = {i->v->format, take, i, i->v->pins};
    int rc = find_log(i, err);

    for (size_t n = 0; rc == 0 && n < count; n++)
        rc = vendor_read(&reader, files[n], err);
    if (rc == 0 && i->out->devices == 0)
        rc = error_set(err, ERR_INPUT, "there is no device in the files");
    return rc ? rc : finish(i, err);
}

int trust_import(struct trust *t, const struct trust_vendor *v, char *const *files, size_t count,
                 struct trust_imported *out, struct error *err)
{
    struct import i = {.t = t, .v = v, .out = out, .ids = {t, 0}, .now = clock_utc()};
    int rc;

    *out = (struct trust_imported){.devices = 0};
    if (!*v->product || strlen(v->product) > RECORD_PROD_MAX || strchr(v->product, ' '))
        return error_set(err, ERR_INPUT, "'%s' is not a product: 1 to %d characters, no blank",
                         v->product, RECORD_PROD_MAX);
    rc = name_log(&i, err);
    if (rc == 0)
        rc = db_begin(t, err);
    if (rc)
        return rc;
    rc = run(&i, files, count, err);
    if (rc) {
        db_rollback(t);
        return rc;
    }
    return db_commit(t, err);
}
