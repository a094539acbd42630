#include "manifests/trust/lookup.h"

#include "manifests/cert.h"
#include "manifests/trust/db.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                                    \
    "SELECT i.id, i.state, i.reason, i.revoked, i.cert, i.product, i.serial, h.decision, l.origin" \
    " FROM identities i JOIN logs l ON l.id = i.id >> 48"                                          \
    " LEFT JOIN holds h ON h.serial = i.serial AND h.product = i.product"

enum column { ID, STATE, REASON, REVOKED, CERT, PRODUCT, SERIAL, HELD, ORIGIN };

static void unknown(struct trust_verdict *v, const char *why)
{
    *v = (struct trust_verdict){.answer = WHITELIST_UNKNOWN};
    snprintf(v->why, sizeof v->why, "%s", why);
}

static void say_state(struct trust_verdict *v, enum trust_state state, int64_t reason)
{
    static const char *const words[] = {NULL,
                                        "whitelisted",
                                        "replaced by a newer identity",
                                        "revoked",
                                        "decommissioned",
                                        "its key was released and "
                                        "never proven",
                                        "its key was scrapped"};
    bool reasoned = state == TRUST_REVOKED || state == TRUST_DECOMMISSIONED;

    snprintf(v->why, sizeof v->why, "%s%s%s, record %" PRIu64 " of log '%s'",
             state >= TRUST_LIVE && state <= TRUST_SCRAPPED ? words[state] : "in an unknown state",
             reasoned ? ": " : "", reasoned ? record_reason_name((enum record_reason)reason) : "",
             v->leaf, v->origin);
}

enum whitelist_answer trust_judge(enum trust_state state, bool revoked, bool held)
{
    if (revoked)
        return WHITELIST_REVOKED;
    if (state == TRUST_REPLACED)
        return WHITELIST_REPLACED;
    if (state != TRUST_LIVE)
        return WHITELIST_REVOKED;
    return held ? WHITELIST_HELD : WHITELIST_OK;
}

static void judge(struct trust_verdict *v, sqlite3_stmt *row)
{
    enum trust_state state = (enum trust_state)sqlite3_column_int64(row, STATE);
    int64_t revoked = sqlite3_column_int64(row, REVOKED);
    bool held = sqlite3_column_type(row, HELD) != SQLITE_NULL;

    v->answer = trust_judge(state, revoked != 0, held);
    if (revoked)
        snprintf(v->why, sizeof v->why, "revoked by the owner, decision %" PRId64, revoked);
    else if (v->answer == WHITELIST_HELD)
        snprintf(v->why, sizeof v->why, "held by the owner, decision %" PRId64,
                 (int64_t)sqlite3_column_int64(row, HELD));
    else
        say_state(v, state, sqlite3_column_int64(row, REASON));
}

static int fill(struct trust_verdict *v, sqlite3_stmt *row, struct error *err)
{
    int rc;

    *v = (struct trust_verdict){
        .leaf = (uint64_t)sqlite3_column_int64(row, ID) & ((UINT64_C(1) << TRUST_LEAF_BITS) - 1),
    };
    if ((rc = sql_text(row, PRODUCT, v->product, sizeof v->product, err)) ||
        (rc = sql_text(row, SERIAL, v->serial, sizeof v->serial, err)) ||
        (rc = sql_text(row, ORIGIN, v->origin, sizeof v->origin, err)))
        return rc;
    judge(v, row);
    return 0;
}

/* Vendors sign with other algorithms than a station: what cert_parse does not take, OpenSSL may. */
static bool hash_vendor_key(const unsigned char *der, size_t len, uint8_t key[SHA256_SIZE])
{
    const unsigned char *p = der;
    X509 *cert = d2i_X509(NULL, &p, (long)len);
    unsigned char *spki = NULL;
    int n = cert && p == der + len ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki) : -1;

    if (n > 0)
        sha256(spki, (size_t)n, key);
    OPENSSL_free(spki);
    X509_free(cert);
    ERR_clear_error();
    return n > 0;
}

static bool hash_key(const void *der, size_t len, uint8_t key[SHA256_SIZE])
{
    struct cert cert;

    if (cert_parse(der, len, &cert))
        return hash_vendor_key(der, len, key);
    sha256(cert.spki.p, cert.spki.len, key);
    return true;
}

int trust_lookup_cert(struct trust *t, const void *der, size_t len, struct trust_verdict *v,
                      struct error *err)
{
    uint8_t key[SHA256_SIZE], want[SHA256_SIZE], have[SHA256_SIZE];
    sqlite3_stmt *row;
    int rc;

    unknown(v, "not a certificate that a manifest can hold");
    if (!hash_key(der, len, key))
        return 0;
    sha256(der, len, have);
    unknown(v, "no accepted manifest has its key");
    rc = sql_row(&t->sql, err, &row, COLUMNS " WHERE i.key = ?", "b", key, sizeof key);
    if (rc <= 0)
        return rc;
    rc = sql_blob_exact(row, CERT, want, sizeof want, err);
    if (rc == 0 && !sha256_equal(want, have))
        unknown(v, "its key is in an accepted manifest, with another certificate");
    else if (rc == 0)
        rc = fill(v, row, err);
    sql_end(row);
    return rc;
}

/* Rows of one serial, the best first: live, then the newest, what never left the factory last. */
static int take_serial(struct trust *t, sqlite3_stmt *row, struct trust_verdict *v,
                       struct error *err)
{
    int rc = fill(v, row, err);

    while (rc == 0 && (rc = sql_next(&t->sql, row, err)) == 1) {
        const char *product = (const char *)sqlite3_column_text(row, PRODUCT);

        rc = 0;
        if (!product || strcmp(product, v->product))
            rc = error_set(err, ERR_DUPLICATE,
                           "serial '%s' exists in products '%s' and '%s': say which (--product)",
                           v->serial, v->product, product ? product : "?");
    }
    sql_end(row);
    return rc;
}

int trust_lookup_serial(struct trust *t, const char *serial, const char *product,
                        struct trust_verdict *v, struct error *err)
{
    sqlite3_stmt *row;
    int rc;

    unknown(v, "no accepted manifest has it");
    rc = sql_row(&t->sql, err, &row,
                 COLUMNS " WHERE i.serial = ?1 AND (?2 IS NULL OR i.product = ?2)"
                         " ORDER BY i.ended != 0, i.state = 6, i.id DESC",
                 "tt", serial, product);
    return rc <= 0 ? rc : take_serial(t, row, v, err);
}
