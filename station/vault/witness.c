#include "station/vault/witness.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "hsm/derived.h"
#include "link/transcript.h"
#include "manifests/evidence.h"
#include "pki/digest.h"
#include "station/store/ledger.h"

#include <string.h>
#include <sys/random.h>

/* What every record about a credential says; then what one with a certificate, and one of a device
 * says. r points into credential. */
static void fill_common(const struct order *order, const struct credential *credential,
                        struct record *r)
{
    memset(r, 0, sizeof *r);
    r->ts = clock_utc();
    memcpy(r->order, order->hash, sizeof r->order);
    strcpy(r->prod, credential->product);
    strcpy(r->sn, credential->serial);
}

static int fill_random(struct record *r, struct error *err)
{
    if (getrandom(r->n, sizeof r->n, 0) != (ssize_t)sizeof r->n)
        return error_set(err, ERR_INTERNAL, "the system's random source failed");
    return 0;
}

/* Of a derived key there is none, and random bytes in its place. */
static int fill_certificate(const struct vault *v, const struct credential *credential,
                            struct record *r, struct error *err)
{
    const struct issuer *issuer;
    int rc;

    if (credential_is_derived(credential))
        return fill_random(r, err);
    rc = issuers_of_der(&v->issuers, &credential->cert, &issuer, err);
    if (rc)
        return rc;
    r->cert = (struct record_bytes){credential->cert.data, credential->cert.len};
    memcpy(r->iss, issuer->sha256, sizeof r->iss);
    r->spki = (struct record_bytes){credential->key.spki, credential->key.len};
    return 0;
}

static void fill_device(const struct claim *claim, struct record *r)
{
    memcpy(r->tx, claim->tx, sizeof r->tx);
    memcpy(r->chip, claim->chip, claim->chip_len);
    r->chip_len = claim->chip_len;
}

int witness_burned(const struct vault *v, const struct claim *claim,
                   const struct credential *credential, struct buf *line, struct error *err)
{
    const struct order *order;
    struct record r;
    int rc = vault_claim_order(v, &claim->x, &order, err);

    if (rc)
        return rc;
    fill_common(order, credential, &r);
    rc = fill_certificate(v, credential, &r, err);
    fill_device(claim, &r);
    r.t = RECORD_VOID;
    r.reason = RECORD_BURNED;
    return rc ? rc : record_write(&r, line, err);
}

int witness_scrapped(const struct vault *v, const struct credential *credential, struct buf *line,
                     struct error *err)
{
    struct record r;
    int rc;

    fill_common(v->order, credential, &r);
    rc = fill_certificate(v, credential, &r, err);
    r.t = RECORD_VOID;
    r.reason = RECORD_SCRAPPED;
    return rc ? rc : record_write(&r, line, err);
}

int witness_revoked(const struct vault *v, const struct claim *claim,
                    const struct credential *credential, int64_t ref, enum record_type type,
                    enum record_reason reason, struct buf *line, struct error *err)
{
    const struct order *order;
    struct record r;
    int rc = vault_claim_order(v, &claim->x, &order, err);

    if (rc)
        return rc;
    fill_common(order, credential, &r);
    if (type == RECORD_DECOMMISSION)
        fill_device(claim, &r);
    r.t = type;
    r.ref = (uint64_t)ref;
    r.reason = reason;
    rc = fill_random(&r, err);
    return rc ? rc : record_write(&r, line, err);
}

/* Splits the stored attestation; the evidence keeps its parts, the chain as a view. */
static int read_attestation(const struct claim *claim, struct evidence *e, struct error *err)
{
    struct reader r;
    const uint8_t *key, *sig, *made = NULL;
    size_t key_len, sig_len, made_len, chain_len = 0;
    uint16_t algorithm;

    if (claim->attestation.len == 0)
        return 0;
    reader_init(&r, claim->attestation.data, claim->attestation.len);
    if (reader_u16(&r, &algorithm) || reader_lp(&r, &key, &key_len, sizeof e->att_key) ||
        reader_lp(&r, &sig, &sig_len, sizeof e->att_sig) ||
        (r.left && reader_lp(&r, &e->att_chain.p, &chain_len, IMPRINT_CHAIN_MAX)) ||
        (r.left && reader_lp(&r, &made, &made_len, sizeof e->att_made)) || reader_end(&r) ||
        (made && made_len != sizeof e->att_made) || key_len != sizeof e->att_key ||
        sig_len != sizeof e->att_sig)
        return error_set(err, ERR_STORE, "a stored attestation is malformed");
    e->attested = true;
    memcpy(e->att_key, key, key_len);
    memcpy(e->att_sig, sig, sig_len);
    e->att_chain.len = chain_len;
    e->made = made != NULL;
    if (made)
        memcpy(e->att_made, made, made_len);
    return 0;
}

static int write_evidence(const struct claim *claim, uint16_t algorithm,
                          const struct wire_proof *proof, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                          struct buf *line, struct error *err)
{
    struct evidence e;

    memset(&e, 0, sizeof e);
    memcpy(e.tx, claim->tx, sizeof e.tx);
    memcpy(e.nonce, nonce, sizeof e.nonce);
    e.x = (struct record_bytes){claim->x.data, claim->x.len};
    e.proof_algorithm = algorithm;
    e.proof_len = proof->sig_len;
    e.lifecycle = proof->lifecycle;
    e.commit_count = proof->commit_count;
    memcpy(e.proof, proof->sig, proof->sig_len);
    memcpy(e.station_sig, claim->station_sig, sizeof e.station_sig);
    if (read_attestation(claim, &e, err))
        return ERR_STORE;
    return evidence_write(&e, line, err);
}

static enum record_auth record_auth(enum order_auth auth)
{
    switch (auth) {
    case ORDER_AUTH_ATTESTED:
        return RECORD_AUTH_ATTESTED;
    case ORDER_AUTH_ENROLLED:
        return RECORD_AUTH_ENROLLED;
    default:
        return RECORD_AUTH_NONE;
    }
}

static void fill_firmware(const struct claim *claim, struct record_fw *fw)
{
    strcpy(fw->version, claim->fw_version);
    fw->has_debug = true;
    fw->debug = claim->fw_debug;
    if (claim->fw_hash.len == sizeof fw->sha256) {
        fw->has_sha256 = true;
        memcpy(fw->sha256, claim->fw_hash.data, sizeof fw->sha256);
    }
}

/* Of a device that had an identity before, the record of that one is named. */
static int fill_replaced(const struct vault *v, const struct credential *credential,
                         struct record *r, struct error *err)
{
    int64_t replaced, leaf;
    int rc = ledger_replaces(v->store, credential->id, &replaced, err);

    r->t = replaced ? RECORD_REPLACE : RECORD_ADD;
    if (rc || !replaced)
        return rc;
    rc = ledger_leaf(v->store, replaced, &leaf, err);
    r->ref = (uint64_t)leaf;
    return rc;
}

static enum record_mode record_mode(const struct session *s)
{
    if (credential_is_derived(&s->credential))
        return RECORD_MODE_DERIVED;
    return s->claim.suite == IMPRINT_SUITE_NONE ? RECORD_MODE_DEVICE : RECORD_MODE_HSM;
}

/* What the record says of a symmetric key: its check value, and whether it was in the vault's memory
 * (hsm/derived.h). Empty where there is none. */
static int put_symmetric(const struct vault *v, const struct claim *claim, struct buf *ext,
                         struct error *err)
{
    struct jcs j;

    if (!claim->has_kcv)
        return 0;
    jcs_init(&j, ext);
    jcs_object(&j, NULL);
    jcs_object(&j, "symmetric");
    jcs_hex(&j, "kcv", claim->kcv, sizeof claim->kcv);
    jcs_str(&j, "made", hsm_derivation(v->hsm) == HSM_DERIVES_INSIDE ? "token" : "vault");
    jcs_end(&j);
    jcs_end(&j);
    buf_put_u8(ext, 0);
    return buf_check(ext, "what a record says of a symmetric key", err);
}

static int write_record(const struct vault *v, const struct session *s, struct record *r,
                        struct buf *line, struct error *err)
{
    struct buf ext;
    int rc;

    buf_init(&ext, 256);
    rc = put_symmetric(v, &s->claim, &ext, err);
    if (ext.len)
        r->ext = (const char *)ext.data;
    if (rc == 0)
        rc = record_write(r, line, err);
    buf_done(&ext);
    return rc;
}

int witness_add(const struct vault *v, const struct session *s, const struct wire_proof *proof,
                const uint8_t nonce[IMPRINT_NONCE_SIZE], struct buf *line, struct buf *evidence,
                struct error *err)
{
    const struct order *order;
    struct record r;
    uint16_t algorithm = credential_is_derived(&s->credential)
                             ? IMPRINT_ALG_HMAC_SHA256
                             : link_proof_algorithm(s->credential.key.type);
    int rc = write_evidence(&s->claim, algorithm, proof, nonce, evidence, err);

    if (rc == 0)
        rc = vault_claim_order(v, &s->claim.x, &order, err);
    if (rc)
        return rc;
    fill_common(order, &s->credential, &r);
    rc = fill_certificate(v, &s->credential, &r, err);
    if (rc == 0)
        rc = fill_replaced(v, &s->credential, &r, err);
    if (rc)
        return rc;
    fill_device(&s->claim, &r);
    r.mode = record_mode(s);
    r.auth = record_auth(order->auth);
    r.lock = proof->lifecycle == IMPRINT_LIFE_LOCKED;
    r.use =
        strcmp(order->use, "operational") == 0 ? RECORD_USE_OPERATIONAL : RECORD_USE_REGISTRATION;
    snprintf(r.hsm, sizeof r.hsm, "%s", hsm_class(v->hsm));
    fill_firmware(&s->claim, &r.fw);
    sha256(evidence->data, evidence->len, r.ev);
    return write_record(v, s, &r, line, err);
}
