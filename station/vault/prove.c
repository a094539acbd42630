#include "station/vault/prove.h"

#include "link/transcript.h"
#include "pki/digest.h"
#include "pki/scheme.h"
#include "station/vault/claim.h"
#include "station/vault/symmetric.h"

#include <string.h>

/*
 * In a transaction of its own, for nothing is recorded of such a proof. What was wrong with it
 * stands, unless the station itself fails.
 */
static int forget_nonce(struct vault *v, struct session *s, int wrong, struct error *err)
{
    struct error trouble = ERROR_INIT;
    int rc = store_begin(v->store, &trouble);

    if (rc == 0)
        rc = claim_set_nonce(v->store, s->claim.tx, NULL, &trouble);
    if (rc == 0)
        rc = store_commit(v->store, &trouble);
    if (rc == 0)
        return wrong;
    store_rollback(v->store);
    *err = trouble;
    return rc;
}

static int check_mac(const struct vault *v, const struct session *s, const struct buf *message,
                     const struct wire_proof *proof, bool *good, struct error *err)
{
    uint8_t mac[IMPRINT_SYMMETRIC_SIZE];
    int rc = symmetric_mac(v, &s->credential, &s->claim, message, mac, err);

    *good = rc == 0 && proof->sig_len == sizeof mac && sha256_equal(mac, proof->sig);
    return rc;
}

/* Over the bytes that the device must have built, with the key that it must have. */
static int check_proof(const struct vault *v, const struct session *s, const struct buf *message,
                       const struct wire_proof *proof, struct error *err)
{
    bool good;
    int rc = 0;

    if (credential_is_derived(&s->credential))
        rc = check_mac(v, s, message, proof, &good, err);
    else
        good = scheme_verify_raw(&s->credential.key, message->data, message->len, proof->sig,
                                 proof->sig_len, NULL) == 0;
    if (rc || good)
        return rc;
    return error_set(err, ERR_PROOF,
                     "the device did not prove that it holds the key of '%s': set it aside",
                     s->credential.serial);
}

static int verify_proof(const struct vault *v, const struct session *s,
                        const struct wire_proof *proof, struct error *err)
{
    bool derived = credential_is_derived(&s->credential);
    struct link_prove said = {.alg = derived ? IMPRINT_ALG_HMAC_SHA256
                                             : link_proof_algorithm(s->credential.key.type),
                              .lifecycle = proof->lifecycle,
                              .commit_count = proof->commit_count};
    struct buf message;
    int rc;

    memcpy(said.nonce, s->claim.prove_nonce, sizeof said.nonce);
    sha256(s->claim.x.data, s->claim.x.len, said.x_hash);
    sha256(s->credential.cert.data, s->credential.cert.len, said.leaf_hash);
    buf_init(&message, LINK_X_MAX);
    rc = link_prove_message(&said, &message, err);
    if (rc == 0)
        rc = check_proof(v, s, &message, proof, err);
    buf_done(&message);
    return rc;
}

/* In derived mode there is nothing to read. */
static int verify_read_back(const struct vault *v, const struct session *s,
                            const struct wire_proof *proof, struct error *err)
{
    uint8_t hash[32];
    struct buf certificates;
    int rc;

    if (credential_is_derived(&s->credential))
        return 0;
    buf_init(&certificates, WIRE_OBJECT_MAX);
    claim_certificates(v, &s->credential, &certificates);
    rc = buf_check(&certificates, "the certificates", err);
    sha256(certificates.data, certificates.len, hash);
    if (rc == 0 && memcmp(hash, proof->read_back, sizeof hash))
        rc = error_set(err, ERR_PROOF,
                       "the certificate read back from the device is not the one of '%s': set it "
                       "aside",
                       s->credential.serial);
    buf_done(&certificates);
    return rc;
}

/* A life cycle that nobody knows, though signed, would be a record that no owner accepts. */
static int verify_lifecycle(const struct session *s, const struct wire_proof *proof,
                            struct error *err)
{
    if (proof->lifecycle == IMPRINT_LIFE_FACTORY || proof->lifecycle == IMPRINT_LIFE_LOCKED)
        return 0;
    return error_set(err, ERR_PROOF,
                     "the device's proof of '%s' speaks of an unknown life cycle: set it aside",
                     s->credential.serial);
}

static int verify(const struct vault *v, const struct session *s, const struct wire_proof *proof,
                  enum wire_verdict *verdict, struct error *err)
{
    const struct order *order;
    int rc = vault_claim_order(v, &s->claim.x, &order, err);

    if (rc == 0)
        rc = verify_proof(v, s, proof, err);
    if (rc == 0)
        rc = verify_lifecycle(s, proof, err);
    if (rc == 0)
        rc = verify_read_back(v, s, proof, err);
    if (rc == 0)
        *verdict = !order->lock || proof->lifecycle == IMPRINT_LIFE_LOCKED ? WIRE_PASS
                   : v->job->step == JOB_STEP_INSTALL                      ? WIRE_LOCK_LATER
                                                                           : WIRE_LOCK_FIRST;
    return rc;
}

int prove_device(struct vault *v, struct session *s, const struct wire_proof *proof,
                 enum wire_verdict *verdict, struct error *err)
{
    enum wire_verdict found = WIRE_LOCK_FIRST;
    int rc = verify(v, s, proof, &found, err);

    if (rc == 0 && found == WIRE_PASS)
        rc = claim_proven(v, s, proof, err);
    else
        rc = forget_nonce(v, s, rc, err);
    if (rc == 0)
        *verdict = found;
    return rc;
}
