#include "manifests/evidence.h"

#include "manifests/canon.h"
#include "pki/scheme.h"

#include <string.h>

#define ATT_MAX (256 + IMPRINT_CHAIN_MAX)
#define PUB_MAX 2048 /* room for post-quantum key shares */

/* What proves a key of each type (docs/device-link.md). */
static uint16_t algorithm_of(enum key_type type)
{
    static const uint16_t of[KEY_TYPES] = {IMPRINT_ALG_ECDSA_SHA256, IMPRINT_ALG_ECDSA_SHA384,
                                           IMPRINT_ALG_RSA_PSS_SHA256, IMPRINT_ALG_RSA_PSS_SHA256,
                                           IMPRINT_ALG_EDDSA};

    return of[type];
}

/* Whether proofs of an algorithm may have this length: those of RSA are as long as the key. */
static bool may_have(uint16_t algorithm, size_t len)
{
    if (algorithm == IMPRINT_ALG_HMAC_SHA256)
        return len == EVIDENCE_DERIVED_PROOF;
    for (int type = 0; type < KEY_TYPES; type++)
        if (algorithm_of((enum key_type)type) == algorithm &&
            scheme_raw_length((enum key_type)type) == len)
            return true;
    return false;
}

static size_t proof_size(const struct evidence *e)
{
    size_t usual =
        e->proof_algorithm == IMPRINT_ALG_HMAC_SHA256 ? EVIDENCE_DERIVED_PROOF : EC_SIG_SIZE;
    size_t size = e->proof_len ? e->proof_len : usual;

    return may_have(e->proof_algorithm, size) ? size : 0;
}

static void put_att(const struct evidence *e, struct buf *out)
{
    if (!e->attested)
        return;
    buf_put_u16(out, IMPRINT_ALG_ECDSA_SHA256);
    buf_put_lp(out, e->att_key, sizeof e->att_key);
    buf_put_lp(out, e->att_sig, sizeof e->att_sig);
    if (e->att_chain.len || e->made)
        buf_put_lp(out, e->att_chain.p, e->att_chain.len);
    if (e->made)
        buf_put_lp(out, e->att_made, sizeof e->att_made);
}

static void put_proof(const struct evidence *e, struct buf *out)
{
    buf_put_u16(out, e->proof_algorithm);
    buf_put_u8(out, e->lifecycle);
    buf_put_u32(out, e->commit_count);
    buf_put(out, e->proof, proof_size(e));
}

static void put_station(const struct evidence *e, struct buf *out)
{
    buf_put_u16(out, IMPRINT_ALG_ECDSA_SHA256);
    buf_put(out, e->station_sig, sizeof e->station_sig);
}

/* One member whose bytes put() makes. */
static void write_packed(struct jcs *j, const char *name, const struct evidence *e,
                         void (*put)(const struct evidence *, struct buf *))
{
    struct buf bytes;

    buf_init(&bytes, ATT_MAX);
    put(e, &bytes);
    if (buf_failed(&bytes))
        j->out->failed = true;
    else
        jcs_base64(j, name, bytes.data, bytes.len);
    buf_done(&bytes);
}

static void write_line(const struct evidence *e, struct buf *line)
{
    struct jcs j;

    jcs_init(&j, line);
    jcs_object(&j, NULL);
    write_packed(&j, "att", e, put_att);
    jcs_base64(&j, "nonce", e->nonce, sizeof e->nonce);
    write_packed(&j, "proof", e, put_proof);
    write_packed(&j, "sig", e, put_station);
    jcs_hex(&j, "tx", e->tx, sizeof e->tx);
    jcs_base64(&j, "x", e->x.p, e->x.len);
    jcs_end(&j);
}

int evidence_write(const struct evidence *e, struct buf *line, struct error *err)
{
    if (proof_size(e) == 0)
        return error_set(err, ERR_INPUT, "evidence has a proof of the unknown algorithm 0x%04x",
                         e->proof_algorithm);
    if (e->x.len == 0 || e->x.len > EVIDENCE_X_MAX)
        return error_set(err, ERR_INPUT, "evidence has no transcript, or one over %d bytes",
                         EVIDENCE_X_MAX);
    write_line(e, line);
    return buf_check(line, "the evidence line", err);
}

static int parse_att(struct reader *r, struct evidence *e)
{
    const uint8_t *key, *sig, *chain = NULL, *made = NULL;
    size_t key_len, sig_len, made_len, chain_len = 1;
    uint16_t algorithm;

    e->attested = r->left > 0;
    if (!e->attested)
        return 0;
    if (reader_u16(r, &algorithm) || reader_lp(r, &key, &key_len, EC_POINT_SIZE) ||
        reader_lp(r, &sig, &sig_len, EC_SIG_SIZE) ||
        (r->left && reader_lp(r, &chain, &chain_len, IMPRINT_CHAIN_MAX)) ||
        (r->left && reader_lp(r, &made, &made_len, EC_SIG_SIZE)) || reader_end(r) ||
        (made ? made_len != EC_SIG_SIZE : chain_len == 0) ||
        algorithm != IMPRINT_ALG_ECDSA_SHA256 || key_len != EC_POINT_SIZE || sig_len != EC_SIG_SIZE)
        return ERR_FORMAT;
    memcpy(e->att_key, key, key_len);
    memcpy(e->att_sig, sig, sig_len);
    e->made = made != NULL;
    if (made)
        memcpy(e->att_made, made, EC_SIG_SIZE);
    if (chain)
        buf_put(&e->held_chain, chain, chain_len);
    e->att_chain = (struct record_bytes){e->held_chain.data, e->held_chain.len};
    return 0;
}

static int parse_proof(struct reader *r, struct evidence *e)
{
    if (reader_u16(r, &e->proof_algorithm) || reader_u8(r, &e->lifecycle) ||
        reader_u32(r, &e->commit_count) || !may_have(e->proof_algorithm, r->left))
        return ERR_FORMAT;
    e->proof_len = (uint16_t)r->left;
    return reader_bytes(r, e->proof, r->left);
}

static int parse_station(struct reader *r, struct evidence *e)
{
    uint16_t algorithm;

    if (reader_u16(r, &algorithm) || algorithm != IMPRINT_ALG_ECDSA_SHA256 ||
        reader_bytes(r, e->station_sig, sizeof e->station_sig) || reader_end(r))
        return ERR_FORMAT;
    return 0;
}

static void read_packed(struct canon *c, const char *name, struct evidence *e,
                        int (*parse)(struct reader *, struct evidence *))
{
    struct buf bytes;
    struct reader r;

    buf_init(&bytes, ATT_MAX);
    canon_base64_any(c, name, &bytes);
    reader_init(&r, bytes.data, bytes.len);
    if (c->rc == 0 && parse(&r, e))
        canon_fail(c, "member '%s' of %s has the wrong length or an unknown algorithm", name,
                   c->what);
    buf_done(&bytes);
}

static int read_line(const void *line, size_t len, struct evidence *e, struct error *err)
{
    struct canon c;
    int rc = canon_open_line(&c, line, len, "the evidence", err);

    if (rc == 0) {
        read_packed(&c, "att", e, parse_att);
        canon_base64(&c, "nonce", e->nonce, sizeof e->nonce);
        read_packed(&c, "proof", e, parse_proof);
        read_packed(&c, "sig", e, parse_station);
        canon_hex(&c, "tx", e->tx, sizeof e->tx);
        canon_base64_any(&c, "x", &e->held);
        if (c.rc == 0 && e->held.len == 0)
            canon_fail(&c, "member 'x' of the evidence is empty");
        e->x = (struct record_bytes){e->held.data, e->held.len};
        rc = canon_end(&c);
    }
    canon_close(&c);
    return rc;
}

int evidence_parse(const void *line, size_t len, struct evidence *e, struct error *err)
{
    struct evidence made = {0};
    struct buf again;
    int rc;

    buf_init(&made.held, EVIDENCE_X_MAX);
    buf_init(&made.held_chain, IMPRINT_CHAIN_MAX);
    buf_init(&again, RECORD_LINE_MAX);
    buf_reserve(&again, len); /* what is the same is as long */
    rc = read_line(line, len, &made, err);
    if (rc == 0) {
        write_line(&made, &again);
        rc = canon_same(&again, line, len,
                        "the evidence is not canonical JSON: order of members, blanks or escapes",
                        err);
    }
    buf_done(&again);
    if (rc)
        evidence_done(&made);
    else
        *e = made;
    return rc;
}

void evidence_done(struct evidence *e)
{
    buf_done(&e->held);
    buf_done(&e->held_chain);
}

/* A length-prefixed field of at least min and at most max bytes. */
static int read_field(struct reader *r, struct record_bytes *out, size_t min, size_t max)
{
    if (reader_lp(r, &out->p, &out->len, max) || out->len < min)
        return ERR_FORMAT;
    return 0;
}

int transcript_parse(const uint8_t *x, size_t len, struct transcript *t)
{
    struct transcript made;
    struct reader r;

    reader_init(&r, x, len);
    if (reader_u16(&r, &made.suite) ||
        read_field(&r, &made.environment, 1, IMPRINT_ENVIRONMENT_MAX) ||
        read_field(&r, &made.order, SHA256_SIZE, SHA256_SIZE) ||
        read_field(&r, &made.tx, IMPRINT_TX_SIZE, IMPRINT_TX_SIZE) ||
        read_field(&r, &made.station_nonce, IMPRINT_NONCE_SIZE, IMPRINT_NONCE_SIZE) ||
        read_field(&r, &made.serial, 1, IMPRINT_SERIAL_MAX) ||
        read_field(&r, &made.chip, 1, IMPRINT_CHIP_ID_MAX) ||
        read_field(&r, &made.dev_pub, 2, PUB_MAX) ||
        read_field(&r, &made.station_pub, 0, PUB_MAX) ||
        read_field(&r, &made.hello, SHA256_SIZE, SHA256_SIZE) ||
        read_field(&r, &made.bundle, SHA256_SIZE, SHA256_SIZE) || reader_end(&r))
        return ERR_FORMAT;
    *t = made;
    return 0;
}

void evidence_proof_message(const struct evidence *e, const void *cert, size_t cert_len,
                            struct buf *out)
{
    uint8_t digest[SHA256_SIZE];

    buf_put(out, IMPRINT_LABEL_PROVE, sizeof IMPRINT_LABEL_PROVE);
    buf_put_u16(out, e->proof_algorithm);
    buf_put_lp(out, e->nonce, sizeof e->nonce);
    sha256(e->x.p, e->x.len, digest);
    buf_put_lp(out, digest, sizeof digest);
    sha256(cert, cert_len, digest);
    buf_put_lp(out, digest, cert_len ? sizeof digest : 0);
    buf_put_u8(out, e->lifecycle);
    buf_put_u32(out, e->commit_count);
}

static bool differs(const struct record_bytes *have, const void *want, size_t len)
{
    return have->len != len || memcmp(have->p, want, len);
}

static int check_transcript(const struct evidence *e, const struct record *r,
                            const char *environment, struct error *err)
{
    struct transcript t;
    const char *wrong = NULL;

    if (transcript_parse(e->x.p, e->x.len, &t))
        return error_set(err, ERR_FORMAT, "the transcript of '%s' is malformed", r->sn);
    if (differs(&t.environment, environment, strlen(environment)))
        wrong = "environment";
    else if (differs(&t.order, r->order, sizeof r->order))
        wrong = "order";
    else if (differs(&t.tx, r->tx, sizeof r->tx) || memcmp(e->tx, r->tx, sizeof r->tx))
        wrong = "transaction";
    else if (differs(&t.serial, r->sn, strlen(r->sn)))
        wrong = "serial";
    else if (differs(&t.chip, r->chip, r->chip_len))
        wrong = "chip id";
    if (wrong)
        return error_set(err, ERR_PROOF,
                         "the evidence of '%s' belongs to another %s than its record says: do not "
                         "accept the device",
                         r->sn, wrong);
    return 0;
}

static int check_claims(const struct evidence *e, const struct record *r, struct error *err)
{
    bool derived = e->proof_algorithm == IMPRINT_ALG_HMAC_SHA256;

    if (r->lock != (e->lifecycle == IMPRINT_LIFE_LOCKED) ||
        (e->lifecycle != IMPRINT_LIFE_LOCKED && e->lifecycle != IMPRINT_LIFE_FACTORY))
        return error_set(err, ERR_PROOF,
                         "the record of '%s' says %s and the device's proof says otherwise", r->sn,
                         r->lock ? "locked" : "not locked");
    if (e->attested != (r->auth != RECORD_AUTH_NONE))
        return error_set(err, ERR_PROOF,
                         "the evidence of '%s' %s an attestation, which does not fit its record",
                         r->sn, e->attested ? "has" : "lacks");
    if ((e->att_chain.len > 0) != (r->auth == RECORD_AUTH_ATTESTED))
        return error_set(err, ERR_PROOF,
                         "the evidence of '%s' %s a vendor's certificates, which does not fit its "
                         "record",
                         r->sn, e->att_chain.len ? "has" : "lacks");
    if (e->made != (e->attested && r->mode == RECORD_MODE_DEVICE))
        return error_set(err, ERR_PROOF,
                         "the evidence of '%s' %s an attestation of the device's own key, which "
                         "does not fit its record",
                         r->sn, e->made ? "has" : "lacks");
    if (derived != (r->mode == RECORD_MODE_DERIVED))
        return error_set(err, ERR_PROOF,
                         "the proof of '%s' is of another kind than the key mode of its record",
                         r->sn);
    return 0;
}

/* Of P-256 with what the thread keeps ready for it. */
static int verify_proof(const struct evidence *e, const struct public_key *key,
                        const struct buf *message, struct ec_verifier *verifier)
{
    if (key->type == KEY_P256)
        return ec_verifier_check(verifier, key_point(key), message->data, message->len, e->proof,
                                 NULL);
    return scheme_verify_raw(key, message->data, message->len, e->proof, e->proof_len, NULL);
}

static int check_proof(const struct evidence *e, const struct record *r,
                       struct ec_verifier *verifier, struct error *err)
{
    struct public_key key;
    struct buf message;
    int rc = 0;

    if (key_parse(r->spki.p, r->spki.len, &key, NULL))
        return error_set(err, ERR_FORMAT, "the key of '%s' is of no known type", r->sn);
    if (e->proof_algorithm != algorithm_of(key.type))
        return error_set(err, ERR_PROOF, "the proof of '%s' is of another algorithm than its key",
                         r->sn);
    if (!verifier)
        return 0;
    buf_init(&message, 512);
    evidence_proof_message(e, r->cert.p, r->cert.len, &message);
    if (buf_failed(&message) || verify_proof(e, &key, &message, verifier))
        rc = error_set(err, ERR_PROOF,
                       "the proof of '%s' does not verify: the device did not show that it holds "
                       "the key of its record",
                       r->sn);
    buf_done(&message);
    return rc;
}

int evidence_verify(const struct evidence *e, const struct record *r, const char *environment,
                    struct ec_verifier *verifier, bool *verified, struct error *err)
{
    bool derived = r->mode == RECORD_MODE_DERIVED;
    int rc = check_transcript(e, r, environment, err);

    if (rc == 0)
        rc = check_claims(e, r, err);
    if (rc == 0 && !derived)
        rc = check_proof(e, r, verifier, err);
    if (rc == 0)
        *verified = !derived && verifier;
    return rc;
}
