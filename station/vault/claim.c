#include "station/vault/claim.h"

#include "base/clock.h"
#include "hsm/derived.h"
#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/vault/certifier.h"
#include "station/vault/ending.h"
#include "station/vault/event.h"
#include "station/vault/hello.h"
#include "station/vault/naming.h"
#include "station/vault/plant.h"
#include "station/vault/quota.h"
#include "station/vault/slots.h"
#include "station/vault/symmetric.h"
#include "station/vault/witness.h"

#include <string.h>
#include <sys/random.h>

/* Of a CA that is itself the root there is nothing above the leaf. A certificate of no CA of ours has
 * none either; it was refused before (claim_credential). */
void claim_certificates(const struct vault *v, const struct credential *c, struct buf *out)
{
    const struct issuer *issuer;
    uint8_t *der = NULL;

    buf_put(out, c->cert.data, c->cert.len);
    if (issuers_of_der(&v->issuers, &c->cert, &issuer, NULL))
        return;
    for (size_t i = 0; i + 1 < issuer->chain.count; i++) {
        int len = i2d_X509(issuer->chain.certs[i], &der);

        buf_put(out, der, len > 0 ? (size_t)len : 0);
        OPENSSL_free(der);
        der = NULL;
    }
}

int claim_credential(struct vault *v, const struct claim *c, struct credential *credential,
                     struct error *err)
{
    static const struct {
        int state;
        const char *event;
    } fits[] = {[CLAIM_OPEN] = {CREDENTIAL_CLAIMED, "claim"},
                [CLAIM_PROVEN] = {CREDENTIAL_PROVEN, "proven"},
                [CLAIM_BURNED] = {CREDENTIAL_BURNED, "burned"},
                [CLAIM_REVOKED] = {CREDENTIAL_REVOKED, "revoked"}};
    int rc = credential_get(v->store, c->credential, credential, err);

    if (rc)
        return rc;
    if (c->state < 0 || c->state > CLAIM_REVOKED || credential->state != fits[c->state].state)
        return error_set(err, ERR_INTEGRITY,
                         "the states of '%s' and of its claim do not fit: the database was "
                         "changed; keep it as it is and call the security team",
                         credential->serial);
    return ledger_expect(v->store, c->credential, fits[c->state].event, err);
}

static void object_of_bytes(uint16_t type, uint16_t format, const struct buf *bytes,
                            struct wire_object_info *o)
{
    o->type = type;
    o->format = format;
    o->length = (uint32_t)bytes->len;
    sha256(bytes->data, bytes->len, o->hash);
}

/* The private key, and the certificates that it is for. */
static size_t put_identity(const struct vault *v, const struct session *s,
                           struct wire_object_info objects[2])
{
    const struct credential *c = &s->credential;
    struct buf certificates;

    objects[0].type = IMPRINT_OBJ_PRIVATE_KEY;
    objects[0].format = IMPRINT_FMT_NONE; /* the device has it */
    objects[0].length = 0;
    if (s->claim.suite != IMPRINT_SUITE_NONE) {
        objects[0].format =
            c->key.type == KEY_P256 ? IMPRINT_FMT_PKCS8_RFC5649 : IMPRINT_FMT_PKCS8_OTHER;
        objects[0].length = (uint32_t)hsm_rewrap_length(v->hsm, c->wrapped.len);
    }
    sha256(c->key.spki, c->key.len, objects[0].hash);
    buf_init(&certificates, WIRE_OBJECT_MAX);
    claim_certificates(v, c, &certificates);
    object_of_bytes(IMPRINT_OBJ_CERTIFICATES, IMPRINT_FMT_X509_DER, &certificates, &objects[1]);
    buf_done(&certificates);
    return 2;
}

static void put_symmetric(const struct claim *c, struct wire_object_info *o)
{
    o->type = IMPRINT_OBJ_SYMMETRIC_KEY;
    o->format = IMPRINT_FMT_KEY_RFC5649;
    o->length = HSM_DERIVED_WRAPPED;
    memcpy(o->hash, c->kcv, sizeof o->hash);
}

size_t claim_objects(const struct vault *v, const struct session *s,
                     struct wire_object_info objects[IMPRINT_OBJECTS_MAX])
{
    size_t n = credential_is_derived(&s->credential) ? 0 : put_identity(v, s, objects);

    if (v->job->trust_anchors.len)
        object_of_bytes(IMPRINT_OBJ_TRUST_ANCHORS, IMPRINT_FMT_X509_DER, &v->job->trust_anchors,
                        &objects[n++]);
    for (uint16_t type = 0; type <= IMPRINT_OBJECTS_MAX; type++)
        if (v->job->objects[type].bytes.len)
            object_of_bytes(type, v->job->objects[type].format, &v->job->objects[type].bytes,
                            &objects[n++]);
        else if (type == IMPRINT_OBJ_SYMMETRIC_KEY && s->claim.has_kcv)
            put_symmetric(&s->claim, &objects[n++]);
    return n;
}

static int bundle_hash(const struct vault *v, const struct session *s, uint8_t hash[32],
                       struct error *err)
{
    struct wire_object_info infos[IMPRINT_OBJECTS_MAX];
    struct link_object objects[IMPRINT_OBJECTS_MAX];
    size_t count = claim_objects(v, s, infos);

    for (size_t i = 0; i < count; i++) {
        objects[i].type = infos[i].type;
        objects[i].format = infos[i].format;
        objects[i].length = infos[i].length;
        memcpy(objects[i].hash, infos[i].hash, sizeof objects[i].hash);
    }
    return link_bundle_hash(objects, count, hash, err);
}

int claim_check_bundle(const struct vault *v, const struct session *s, struct error *err)
{
    uint8_t order[32], named[32], now[32];
    int rc = link_transcript_hashes(&s->claim.x, order, named, err);

    if (rc == 0)
        rc = bundle_hash(v, s, now, err);
    if (rc || memcmp(named, now, sizeof now) == 0)
        return rc;
    return error_set(
        err, ERR_REFUSED,
        "this device began '%s' with other trust anchors or objects than the order has now: erase "
        "it, so that it takes another identity, or call your supervisor",
        s->credential.serial);
}

/* X, from what the claim, the credential, the order and the device's facts say. */
static int build_transcript(const struct vault *v, struct session *s, struct error *err)
{
    struct claim *c = &s->claim;
    struct link_transcript t = {.suite = c->suite,
                                .environment = v->config->environment,
                                .serial = s->credential.serial,
                                .chip_id = c->chip,
                                .chip_id_len = c->chip_len,
                                .dev_pub = link_key_p256(c->dev_pub)};
    struct link_facts facts;
    int rc;

    if (c->suite != IMPRINT_SUITE_NONE)
        t.station_pub = link_key_p256(c->station_pub);
    memcpy(t.order_hash, v->order->hash, sizeof t.order_hash);
    memcpy(t.transaction, c->tx, sizeof t.transaction);
    memcpy(t.station_nonce, c->station_nonce, sizeof t.station_nonce);
    hello_facts(&s->hello, &facts);
    rc = link_facts_hash(&facts, t.facts_hash, err);
    if (rc == 0)
        rc = bundle_hash(v, s, t.bundle_hash, err);
    buf_reset(&c->x);
    return rc ? rc : link_transcript_encode(&t, &c->x, err);
}

static int sign_transcript(struct vault *v, struct claim *c, struct error *err)
{
    struct buf message;
    int rc;

    buf_init(&message, CLAIM_X_MAX);
    rc = link_station_message(&c->x, &message, err);
    if (rc == 0)
        rc = hsm_sign(v->hsm, HSM_KEY_STATION_AUTH, message.data, message.len, c->station_sig, err);
    buf_done(&message);
    return rc;
}

/* What the claim takes over from the device's HELLO. */
static int copy_hello(const struct vault *v, struct session *s, struct error *err)
{
    const struct wire_hello *h = &s->hello;
    struct claim *c = &s->claim;

    c->state = CLAIM_OPEN;
    c->has_prove_nonce = true;
    c->created = clock_utc();
    c->suite = v->mode == IMPRINT_MODE_DEVICE ? IMPRINT_SUITE_NONE : hello_suite(v, h);
    strcpy(c->slot, s->slot);
    memcpy(c->chip, h->chip, h->chip_len);
    c->chip_len = h->chip_len;
    memcpy(c->dev_pub, h->dev_pub, sizeof c->dev_pub);
    memcpy(c->station_nonce, s->nonce, sizeof c->station_nonce);
    strcpy(c->fw_version, h->firmware);
    c->fw_debug = h->debug;
    c->has_kcv = false;
    buf_reset(&c->wrapped);
    buf_reset(&c->symmetric);
    buf_reset(&c->fw_hash);
    if (h->has_image_hash)
        buf_put(&c->fw_hash, h->image_hash, sizeof h->image_hash);
    /* Where the order asks for none, nobody verified it: a record must not carry it. */
    buf_reset(&c->attestation);
    if (v->order->auth != ORDER_AUTH_NONE)
        hello_attestation(s, v->order->auth, &c->attestation);
    if (getrandom(c->tx, sizeof c->tx, 0) != (ssize_t)sizeof c->tx ||
        getrandom(c->prove_nonce, sizeof c->prove_nonce, 0) != (ssize_t)sizeof c->prove_nonce)
        return error_set(err, ERR_INTERNAL, "the system's random source failed");
    return buf_check(&c->attestation, "an attestation", err);
}

static int begin_rewrap(struct vault *v, struct session *s, struct hsm_rewrap **r,
                        struct error *err)
{
    const struct credential *c = &s->credential;
    uint8_t *station_pub = s->claim.station_pub;

    if (credential_is_derived(c))
        return hsm_derived_begin(v->hsm, r, station_pub, err);
    return hsm_credential_rewrap_begin(v->hsm, c->storage, c->wrapped.data, c->wrapped.len, &c->key,
                                       r, station_pub, err);
}

static int wrap_symmetric(struct vault *v, struct session *s, struct hsm_rewrap *r,
                          const uint8_t context[32], struct error *err)
{
    struct claim *c = &s->claim;
    struct buf input;
    int rc;

    if (!c->has_kcv)
        return 0;
    buf_init(&input, HSM_DERIVED_INPUT_MAX);
    rc = symmetric_input(v->config, v->store, &s->credential, &input, err);
    if (rc == 0)
        rc = hsm_derived_wrap(r, c->suite, c->dev_pub, context, input.data, input.len,
                              &c->symmetric, err);
    buf_done(&input);
    return rc;
}

/* Wraps the credential's keys for the device; the transcript lies between the two halves. */
static int rewrap(struct vault *v, struct session *s, struct error *err)
{
    struct claim *c = &s->claim;
    struct hsm_rewrap *r;
    uint8_t context[32];
    int rc = begin_rewrap(v, s, &r, err);

    if (rc)
        return rc;
    rc = build_transcript(v, s, err);
    link_kek_context(&c->x, context);
    if (rc == 0)
        rc = wrap_symmetric(v, s, r, context, err);
    if (rc == 0 && !credential_is_derived(&s->credential))
        return hsm_credential_rewrap_finish(r, c->suite, c->dev_pub, context, &c->wrapped, err);
    hsm_credential_rewrap_abort(r);
    return rc;
}

int claim_burn(struct vault *v, const struct claim *old, struct error *err)
{
    struct credential cred;
    int rc;

    credential_init(&cred);
    rc = claim_credential(v, old, &cred, err);
    if (rc == 0)
        rc = ending_burn(v, old, &cred, err);
    credential_done(&cred);
    return rc;
}

/* Signs the transcript of s->claim and stores it. */
static int add_claim(struct vault *v, struct session *s, struct error *err)
{
    int rc = sign_transcript(v, &s->claim, err);

    if (rc == 0)
        rc = claim_add(v->store, &s->claim, err);
    if (rc == 0) /* journalled now, for NONCE: one write to the disk less while the device waits */
        rc = claim_set_nonce(v->store, s->claim.tx, s->claim.prove_nonce, err);
    if (rc == 0)
        rc = credential_set_state(v->store, s->credential.id, CREDENTIAL_CLAIMED, err);
    return rc ? rc : event_put(v, "claim", &s->claim, &s->credential, EVENT_NO_LEAF, err);
}

static int make_in_transaction(struct vault *v, struct session *s, const struct claim *old,
                               struct naming *how, struct error *err)
{
    int rc = old ? quota_check_burn(v, err) : quota_check_claim(v, err);

    if (rc == 0 && old)
        rc = claim_burn(v, old, err);
    if (rc == 0) /* in the ledger a credential is given out once */
        rc = naming_take(v, s, how, err);
    if (rc == 0)
        rc = copy_hello(v, s, err);
    s->claim.credential = s->credential.id;
    if (rc == 0 && symmetric_is_wanted(v))
        rc = symmetric_name(v, &s->credential, &s->claim, err);
    if (rc == 0)
        rc = rewrap(v, s, err);
    return rc ? rc : add_claim(v, s, err);
}

/* The device's attestation with KEYGEN, which may be of a session before, the chain, which is empty without
 * one, and the signature over the key that it made. */
static int put_attestation(const struct vault *v, struct session *s, const struct wire_csr *request,
                           struct error *err)
{
    struct buf *out = &s->claim.attestation;
    bool chain = v->order->auth == ORDER_AUTH_ATTESTED;

    buf_reset(out);
    if (v->order->auth == ORDER_AUTH_NONE)
        return 0;
    buf_put(out, s->keygen.attestation.data, s->keygen.attestation.len);
    buf_put_lp(out, chain ? (const void *)s->chain.data : "", chain ? s->chain.len : 0);
    buf_put_lp(out, request->attest_sig, sizeof request->attest_sig);
    return buf_check(out, "an attestation", err);
}

int claim_for_request(struct vault *v, struct session *s, const struct wire_csr *request,
                      struct error *err)
{
    struct claim *c = &s->claim;
    int rc = copy_hello(v, s, err);

    if (rc == 0)
        rc = put_attestation(v, s, request, err);
    /* KEYGEN named both: what the device signed for its key is over this nonce. */
    memcpy(c->tx, s->keygen.tx, sizeof c->tx);
    memcpy(c->station_nonce, s->keygen.station_nonce, sizeof c->station_nonce);
    memset(c->station_pub, 0, sizeof c->station_pub);
    c->credential = s->credential.id;
    if (rc == 0)
        rc = build_transcript(v, s, err);
    return rc ? rc : add_claim(v, s, err);
}

int claim_make(struct vault *v, struct session *s, const struct claim *old, struct error *err)
{
    struct naming how = {false, false};
    int rc = store_begin(v->store, err);

    if (rc)
        return rc;
    rc = make_in_transaction(v, s, old, &how, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    if (rc && !store_is_unanchored(v->store)) {
        session_forget_claim(s); /* nothing was claimed */
        return rc;
    }
    s->nonce_drawn = true;
    if (old)
        quota_move(v, CREDENTIAL_CLAIMED, CREDENTIAL_BURNED, 1);
    if (how.issued)
        certifier_committed(v, how.spare);
    quota_move(v, CREDENTIAL_AVAILABLE, CREDENTIAL_CLAIMED, 1);
    return rc;
}

static int pass_attempt(struct vault *v, struct session *s, struct error *err)
{
    const struct plant_result result = {0, ""};
    struct attempt a = {.slot = s->slot,
                        .chip = s->claim.chip,
                        .chip_len = s->claim.chip_len,
                        .tx = s->claim.tx,
                        .serial = s->credential.serial,
                        .code = 0,
                        .text = s->again ? "proven again" : "proven"};
    int rc = attempt_add(v->store, &a, err);

    if (rc == 0)
        rc = slots_count(v, s->slot, SLOTS_PASSED, "", err);
    return rc ? rc : plant_tell(v, s, &result, err);
}

static int record_proof(struct vault *v, struct session *s, const struct wire_proof *proof,
                        struct error *err)
{
    struct buf line, evidence;
    int rc;

    buf_init(&line, 65535);
    buf_init(&evidence, 65535);
    rc = witness_add(v, s, proof, s->claim.prove_nonce, &line, &evidence, err);
    if (rc == 0)
        rc = ending_proven(v, &s->claim, &s->credential, &line, &evidence, err);
    buf_done(&line);
    buf_done(&evidence);
    return rc;
}

/* Other channels worked since the claim was read: only one that is still open becomes proven. */
static int read_again(struct vault *v, struct session *s, struct error *err)
{
    struct claim now;
    bool found;
    int rc;

    claim_init(&now);
    rc = claim_by_tx(v->store, s->claim.tx, &now, &found, err);
    if (rc == 0 && !found)
        rc = error_set(err, ERR_INTEGRITY,
                       "the claim of '%s' is gone from the database: keep it as it is and call the "
                       "security team",
                       s->credential.serial);
    if (rc == 0)
        rc = claim_credential(v, &now, &s->credential, err);
    if (rc == 0 && now.state != CLAIM_OPEN && now.state != CLAIM_PROVEN)
        rc = error_set(err, ERR_DUPLICATE,
                       "'%s' was burned while this device proved it: another one has the same chip "
                       "id, set both aside",
                       s->credential.serial);
    if (rc == 0)
        s->again = now.state == CLAIM_PROVEN;
    claim_done(&now);
    return rc;
}

int claim_proven(struct vault *v, struct session *s, const struct wire_proof *proof,
                 struct error *err)
{
    int rc = store_begin(v->store, err);

    if (rc)
        return rc;
    rc = read_again(v, s, err);
    if (rc == 0)
        rc = s->again ? claim_set_nonce(v->store, s->claim.tx, NULL, err)
                      : record_proof(v, s, proof, err);
    if (rc == 0)
        rc = pass_attempt(v, s, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    else if (!s->again)
        quota_move(v, CREDENTIAL_CLAIMED, CREDENTIAL_PROVEN, 1);
    return rc;
}
