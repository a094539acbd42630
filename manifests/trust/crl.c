#include "manifests/trust/crl.h"

#include "base/clock.h"
#include "manifests/record.h"
#include "manifests/trust/db.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define DAY        (24 * 60 * 60)
#define NUMBER_MAX 127 /* octets of a serial number; RFC 5280 allows 20 */

/* One certificate that is listed. */
struct entry {
    struct record_bytes number, issuer; /* issuer: name, DER */
    int64_t issuer_id;
    int64_t since;
    long reason; /* CRLReason, 0 for none */
};

static long reason_code(enum record_reason reason)
{
    switch (reason) {
    case RECORD_KEY_COMPROMISE:
        return CRL_REASON_KEY_COMPROMISE;
    case RECORD_CA_COMPROMISE:
        return CRL_REASON_CA_COMPROMISE;
    case RECORD_AFFILIATION_CHANGED:
        return CRL_REASON_AFFILIATION_CHANGED;
    case RECORD_SUPERSEDED:
        return CRL_REASON_SUPERSEDED;
    case RECORD_CESSATION_OF_OPERATION:
        return CRL_REASON_CESSATION_OF_OPERATION;
    case RECORD_CERTIFICATE_HOLD:
        return CRL_REASON_CERTIFICATE_HOLD;
    case RECORD_PRIVILEGE_WITHDRAWN:
        return CRL_REASON_PRIVILEGE_WITHDRAWN;
    case RECORD_AA_COMPROMISE:
        return CRL_REASON_AA_COMPROMISE;
    default:
        return CRL_REASON_UNSPECIFIED; /* RFC 5280 5.3.1: then the extension is left out */
    }
}

static struct record_bytes bytes_at(sqlite3_stmt *row, int column)
{
    return (struct record_bytes){sqlite3_column_blob(row, column),
                                 (size_t)sqlite3_column_bytes(row, column)};
}

/* What the log says comes before the owner's revocation, and that before a hold. */
static void read_entry(sqlite3_stmt *row, struct entry *e)
{
    enum trust_state state = (enum trust_state)sqlite3_column_int64(row, 3);

    *e = (struct entry){.number = bytes_at(row, 0),
                        .issuer_id = sqlite3_column_int64(row, 1),
                        .issuer = bytes_at(row, 2),
                        .since = sqlite3_column_int64(row, 5)};
    if (state == TRUST_REPLACED)
        e->reason = CRL_REASON_SUPERSEDED;
    else if (state != TRUST_LIVE)
        e->reason = reason_code((enum record_reason)sqlite3_column_int64(row, 4));
    else if (sqlite3_column_type(row, 6) != SQLITE_NULL) {
        e->since = sqlite3_column_int64(row, 6);
        e->reason = reason_code((enum record_reason)sqlite3_column_int64(row, 7));
    } else {
        e->since = sqlite3_column_int64(row, 8);
        e->reason = CRL_REASON_CERTIFICATE_HOLD;
    }
}

static bool add_issuer(X509_REVOKED *revoked, const struct record_bytes *name)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *one = GENERAL_NAME_new();
    const unsigned char *p = name->p;
    X509_NAME *issuer = d2i_X509_NAME(NULL, &p, (long)name->len);
    bool good = names && one && issuer && sk_GENERAL_NAME_push(names, one);

    if (good)
        GENERAL_NAME_set0_value(one, GEN_DIRNAME, issuer);
    else {
        GENERAL_NAME_free(one);
        X509_NAME_free(issuer);
    }
    good = good && X509_REVOKED_add1_ext_i2d(revoked, NID_certificate_issuer, names, 1, 0) == 1;
    GENERAL_NAMES_free(names);
    return good;
}

/* The number as the certificate has it, byte for byte: a negative one stays negative. */
static bool set_number(X509_REVOKED *revoked, const struct record_bytes *number)
{
    uint8_t der[2 + NUMBER_MAX] = {V_ASN1_INTEGER, (uint8_t)number->len};
    const unsigned char *p = der;
    ASN1_INTEGER *serial;
    bool good;

    if (!number->p || number->len > NUMBER_MAX)
        return false;
    memcpy(der + 2, number->p, number->len);
    serial = d2i_ASN1_INTEGER(NULL, &p, (long)number->len + 2);
    good = serial && X509_REVOKED_set_serialNumber(revoked, serial);
    ASN1_INTEGER_free(serial);
    return good;
}

static bool set_reason(X509_REVOKED *revoked, long reason)
{
    ASN1_ENUMERATED *value;
    bool good;

    if (reason == CRL_REASON_UNSPECIFIED)
        return true;
    value = ASN1_ENUMERATED_new();
    good = value && ASN1_ENUMERATED_set(value, reason) &&
           X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, value, 0, 0) == 1;
    ASN1_ENUMERATED_free(value);
    return good;
}

/* An entry names its issuer where that is not the one of the entry before. */
static bool add_entry(X509_CRL *crl, const struct entry *e, bool names_issuer)
{
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_TIME *since = ASN1_TIME_set(NULL, (time_t)e->since);
    bool good = revoked && since && set_number(revoked, &e->number) &&
                X509_REVOKED_set_revocationDate(revoked, since) &&
                (!names_issuer || add_issuer(revoked, &e->issuer)) &&
                set_reason(revoked, e->reason) && X509_CRL_add0_revoked(crl, revoked);

    if (!good)
        X509_REVOKED_free(revoked);
    ASN1_TIME_free(since);
    return good;
}

/*
 * NOT INDEXED: few of many are listed, and in the order of an index each row would be fetched from
 * another place of the file to find that out.
 */
static int add_entries(struct trust *t, X509_CRL *crl, uint64_t *count, struct error *err)
{
    int64_t issuer = 0;
    sqlite3_stmt *row;
    int rc =
        sql_row(&t->sql, err, &row,
                "SELECT i.number, i.issuer, s.name, i.state, i.reason, i.changed, r.at,"
                " r.reason, h.at FROM identities i NOT INDEXED JOIN issuers s ON s.id = i.issuer"
                " LEFT JOIN decisions r ON r.id = i.revoked"
                " LEFT JOIN holds o ON o.serial = i.serial AND o.product = i.product"
                " LEFT JOIN decisions h ON h.id = o.decision"
                " WHERE i.state NOT IN (1, 6) OR (i.state = 1 AND (i.revoked != 0"
                " OR o.decision IS NOT NULL)) ORDER BY i.issuer, i.number",
                "");

    for (*count = 0; rc == 1; (*count)++) {
        struct entry e;

        read_entry(row, &e);
        if (!add_entry(crl, &e, e.issuer_id != issuer)) {
            sql_end(row);
            return error_set(err, ERR_CRYPTO,
                             "a certificate of the state cannot be listed: its issuer or number is "
                             "malformed, or there is no memory");
        }
        issuer = e.issuer_id;
        rc = sql_next(&t->sql, row, err);
    }
    return rc;
}

/* issuingDistributionPoint: indirect, and where it lies if the caller knows. */
static bool add_distribution_point(X509_CRL *crl, const char *uri)
{
    ISSUING_DIST_POINT *idp = ISSUING_DIST_POINT_new();
    GENERAL_NAME *name = NULL;
    bool good = idp != NULL;

    if (good)
        idp->indirectCRL = 0xff;
    if (good && uri) {
        name = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_URI, uri, 0);
        idp->distpoint = DIST_POINT_NAME_new();
        good = name && idp->distpoint;
        if (good) {
            idp->distpoint->type = 0;
            idp->distpoint->name.fullname = GENERAL_NAMES_new();
            good = idp->distpoint->name.fullname &&
                   sk_GENERAL_NAME_push(idp->distpoint->name.fullname, name);
        }
        if (!good)
            GENERAL_NAME_free(name);
    }
    good = good && X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, idp, 1, 0) == 1;
    ISSUING_DIST_POINT_free(idp);
    return good;
}

static bool add_authority(X509_CRL *crl, X509 *cert)
{
    X509_EXTENSION *e;
    X509V3_CTX ctx;
    bool good;

    X509V3_set_ctx(&ctx, cert, NULL, NULL, crl, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    good = e && X509_CRL_add_ext(crl, e, -1);
    X509_EXTENSION_free(e);
    return good;
}

static bool set_crl_number(X509_CRL *crl, int64_t number)
{
    ASN1_INTEGER *value = ASN1_INTEGER_new();
    bool good = value && ASN1_INTEGER_set_int64(value, number) &&
                X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, 0) == 1;

    ASN1_INTEGER_free(value);
    return good;
}

static bool set_times(X509_CRL *crl, int64_t now, int64_t next)
{
    ASN1_TIME *a = ASN1_TIME_set(NULL, (time_t)now), *b = ASN1_TIME_set(NULL, (time_t)next);
    bool good = a && b && X509_CRL_set1_lastUpdate(crl, a) && X509_CRL_set1_nextUpdate(crl, b);

    ASN1_TIME_free(a);
    ASN1_TIME_free(b);
    return good;
}

static int check_policy(const struct crl_policy *p, struct error *err)
{
    if (X509_check_private_key(p->cert, p->key) != 1) {
        ERR_clear_error();
        return error_set(err, ERR_INPUT, "the key is not that of the certificate");
    }
    if (!(X509_get_extension_flags(p->cert) & EXFLAG_KUSAGE) ||
        !(X509_get_key_usage(p->cert) & KU_CRL_SIGN) || !X509_get0_subject_key_id(p->cert))
        return error_set(err, ERR_INPUT,
                         "the certificate needs keyUsage cRLSign and a subject key identifier to "
                         "sign revocation lists");
    if (p->days == 0 || p->days > CRL_DAYS_MAX)
        return error_set(err, ERR_INPUT, "days are 1 to %d", CRL_DAYS_MAX);
    return 0;
}

static int put(X509_CRL *crl, bool der, struct buf *out, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    long len;
    int rc = 0;

    if (!bio || !(der ? i2d_X509_CRL_bio(bio, crl) : PEM_write_bio_X509_CRL(bio, crl)) ||
        (len = BIO_get_mem_data(bio, &bytes)) <= 0)
        rc = error_set(err, ERR_INTERNAL, "out of memory for the revocation list");
    else
        buf_put(out, bytes, (size_t)len);
    BIO_free(bio);
    return rc ? rc : buf_check(out, "the revocation list", err);
}

static int build(struct trust *t, X509_CRL *crl, const struct crl_policy *p, struct crl_made *made,
                 struct error *err)
{
    int64_t now = clock_utc();
    int rc;

    made->next_update = now + (int64_t)p->days * DAY;
    if (!X509_CRL_set_version(crl, X509_CRL_VERSION_2) ||
        !X509_CRL_set_issuer_name(crl, X509_get_subject_name(p->cert)) ||
        !set_times(crl, now, made->next_update) || !add_authority(crl, p->cert) ||
        !set_crl_number(crl, made->number) || !add_distribution_point(crl, p->uri))
        return error_set(err, ERR_CRYPTO, "cannot build the revocation list");
    rc = add_entries(t, crl, &made->entries, err);
    /* The pages that were read make room for the list. */
    (void)sqlite3_db_release_memory(t->sql.db);
    if (rc == 0 && !X509_CRL_sign(crl, p->key, EVP_sha256()))
        rc = error_set(err, ERR_CRYPTO, "the key cannot sign the revocation list");
    if (rc == 0)
        rc = sql_run(&t->sql, err, "INSERT INTO crls (number, made, entries) VALUES (?, ?, ?)",
                     "iii", made->number, now, (int64_t)made->entries);
    return rc;
}

int trust_crl(struct trust *t, const struct crl_policy *policy, struct buf *out,
              struct crl_made *made, struct error *err)
{
    X509_CRL *crl = NULL;
    int rc = check_policy(policy, err);

    if (rc)
        return rc;
    *made = (struct crl_made){.number = 1};
    if ((rc = db_begin(t, err)))
        return rc;
    rc = sql_integer(&t->sql, err, &made->number, "SELECT max(number) + 1 FROM crls", "");
    crl = X509_CRL_new();
    if (rc == 0 && !crl)
        rc = error_set(err, ERR_INTERNAL, "out of memory for the revocation list");
    if (rc == 0)
        rc = build(t, crl, policy, made, err);
    if (rc)
        db_rollback(t);
    else
        rc = db_commit(t, err);
    if (rc == 0)
        rc = put(crl, policy->der, out, err);
    X509_CRL_free(crl);
    ERR_clear_error();
    return rc;
}
