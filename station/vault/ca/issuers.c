#include "station/vault/ca/issuers.h"

#include "base/codec.h"
#include "base/file.h"
#include "hsm/signer.h"
#include "manifests/cert.h"
#include "pki/cert.h"
#include "pki/profile.h"
#include "pki/signed.h"
#include "station/store/inventory.h"
#include "station/store/ledger.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define YEAR           (365 * INT64_C(86400))
#define TRANSCRIPT_MAX (256 * 1024)

/* ---- what the ledger tells ---- */

/* Of one CA, while it is being read. */
struct told {
    uint8_t hashes[CA_CHAIN_MAX][SHA256_SIZE]; /* the CA's own first */
    size_t count;                              /* 0: of the ceremony, by its key */
};

struct reading {
    struct issuers *out;
    uint8_t ceremony[SHA256_SIZE]; /* of ceremony.json, which names the CA of the ceremony */
    struct told told[ISSUERS_MAX];
};

static int malformed(const struct ledger_entry *entry, struct error *err)
{
    return error_set(err, ERR_INTEGRITY,
                     "ledger entry %lld about an issuing CA is malformed: keep the database as it "
                     "is and call the security team",
                     (long long)entry->seq);
}

/* The CA that data names; one that is new follows the last. */
static struct issuer *named(struct issuers *issuers, const json_t *data)
{
    json_int_t number = json_integer_value(json_object_get(data, "number"));
    struct issuer *i;

    if (number >= 1 && number <= (json_int_t)issuers->count)
        return &issuers->of[number - 1];
    if (number != (json_int_t)issuers->count + 1 || issuers->count == ISSUERS_MAX)
        return NULL;
    i = &issuers->of[issuers->count++];
    *i = (struct issuer){.number = (unsigned)number};
    buf_init(&i->der, INVENTORY_CERT_MAX);
    return i;
}

static bool take_hash(struct told *t, const json_t *text)
{
    return json_is_string(text) && t->count < CA_CHAIN_MAX &&
           hex_decode(json_string_value(text), t->hashes[t->count++], SHA256_SIZE) == 0;
}

static bool take_certificates(struct told *t, const json_t *data)
{
    json_t *above;
    size_t i;
    bool good = take_hash(t, json_object_get(data, "sha256"));

    json_array_foreach(json_object_get(data, "chain"), i, above) good = good && take_hash(t, above);
    return good;
}

/* The first entry: without a root of the company there is a CA of the ceremony. */
static bool take_init(struct reading *r, const json_t *data)
{
    struct issuers *out = r->out;
    const char *ceremony = json_string_value(json_object_get(data, "ceremony"));
    const char *root = json_string_value(json_object_get(data, "root"));
    json_t *first = json_pack("{s:i}", "number", 1);
    struct issuer *i = named(out, first);

    json_decref(first);
    out->company_root = root && strcmp(root, "company") == 0;
    if (i)
        i->state = out->company_root ? ISSUER_REQUESTED : ISSUER_ACTIVE;
    return i && ceremony && hex_decode(ceremony, r->ceremony, sizeof r->ceremony) == 0;
}

static bool take_destroyed(struct issuers *out, const json_t *data)
{
    json_int_t number = json_integer_value(json_object_get(data, "number"));
    struct issuer *i;

    if (number == 0) {
        out->root_destroyed = true;
        return true;
    }
    i = named(out, data);
    if (i)
        i->state = ISSUER_DESTROYED;
    return i != NULL;
}

static bool take_event(struct reading *r, const char *event, const json_t *data)
{
    const char *profile = json_string_value(json_object_get(data, "profile"));
    struct issuer *i;

    if (strcmp(event, "init") == 0)
        return take_init(r, data);
    if (strcmp(event, "ca_destroyed") == 0)
        return take_destroyed(r->out, data);
    i = named(r->out, data);
    if (!i)
        return false;
    if (strcmp(event, "ca") == 0) {
        const char *how = json_string_value(json_object_get(data, "how"));

        i->state = ISSUER_ACTIVE;
        i->hosted = how && strcmp(how, ISSUER_HOSTED) == 0;
        return take_certificates(&r->told[i->number - 1], data);
    }
    i->state = ISSUER_REQUESTED;
    snprintf(i->profile, sizeof i->profile, "%s", profile ? profile : "");
    return true;
}

static int take_entry(void *context, const struct ledger_entry *entry, struct error *err)
{
    json_t *body = json_loads(entry->body, JSON_REJECT_DUPLICATES, NULL);
    const char *event = json_string_value(json_object_get(body, "event"));
    bool good = event && take_event(context, event, json_object_get(body, "data"));

    json_decref(body);
    return good ? 0 : malformed(entry, err);
}

/* ---- the certificates ---- */

int issuer_path(const struct config *config, unsigned number, char out[PATH_MAX], struct error *err)
{
    char name[48] = "ca/issuing-ca.pem";

    if (number > 1)
        snprintf(name, sizeof name, "ca/issuing-ca-%u.pem", number);
    return config_path(config, name, out, err);
}

int issuer_chain_path(const struct config *config, unsigned number, char out[PATH_MAX],
                      struct error *err)
{
    char name[48];

    snprintf(name, sizeof name, "ca/issuing-ca-%u.chain.pem", number);
    return config_path(config, name, out, err);
}

static int take_certificate(struct issuer *i, X509 *cert, struct error *err)
{
    i->chain.certs[i->chain.count++] = cert;
    if (i->chain.count > 1)
        return 0;
    ca_name(cert, i->name);
    return cert_der(cert, &i->der, err);
}

/* ceremony.json, which the ledger's first entry must name. */
static int read_transcript(const struct config *config, const uint8_t expected[SHA256_SIZE],
                           json_t **out, struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    char path[PATH_MAX];
    struct buf text;
    int rc = config_path(config, CONFIG_CEREMONY, path, err);

    buf_init(&text, TRANSCRIPT_MAX);
    if (rc == 0)
        rc = file_read_regular(path, &text, err);
    if (rc == 0) {
        sha256(text.data, text.len, hash);
        *out = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
        if (!*out || !sha256_equal(hash, expected))
            rc = error_set(err, ERR_INTEGRITY,
                           "'%s' is not the transcript of this station's ceremony, which names its "
                           "certificates: put the original back",
                           path);
    }
    buf_done(&text);
    return rc;
}

static int read_of_ceremony(const struct config *config, struct issuer *i, const char *file,
                            const json_t *said, struct error *err)
{
    const char *text = json_string_value(json_object_get(said, file));
    uint8_t hash[SHA256_SIZE], expected[SHA256_SIZE];
    char path[PATH_MAX];
    X509 *cert;
    int rc = config_path(config, file, path, err);

    if (rc == 0)
        rc = cert_read(path, &cert, err);
    if (rc == 0)
        rc = take_certificate(i, cert, err);
    if (rc == 0 &&
        (!text || hex_decode(text, expected, sizeof expected) ||
         X509_digest(cert, EVP_sha256(), hash, NULL) != 1 || !sha256_equal(hash, expected)))
        rc = error_set(err, ERR_INTEGRITY,
                       "'%s' is not the certificate of the ceremony: restore the file", path);
    return rc;
}

/* The CA of the ceremony, below the root of the ceremony. */
static int read_ceremony(const struct config *config, struct issuer *i,
                         const uint8_t transcript[SHA256_SIZE], struct error *err)
{
    static const char *const files[] = {"ca/issuing-ca.pem", "ca/device-root.pem"};
    json_t *said = NULL;
    int rc = read_transcript(config, transcript, &said, err);

    for (size_t n = 0; rc == 0 && n < 2; n++)
        rc = read_of_ceremony(config, i, files[n], json_object_get(said, "certificates"), err);
    json_decref(said);
    return rc;
}

/* The file's certificates, each of which must be the one of its hash. */
static int read_above(struct issuer *i, const char *path, const struct told *told,
                      struct error *err)
{
    STACK_OF(X509) *list = NULL;
    struct buf pem;
    int rc;

    buf_init(&pem, CA_CHAIN_FILE_MAX);
    rc = file_read(path, &pem, err);
    if (rc == 0)
        rc = signed_pins_parse(&pem, path, &list, err);
    while (rc == 0 && i->chain.count < told->count && sk_X509_num(list) > 0)
        rc = take_certificate(i, sk_X509_shift(list), err);
    signed_pins_free(list);
    buf_done(&pem);
    return rc;
}

static int check_hashes(const struct issuer *i, const char *path, const struct told *told,
                        struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    bool same = i->chain.count == told->count;

    for (size_t n = 0; same && n < told->count; n++)
        same = X509_digest(i->chain.certs[n], EVP_sha256(), hash, NULL) == 1 &&
               sha256_equal(hash, told->hashes[n]);
    if (same)
        return 0;
    return error_set(err, ERR_INTEGRITY,
                     "'%s', or the chain beside it, is not what was taken in as issuing CA %u: put "
                     "the originals back",
                     path, i->number);
}

static int read_imported(const struct config *config, struct issuer *i, const struct told *told,
                         struct error *err)
{
    char path[PATH_MAX], above[PATH_MAX];
    X509 *cert;
    int rc = issuer_path(config, i->number, path, err);

    if (rc == 0)
        rc = cert_read(path, &cert, err);
    if (rc == 0)
        rc = take_certificate(i, cert, err);
    if (rc == 0)
        rc = issuer_chain_path(config, i->number, above, err);
    if (rc == 0 && told->count > 1)
        rc = read_above(i, above, told, err);
    return rc ? rc : check_hashes(i, path, told, err);
}

static int read_certificates(const struct config *config, struct issuer *i, const struct reading *r,
                             struct error *err)
{
    const struct told *told = &r->told[i->number - 1];
    int rc = told->count ? read_imported(config, i, told, err)
                         : read_ceremony(config, i, r->ceremony, err);

    if (rc == 0)
        sha256(i->der.data, i->der.len, i->sha256);
    return rc;
}

int issuers_load(const struct config *config, struct store *store, struct issuers *out,
                 struct error *err)
{
    struct reading r = {.out = out};
    int rc;

    memset(out, 0, sizeof *out);
    rc = ledger_each_issuer(store, take_entry, &r, err);
    for (size_t n = 0; rc == 0 && n < out->count; n++)
        if (r.told[n].count || (n == 0 && !out->company_root))
            rc = read_certificates(config, &out->of[n], &r, err);
    return rc;
}

void issuers_done(struct issuers *issuers)
{
    for (size_t i = 0; i < issuers->count; i++) {
        ca_chain_done(&issuers->of[i].chain);
        buf_done(&issuers->of[i].der);
    }
    issuers->count = 0;
}

void issuer_use(const struct issuer *issuer, struct hsm *hsm)
{
    hsm_use_generation(hsm, HSM_KEY_ISSUING_CA, issuer->number);
}

int issuer_signer(const struct issuer *issuer, struct hsm *hsm, struct ca_signer *signer,
                  struct error *err)
{
    issuer_use(issuer, hsm);
    return hsm_ca_signer(hsm, HSM_KEY_ISSUING_CA, signer, err);
}

/* The first was checked when the token was opened. */
static int read_key(struct issuer *i, struct hsm *hsm, struct public_key *key, struct error *err)
{
    int rc = 0;

    issuer_use(i, hsm);
    if (i->number > 1)
        rc = hsm_key_check(hsm, HSM_KEY_ISSUING_CA, err);
    return rc ? rc : hsm_key_public(hsm, HSM_KEY_ISSUING_CA, key, &i->scheme, err);
}

static int check_key(struct issuer *i, struct hsm *hsm, struct error *err)
{
    struct public_key certified, own;
    int rc = read_key(i, hsm, &own, err);

    i->without_key = rc == ERR_MISSING;
    if (rc)
        return i->without_key ? 0 : rc;
    if (key_of(X509_get0_pubkey(i->chain.certs[0]), &certified, NULL) == 0 &&
        key_same(&certified, &own))
        return 0;
    return error_set(err, ERR_INTEGRITY,
                     "the key of issuing CA %u on the token is not that of its certificate: it is "
                     "another token, or somebody exchanged the key; call the security team",
                     i->number); /* the files were compared with their hashes */
}

bool issuer_hosted_scheme(X509 *cert, enum sig_scheme *scheme)
{
    struct public_key key;

    if (key_of(X509_get0_pubkey(cert), &key, NULL))
        return false;
    *scheme = scheme_fits(SCHEME_RSA_PKCS1_SHA256, key.type) ? SCHEME_RSA_PKCS1_SHA256
                                                             : scheme_of(key.type);
    return true;
}

/* It was judged when it was taken in. */
static int check_hosted(struct issuer *i, struct error *err)
{
    if (issuer_hosted_scheme(i->chain.certs[0], &i->scheme))
        return 0;
    return error_set(err, ERR_INTEGRITY, "the key of hosted CA %u is of a type that is not known",
                     i->number);
}

int issuers_check_keys(struct issuers *issuers, struct hsm *hsm, struct error *err)
{
    int rc = 0;

    for (size_t n = 0; rc == 0 && n < issuers->count; n++) {
        struct issuer *i = &issuers->of[n];

        if (i->state == ISSUER_ACTIVE)
            rc = i->hosted ? check_hosted(i, err) : check_key(i, hsm, err);
    }
    return rc;
}

bool issuer_can_sign(const struct issuer *issuer)
{
    return issuer->state == ISSUER_ACTIVE && !issuer->without_key && !issuer->hosted;
}

bool issuer_is_usable(const struct issuer *issuer)
{
    return issuer->hosted ? issuer->state == ISSUER_ACTIVE : issuer_can_sign(issuer);
}

/* ---- finding one ---- */

const struct issuer *issuers_of_number(const struct issuers *issuers, unsigned number)
{
    return number >= 1 && number <= issuers->count ? &issuers->of[number - 1] : NULL;
}

const struct issuer *issuers_of_hash(const struct issuers *issuers, const uint8_t hash[SHA256_SIZE])
{
    for (size_t n = 0; n < issuers->count; n++)
        if (issuers->of[n].chain.count && sha256_equal(issuers->of[n].sha256, hash))
            return &issuers->of[n];
    return NULL;
}

const struct issuer *issuers_of_name(const struct issuers *issuers, const char *name)
{
    for (size_t n = 0; n < issuers->count; n++)
        if (issuers->of[n].chain.count && strcmp(issuers->of[n].name, name) == 0)
            return &issuers->of[n];
    return NULL;
}

const struct issuer *issuers_of_certificate(const struct issuers *issuers, X509 *cert)
{
    for (size_t n = 0; n < issuers->count; n++)
        if (issuers->of[n].chain.count && ca_issued(issuers->of[n].chain.certs[0], cert))
            return &issuers->of[n];
    return NULL;
}

/* Whether the name of the CA is this one, byte by byte: as the CA's own it was copied. */
static bool has_name(const struct issuer *i, const struct record_bytes *name)
{
    const unsigned char *own;
    size_t len;

    return i->chain.count &&
           X509_NAME_get0_der(X509_get_subject_name(i->chain.certs[0]), &own, &len) == 1 &&
           len == name->len && memcmp(own, name->p, len) == 0;
}

/* Asked several times for each device, and OpenSSL takes as long to build an object of a certificate as the
 * token to sign one. */
int issuers_of_der(const struct issuers *issuers, const struct buf *der, const struct issuer **out,
                   struct error *err)
{
    struct cert cert;
    bool whole = cert_parse(der->data, der->len, &cert) == 0;

    for (size_t n = 0; whole && n < issuers->count; n++)
        if (has_name(&issuers->of[n], &cert.issuer)) {
            *out = &issuers->of[n];
            return 0;
        }
    return error_set(err, ERR_INTEGRITY,
                     "a certificate in the database is of no issuing CA of this station: keep the "
                     "database as it is and call the security team");
}

const struct issuer *issuers_newest(const struct issuers *issuers)
{
    for (size_t n = issuers->count; n > 0; n--)
        if (issuer_can_sign(&issuers->of[n - 1]))
            return &issuers->of[n - 1];
    return NULL;
}

unsigned issuers_next_number(const struct issuers *issuers)
{
    return (unsigned)issuers->count + 1;
}

const char *issuer_state_name(enum issuer_state state)
{
    static const char *const names[] = {[ISSUER_REQUESTED] = "requested",
                                        [ISSUER_ACTIVE] = "active",
                                        [ISSUER_DESTROYED] = "destroyed"};

    return names[state];
}

bool issuer_ends_soon(const struct issuer *issuer, int64_t now)
{
    int64_t begin, end, before = YEAR;

    if (issuer->state != ISSUER_ACTIVE || !ca_times(issuer->chain.certs[0], &begin, &end))
        return false;
    end = ca_chain_end(&issuer->chain);
    if (end == PROFILE_END_OF_TIME)
        return false;
    if ((end - begin) / 3 < before)
        before = (end - begin) / 3;
    return now > end - before;
}
