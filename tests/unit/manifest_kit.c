#include "manifest_kit.h"

#include "base/clock.h"
#include "base/file.h"
#include "manifests/cms.h"
#include "pki/ec.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(cond) ((cond) ? (void)0 : kit_die(#cond, __LINE__, NULL))
#define OK(call)   ((call) == 0 ? (void)0 : kit_die(#call, __LINE__, &kit_error))

static struct error kit_error;

static void kit_die(const char *what, int line, const struct error *err)
{
    fprintf(stderr, "manifest_kit.c:%d: %s failed: %s\n", line, what, err ? err->text : "");
    abort();
}

EVP_PKEY *kit_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    MUST(key);
    return key;
}

static void add_extensions(X509 *cert, X509 *issuer, const char *const *extensions)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    for (; extensions && *extensions; extensions += 2) {
        X509_EXTENSION *e = X509V3_EXT_conf(NULL, &ctx, extensions[0], extensions[1]);

        MUST(e && X509_add_ext(cert, e, -1));
        X509_EXTENSION_free(e);
    }
}

X509 *kit_certificate(EVP_PKEY *key, const char *name, EVP_PKEY *issuer_key, X509 *issuer,
                      const char *const *extensions)
{
    X509 *cert = X509_new();
    uint8_t serial[12];
    BIGNUM *number;
    X509_NAME *subject = X509_get_subject_name(cert);

    RAND_bytes(serial, sizeof serial);
    serial[0] = 1;
    number = BN_bin2bn(serial, sizeof serial, NULL);
    MUST(X509_set_version(cert, X509_VERSION_3) &&
         BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
    BN_free(number);
    MUST(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0));
    X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject);
    X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
    ASN1_TIME_set_string(X509_getm_notAfter(cert), "99991231235959Z");
    X509_set_pubkey(cert, key);
    add_extensions(cert, issuer ? issuer : cert, extensions);
    MUST(X509_sign(cert, issuer_key, EVP_sha256()));
    return cert;
}

static void path_of(char out[PATH_MAX], const char *dir, const char *name)
{
    OK(file_join(out, PATH_MAX, dir, name, &kit_error));
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    OK(file_write(path, bytes, len, 0644, &kit_error));
}

static void write_certificate(const char *path, X509 *cert)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    long len;

    MUST(PEM_write_bio_X509(out, cert));
    len = BIO_get_mem_data(out, &text);
    write_file(path, text, (size_t)len);
    BIO_free(out);
}

static const char *const ca_extensions[] = {"basicConstraints",
                                            "critical,CA:TRUE",
                                            "keyUsage",
                                            "critical,keyCertSign,cRLSign",
                                            "subjectKeyIdentifier",
                                            "hash",
                                            NULL};
static const char *const issuing_extensions[] = {"basicConstraints",
                                                 "critical,CA:TRUE,pathlen:0",
                                                 "keyUsage",
                                                 "critical,keyCertSign,cRLSign",
                                                 "subjectKeyIdentifier",
                                                 "hash",
                                                 "authorityKeyIdentifier",
                                                 "keyid",
                                                 NULL};
static const char *const signer_extensions[] = {"basicConstraints",
                                                "critical,CA:FALSE",
                                                "keyUsage",
                                                "critical,digitalSignature",
                                                "extendedKeyUsage",
                                                "emailProtection",
                                                "subjectKeyIdentifier",
                                                "hash",
                                                "authorityKeyIdentifier",
                                                "keyid",
                                                NULL};
static const char *const crl_extensions[] = {
    "keyUsage", "critical,cRLSign",       "subjectKeyIdentifier",
    "hash",     "authorityKeyIdentifier", "keyid",
    NULL};
static const char *const device_extensions[] = {"keyUsage", "critical,digitalSignature",
                                                "authorityKeyIdentifier", "keyid", NULL};

static void write_log_key(const struct kit *k)
{
    struct buf text;
    BIO *out = BIO_new(BIO_s_mem());
    char path[PATH_MAX], *pem;
    long len;

    buf_init(&text, 4096);
    OK(note_key_write(k->origin, k->log_key, &text, &kit_error));
    buf_put_u8(&text, '\n');
    write_file(k->vkey, text.data, text.len);
    buf_done(&text);
    MUST(PEM_write_bio_PUBKEY(out, k->log_key));
    len = BIO_get_mem_data(out, &pem);
    path_of(path, k->dir, "log.pub");
    write_file(path, pem, (size_t)len);
    BIO_free(out);
}

/* <name>.key and <name>.pem. */
static void write_pair(const struct kit *k, const char *name, EVP_PKEY *key, X509 *cert)
{
    BIO *out = BIO_new(BIO_s_mem());
    char path[PATH_MAX], file[80], *pem;
    long len;

    snprintf(file, sizeof file, "%s.pem", name);
    path_of(path, k->dir, file);
    write_certificate(path, cert);
    MUST(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
    len = BIO_get_mem_data(out, &pem);
    snprintf(file, sizeof file, "%s.key", name);
    path_of(path, k->dir, file);
    write_file(path, pem, (size_t)len);
    BIO_free(out);
}

/* Who signs revocation lists; issued by the device root, as stock verifiers require. */
static void write_crl_signer(const struct kit *k, EVP_PKEY *root_key, X509 *root)
{
    EVP_PKEY *key = kit_key();
    X509 *cert = kit_certificate(key, "Revocations", root_key, root, crl_extensions);

    write_pair(k, "crl", key, cert);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* The URI that the list of the kit's owner has. */
static void add_crl_uri(DIST_POINT *point)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *uri = ASN1_IA5STRING_new();

    MUST(name && uri && ASN1_STRING_set(uri, KIT_CRL_URI, -1));
    GENERAL_NAME_set0_value(name, GEN_URI, uri);
    point->distpoint = DIST_POINT_NAME_new();
    MUST(point->distpoint);
    point->distpoint->type = 0; /* fullName */
    point->distpoint->name.fullname = GENERAL_NAMES_new();
    MUST(point->distpoint->name.fullname &&
         sk_GENERAL_NAME_push(point->distpoint->name.fullname, name));
}

/* crlDistributionPoints: where the owner's list is, and cRLIssuer. */
static void add_crl_issuer(X509 *cert)
{
    CRL_DIST_POINTS *points = CRL_DIST_POINTS_new();
    DIST_POINT *point = DIST_POINT_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    X509_NAME *issuer = X509_NAME_new();

    MUST(points && point && name && issuer && sk_DIST_POINT_push(points, point));
    MUST(X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_ASC,
                                    (const unsigned char *)"Revocations", -1, -1, 0));
    GENERAL_NAME_set0_value(name, GEN_DIRNAME, issuer);
    add_crl_uri(point);
    point->CRLissuer = GENERAL_NAMES_new();
    MUST(point->CRLissuer && sk_GENERAL_NAME_push(point->CRLissuer, name));
    MUST(X509_add1_ext_i2d(cert, NID_crl_distribution_points, points, 0, 0) == 1);
    CRL_DIST_POINTS_free(points);
}

X509 *kit_issuing_ca(const struct kit *k, EVP_PKEY *issuer_key, X509 *issuer)
{
    return kit_certificate(k->ca_key, "Issuing CA line1", issuer_key, issuer, issuing_extensions);
}

void kit_init(struct kit *k, const char *dir)
{
    kit_init_station(k, dir, KIT_ORIGIN, KIT_STATION);
}

void kit_init_station(struct kit *k, const char *dir, const char *origin, const char *station)
{
    EVP_PKEY *root_key = kit_key(), *device_root_key = kit_key();
    X509 *root, *device_root;

    *k = (struct kit){.log_key = kit_key(), .ca_key = kit_key()};
    snprintf(k->dir, sizeof k->dir, "%s", dir);
    snprintf(k->origin, sizeof k->origin, "%s", origin);
    snprintf(k->station, sizeof k->station, "%s", station);
    path_of(k->root, dir, "manifest-root.pem");
    path_of(k->device_root, dir, "device-root.pem");
    path_of(k->vkey, dir, "log.vkey");
    sha256("order", 5, k->totals.order);
    root = kit_certificate(root_key, "Manifest Root", root_key, NULL, ca_extensions);
    device_root =
        kit_certificate(device_root_key, "Device Root", device_root_key, NULL, ca_extensions);
    k->ca = kit_issuing_ca(k, device_root_key, device_root);
    k->root_key = root_key;
    k->root_cert = root;
    kit_signer_init(k, &(struct kit_signer){.from = -1, .until = 36500}, &k->signer);
    write_certificate(k->root, root);
    write_certificate(k->device_root, device_root);
    write_log_key(k);
    write_crl_signer(k, device_root_key, device_root);
    k->device_root_key = device_root_key;
    k->device_root_cert = device_root;
}

void kit_done(struct kit *k)
{
    EVP_PKEY_free(k->log_key);
    EVP_PKEY_free(k->ca_key);
    EVP_PKEY_free(k->root_key);
    EVP_PKEY_free(k->device_root_key);
    X509_free(k->root_cert);
    X509_free(k->device_root_cert);
    kit_signer_done(&k->signer);
    X509_free(k->ca);
}

void kit_signer_init(const struct kit *k, const struct kit_signer *what, struct signer *out)
{
    EVP_PKEY *issuer_key = what->of_device_root ? k->ca_key : k->root_key;

    *out = (struct signer){.key = kit_key()};
    out->cert = kit_certificate(out->key, "Manifest signer line1", issuer_key,
                                what->of_device_root ? k->ca : k->root_cert,
                                what->extensions ? what->extensions : signer_extensions);
    MUST(X509_gmtime_adj(X509_getm_notBefore(out->cert), what->from * 86400) &&
         X509_gmtime_adj(X509_getm_notAfter(out->cert), what->until * 86400) &&
         X509_sign(out->cert, issuer_key, EVP_sha256()));
}

void kit_signer_done(struct signer *signer)
{
    EVP_PKEY_free(signer->key);
    X509_free(signer->cert);
}

void kit_device_init(struct kit *k, struct kit_device *d, const char *serial)
{
    struct record *r = &d->record;

    *d = (struct kit_device){.key = kit_key()};
    r->t = RECORD_ADD;
    MUST(clock_parse("2026-11-21T10:00:00Z", &r->ts) == 0);
    memcpy(r->order, k->totals.order, sizeof r->order);
    strcpy(r->prod, KIT_PRODUCT);
    strcpy(r->sn, serial);
    RAND_bytes(r->tx, sizeof r->tx);
    r->chip_len = 12;
    RAND_bytes(r->chip, (int)r->chip_len);
    strcpy(r->udi.gtin, KIT_PRODUCT);
    strcpy(r->udi.lot, "LOT42");
    strcpy(r->udi.mfd, "2026-11-21");
    strcpy(r->fw.version, "1.4.2");
    r->fw.has_sha256 = r->fw.has_debug = true;
    sha256("firmware", 8, r->fw.sha256);
    r->mode = RECORD_MODE_HSM;
    r->auth = RECORD_AUTH_NONE;
    r->lock = true;
    strcpy(r->hsm, "software");
    r->use = RECORD_USE_REGISTRATION;
    k->devices++;
    kit_prove(k, d);
}

void kit_device_done(struct kit_device *d)
{
    EVP_PKEY_free(d->key);
    OPENSSL_free(d->cert);
}

void kit_device_write(const struct kit *k, const struct kit_device *d)
{
    const unsigned char *p = d->record.cert.p;
    X509 *cert = d2i_X509(NULL, &p, (long)d->record.cert.len);

    MUST(cert);
    write_pair(k, d->record.sn, d->key, cert);
    X509_free(cert);
}

void kit_certify(struct kit_device *d, const char *serial, EVP_PKEY *issuer_key, X509 *issuer)
{
    struct record *r = &d->record;
    uint8_t point[EC_POINT_SIZE], *der = NULL;
    X509 *cert = kit_certificate(d->key, serial, issuer_key, issuer, device_extensions);
    int len;

    MUST(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "serialNumber", MBSTRING_ASC,
                                    (const unsigned char *)serial, -1, -1, 0));
    add_crl_issuer(cert);
    MUST(X509_sign(cert, issuer_key, EVP_sha256()));
    OPENSSL_free(d->cert);
    d->cert = NULL;
    len = i2d_X509(cert, &d->cert);
    MUST(len > 0);
    X509_free(cert);
    r->cert = (struct record_bytes){d->cert, (size_t)len};
    len = i2d_X509(issuer, &der);
    MUST(len > 0);
    sha256(der, (size_t)len, r->iss);
    OPENSSL_free(der);
    OK(ec_point(d->key, point, &kit_error));
    ec_spki(point, d->spki);
    r->spki = (struct record_bytes){d->spki, sizeof d->spki};
}

static void make_transcript(struct kit_device *d, const char *environment)
{
    const struct record *r = &d->record;
    uint8_t pub[2 + EC_POINT_SIZE] = {IMPRINT_ALG_P256 >> 8, IMPRINT_ALG_P256 & 0xff, 4}, hash[32];
    struct buf x;

    sha256("facts", 5, hash);
    buf_init(&x, sizeof d->x);
    buf_put_u16(&x, IMPRINT_SUITE_X963);
    buf_put_lp(&x, environment, strlen(environment));
    buf_put_lp(&x, r->order, sizeof r->order);
    buf_put_lp(&x, r->tx, sizeof r->tx);
    buf_put_lp(&x, hash, sizeof hash);
    buf_put_lp(&x, r->sn, strlen(r->sn));
    buf_put_lp(&x, r->chip, r->chip_len);
    buf_put_lp(&x, pub, sizeof pub);
    buf_put_lp(&x, pub, sizeof pub);
    buf_put_lp(&x, hash, sizeof hash);
    buf_put_lp(&x, hash, sizeof hash);
    MUST(!buf_failed(&x));
    memcpy(d->x, x.data, x.len);
    d->evidence.x = (struct record_bytes){d->x, x.len};
    buf_done(&x);
}

void kit_evidence(struct kit_device *d, const char *environment)
{
    static const uint8_t chain[] = "stands for DER certificates";
    struct evidence *e = &d->evidence;
    struct buf bytes;

    *e = (struct evidence){.proof_algorithm = IMPRINT_ALG_ECDSA_SHA256, .commit_count = 1};
    e->lifecycle = d->record.lock ? IMPRINT_LIFE_LOCKED : IMPRINT_LIFE_FACTORY;
    e->attested = d->record.auth != RECORD_AUTH_NONE;
    e->made = e->attested && d->record.mode == RECORD_MODE_DEVICE;
    if (e->attested)
        e->att_key[0] = 4;
    if (d->record.auth == RECORD_AUTH_ATTESTED)
        e->att_chain = (struct record_bytes){chain, sizeof chain};
    memcpy(e->tx, d->record.tx, sizeof e->tx);
    RAND_bytes(e->nonce, sizeof e->nonce);
    make_transcript(d, environment);
    buf_init(&bytes, 4096);
    evidence_proof_message(e, d->record.cert.p, d->record.cert.len, &bytes);
    OK(ec_sign(d->key, bytes.data, bytes.len, e->proof, &kit_error));
    buf_reset(&bytes);
    OK(evidence_write(e, &bytes, &kit_error));
    sha256(bytes.data, bytes.len, d->record.ev);
    buf_done(&bytes);
}

void kit_prove_under(struct kit_device *d, EVP_PKEY *issuer_key, X509 *issuer)
{
    kit_certify(d, d->record.sn, issuer_key, issuer);
    kit_evidence(d, KIT_ENVIRONMENT);
}

void kit_prove(struct kit *k, struct kit_device *d)
{
    kit_prove_under(d, k->ca_key, k->ca);
}

void kit_begin(struct kit_batch *b, struct kit *k, const char *name,
               const struct manifest_state *previous)
{
    *b = (struct kit_batch){.kit = k, .previous = previous};
    path_of(b->dir, k->dir, name);
    OK(file_make_dir(b->dir, 0755, &kit_error));
    OK(seal_open(b->dir, k->origin, previous, &b->seal, &kit_error));
}

static void count(struct manifest_totals *t, const struct record *r)
{
    switch (r->t) {
    case RECORD_ADD:
        t->good++;
        break;
    case RECORD_REPLACE:
        t->replaced++;
        break;
    case RECORD_RECOMMISSION:
        t->good++;
        t->revoked--;
        break;
    case RECORD_DECOMMISSION:
    case RECORD_REVOKE:
        t->good--;
        t->revoked++;
        break;
    case RECORD_VOID:
        if (r->reason == RECORD_BURNED)
            t->burned++;
        else
            t->scrapped++;
        break;
    default:
        break;
    }
    t->issued =
        t->good + t->replaced + t->revoked + t->burned + t->scrapped + t->unresolved + t->unused;
}

static void add(struct kit_batch *b, const struct record *r, const struct evidence *e)
{
    struct buf line, evidence;

    buf_init(&line, RECORD_LINE_MAX);
    buf_init(&evidence, RECORD_LINE_MAX);
    OK(record_write(r, &line, &kit_error));
    if (e)
        OK(evidence_write(e, &evidence, &kit_error));
    OK(seal_add(b->seal, line.data, line.len, e ? evidence.data : NULL, evidence.len, &kit_error));
    count(&b->kit->totals, r);
    buf_done(&line);
    buf_done(&evidence);
}

void kit_add(struct kit_batch *b, struct kit_device *d)
{
    add(b, &d->record, &d->evidence);
}

void kit_add_record(struct kit_batch *b, const struct record *r)
{
    add(b, r, NULL);
}

static void spki_of(EVP_PKEY *key, uint8_t spki[EC_SPKI_SIZE])
{
    uint8_t point[EC_POINT_SIZE];

    OK(ec_point(key, point, &kit_error));
    ec_spki(point, spki);
}

void kit_add_rotation(struct kit_batch *b, const struct kit_rotation *what)
{
    struct rotation_scope scope = {b->kit->origin, KIT_ENVIRONMENT, what->station};
    struct rotation r = {.key = what->key, .leaf = what->leaf, .ts = 1795000000};
    uint8_t n[RECORD_N_SIZE];
    struct buf message, line;

    strcpy(r.by, "Ada");
    strcpy(r.reason, "every two years");
    spki_of(what->key == ROTATION_LOG ? b->kit->log_key : b->kit->signer.key, r.old);
    spki_of(what->next, r.new);
    buf_init(&message, 4096);
    buf_init(&line, RECORD_LINE_MAX);
    rotation_message(&r, &scope, &message);
    OK(ec_sign(what->signer_old, message.data, message.len, r.sig_old, &kit_error));
    OK(ec_sign(what->signer_new, message.data, message.len, r.sig_new, &kit_error));
    RAND_bytes(n, sizeof n);
    OK(rotation_write(&r, n, &line, &kit_error));
    OK(seal_add(b->seal, line.data, line.len, NULL, 0, &kit_error));
    buf_done(&message);
    buf_done(&line);
}

static void put_checkpoint(struct kit_batch *b, struct seal_result *result)
{
    struct buf text, note;

    buf_init(&text, 4096);
    buf_init(&note, 4096);
    seal_checkpoint(result, &text);
    OK(note_sign(text.data, text.len, b->kit->origin, b->kit->log_key, &note, &kit_error));
    if (b->also_log_key)
        OK(note_cosign(&note, b->kit->origin, b->also_log_key, &kit_error));
    OK(seal_put_file(b->dir, MANIFEST_CHECKPOINT, note.data, note.len, result, &kit_error));
    buf_done(&text);
    buf_done(&note);
}

void kit_share_root(struct kit *k, const struct kit *other)
{
    struct buf roots;

    buf_init(&roots, 65536);
    OK(file_read(k->device_root, &roots, &kit_error));
    OK(file_read(other->device_root, &roots, &kit_error));
    OK(file_write(k->device_root, roots.data, roots.len, 0644, &kit_error));
    buf_done(&roots);
    k->other_ca = other->ca;
}

static void put_chain(struct kit_batch *b, struct seal_result *result)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    long len;

    MUST(PEM_write_bio_X509(out, b->kit->ca));
    if (b->kit->other_ca)
        MUST(PEM_write_bio_X509(out, b->kit->other_ca));
    len = BIO_get_mem_data(out, &text);
    OK(seal_put_file(b->dir, MANIFEST_CHAIN, text, (size_t)len, result, &kit_error));
    BIO_free(out);
}

void kit_end(struct kit_batch *b, struct manifest_state *state)
{
    struct seal_result result;
    struct manifest_totals totals[] = {b->kit->totals, b->kit->other};
    struct statement s;
    struct buf bytes, pem;

    OK(seal_close(b->seal, &result, &kit_error));
    if (b->compress)
        OK(seal_compress(b->dir, &result, &kit_error));
    put_checkpoint(b, &result);
    put_chain(b, &result);
    seal_statement(&result, b->previous, &s);
    strcpy(s.station, b->kit->station);
    strcpy(s.environment, KIT_ENVIRONMENT);
    strcpy(s.customer, "Example Infusion Ltd");
    s.created = clock_utc();
    s.totals = totals;
    s.totals_count = totals[1].order[0] ? 2 : 1;
    buf_init(&bytes, STATEMENT_MAX);
    buf_init(&pem, 65536);
    OK(statement_write(&s, &bytes, &kit_error));
    OK(cms_sign(&b->kit->signer, bytes.data, bytes.len, &pem, &kit_error));
    OK(seal_finish(b->dir, &bytes, &pem, &kit_error));
    if (state)
        seal_state(&result, s.seq, &bytes, state);
    buf_done(&bytes);
    buf_done(&pem);
    seal_result_done(&result);
}

void kit_change(struct record *r, enum record_type t, const struct record *of, uint64_t ref)
{
    *r = (struct record){.t = t, .ts = of->ts, .ref = ref, .chip_len = of->chip_len};
    memcpy(r->order, of->order, sizeof r->order);
    strcpy(r->prod, of->prod);
    strcpy(r->sn, of->sn);
    memcpy(r->chip, of->chip, sizeof r->chip);
    RAND_bytes(r->tx, sizeof r->tx);
    RAND_bytes(r->n, sizeof r->n);
    if (t == RECORD_REVOKE) {
        r->reason = RECORD_KEY_COMPROMISE;
        r->chip_len = 0;
    }
    if (t == RECORD_DECOMMISSION)
        r->reason = RECORD_CESSATION_OF_OPERATION;
}

struct verify_policy kit_policy(const struct kit *k)
{
    return (struct verify_policy){
        .root = k->root, .device_root = k->device_root, .log_key = k->vkey};
}
