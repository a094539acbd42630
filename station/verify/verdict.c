#include "station/verify/verdict.h"

#include "link/transcript.h"
#include "pki/scheme.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int code;
} answers[VERDICT_ANSWERS] = {
    [VERDICT_EMPTY] = {"no_identity", ERR_UNKNOWN},
    [VERDICT_UNKNOWN] = {"unknown", ERR_UNKNOWN},
    [VERDICT_UNPROVABLE] = {"unprovable", ERR_REFUSED},
    [VERDICT_NOT_GENUINE] = {"not_genuine", ERR_PROOF},
    [VERDICT_REVOKED] = {"revoked", ERR_REVOKED},
    [VERDICT_REPLACED] = {"replaced", ERR_REPLACED},
    [VERDICT_HELD] = {"held", ERR_HELD},
    [VERDICT_LABEL] = {"label_mismatch", ERR_LABEL_MISMATCH},
    [VERDICT_OK] = {"ok", 0},
};

const char *verdict_name(enum verdict_answer answer)
{
    return answers[answer].name;
}

int verdict_code(enum verdict_answer answer)
{
    return answers[answer].code;
}

/* Always 1: `return decide(...)` ends the questions. */
static int PRINTF_LIKE(3, 4)
    decide(struct verdict *v, enum verdict_answer answer, const char *format, ...)
{
    va_list args;

    v->answer = answer;
    va_start(args, format);
    vsnprintf(v->why, sizeof v->why, format, args);
    va_end(args);
    return 1;
}

/* ---- is it the device of the record? ---- */

/* How many of these bytes are one certificate of the list; 0: none is. What was cut may be its beginning. */
static size_t issuer_length(const struct buf *issuers, const uint8_t *bytes, size_t len, bool cut)
{
    const uint8_t *der;
    struct reader r;
    size_t n;

    reader_init(&r, issuers->data, issuers->len);
    while (r.left > 0 && reader_lp(&r, &der, &n, UINT16_MAX) == 0) {
        size_t compared = cut && n > len ? len : n;

        if (n > 0 && compared <= len && memcmp(der, bytes, compared) == 0)
            return compared;
    }
    return 0;
}

/* The leaf of the record, and then issuers of its manifest: nothing that the device sent is parsed. */
static bool holds_certificates(const struct verdict_question *q)
{
    const struct record_bytes *leaf = &q->found->record.cert;
    const struct buf *held = q->certificates;
    bool cut = held->len == PROBE_CERTIFICATES_MAX;
    size_t at = leaf->len;

    if (held->len < leaf->len || memcmp(held->data, leaf->p, leaf->len))
        return false;
    while (at < held->len) {
        size_t n = issuer_length(&q->found->issuers, held->data + at, held->len - at, cut);

        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

static int check_identity(const struct verdict_question *q, struct verdict *v)
{
    const struct probe *p = q->probe;
    const struct record *r = &q->found->record;

    if (strcmp(p->serial, r->sn))
        return decide(v, VERDICT_NOT_GENUINE, "it says it is '%s', and shows the identity of '%s'",
                      p->serial, r->sn);
    if (p->chip_len != r->chip_len || memcmp(p->chip, r->chip, r->chip_len))
        return decide(v, VERDICT_NOT_GENUINE, "its chip is not the one that '%s' was given to",
                      r->sn);
    if (!holds_certificates(q))
        return decide(v, VERDICT_NOT_GENUINE,
                      "the certificates in the device are not those of '%s'", r->sn);
    return 0;
}

/* The bytes that the device has to have built. Errors: ERR_INTERNAL. */
static int proof_message(const struct verdict_question *q, struct buf *message, struct error *err)
{
    const struct found *f = q->found;
    struct link_prove said = {.alg = q->probe->proof_alg,
                              .lifecycle = q->probe->lifecycle,
                              .commit_count = q->probe->commit_count};

    memcpy(said.nonce, q->nonce, sizeof said.nonce);
    sha256(f->evidence.x.p, f->evidence.x.len, said.x_hash);
    sha256(f->record.cert.p, f->record.cert.len, said.leaf_hash);
    return link_prove_message(&said, message, err);
}

/* *good tells. Errors: ERR_INTEGRITY for a record with a key that nobody can have. */
static int verify_proof(const struct verdict_question *q, bool *good, struct error *err)
{
    const struct record_bytes *spki = &q->found->record.spki;
    struct public_key key;
    struct buf message;
    int rc;

    *good = false;
    if (key_parse(spki->p, spki->len, &key, err))
        return error_set(err, ERR_INTEGRITY, "the record of '%s' has no key that devices have",
                         q->found->record.sn);
    if (!q->probe->proved || q->probe->proof_alg != link_proof_algorithm(key.type))
        return 0;
    buf_init(&message, LINK_X_MAX);
    rc = proof_message(q, &message, err);
    if (rc == 0)
        *good = scheme_verify_raw(&key, message.data, message.len, q->probe->proof,
                                  q->probe->proof_len, NULL) == 0;
    buf_done(&message);
    return rc;
}

static int check_proof(const struct verdict_question *q, struct verdict *v, struct error *err)
{
    const struct record *r = &q->found->record;
    int rc = verify_proof(q, &v->proved, err);

    if (rc)
        return rc;
    if (!v->proved)
        return decide(v, VERDICT_NOT_GENUINE, "it did not prove that it holds the key of '%s'",
                      r->sn);
    if (r->lock && q->probe->lifecycle != IMPRINT_LIFE_LOCKED)
        return decide(v, VERDICT_NOT_GENUINE,
                      "'%s' left the factory locked, and this device is not", r->sn);
    return 0;
}

/* ---- may it be trusted? ---- */

/* Of a repaired unit: another board has the serial now. */
static int find_newer(const struct verdict_question *q, struct verdict *v, struct error *err)
{
    struct trust_verdict newest;
    int rc = trust_lookup_serial(q->trust, v->trust.serial, v->trust.product, &newest, err);

    v->newer = rc == 0 && newest.answer == WHITELIST_OK;
    return rc;
}

static int check_whitelist(const struct verdict_question *q, struct verdict *v, struct error *err)
{
    static const enum verdict_answer meaning[] = {
        [WHITELIST_OK] = VERDICT_OK,           [WHITELIST_HELD] = VERDICT_HELD,
        [WHITELIST_REVOKED] = VERDICT_REVOKED, [WHITELIST_REPLACED] = VERDICT_REPLACED,
        [WHITELIST_UNKNOWN] = VERDICT_UNKNOWN, [WHITELIST_FAILED] = VERDICT_UNKNOWN};
    const struct record_bytes *cert = &q->found->record.cert;
    int rc = trust_lookup_cert(q->trust, cert->p, cert->len, &v->trust, err);

    if (rc == 0 && v->trust.answer == WHITELIST_REVOKED)
        rc = find_newer(q, v, err);
    if (rc || v->trust.answer == WHITELIST_OK)
        return rc;
    return decide(v, meaning[v->trust.answer], "%s%s", v->trust.why,
                  v->newer ? "; a newer board has its serial" : "");
}

/* ---- is the label its own? ---- */

static bool label_names(const struct gs1_code *label, const struct record *r)
{
    const char *gtin = *r->udi.gtin ? r->udi.gtin : r->prod;

    if (!label->is_gs1)
        return strcmp(label->plain, r->sn) == 0;
    return strcmp(label->serial, r->sn) == 0 &&
           (!*label->gtin || strlen(gtin) != GS1_GTIN_SIZE || strcmp(label->gtin, gtin) == 0);
}

static int check_label(const struct verdict_question *q, struct verdict *v)
{
    const struct record *r = &q->found->record;

    if (!q->label || label_names(q->label, r))
        return 0;
    return decide(v, VERDICT_LABEL, "the label says '%s%s%s', and the device is '%s' of '%s'",
                  q->label->is_gs1 ? q->label->gtin : "", q->label->is_gs1 ? " " : "",
                  q->label->is_gs1 ? q->label->serial : q->label->plain, r->sn, r->prod);
}

/* 1 when it ends here. */
static int judge_found(const struct verdict_question *q, struct verdict *v, struct error *err)
{
    int rc = check_identity(q, v);

    if (rc == 0)
        rc = check_proof(q, v, err);
    if (rc == 0)
        rc = check_whitelist(q, v, err);
    if (rc == 0)
        rc = check_label(q, v);
    return rc ? rc : decide(v, VERDICT_OK, "%s", v->trust.why);
}

int verdict_reach(const struct verdict_question *q, struct verdict *v, struct error *err)
{
    int rc;

    *v = (struct verdict){.answer = VERDICT_UNKNOWN};
    if (q->probe->state != IMPRINT_TX_COMMITTED)
        rc = decide(v, VERDICT_EMPTY, "the device %s",
                    q->probe->state == IMPRINT_TX_OPEN ? "was begun and never finished"
                                                       : "holds no identity");
    else if (!q->found->found)
        rc = decide(v, VERDICT_UNKNOWN, "no manifest has the identity of '%s'", q->probe->serial);
    else if (q->found->record.mode == RECORD_MODE_DERIVED)
        rc = decide(v, VERDICT_UNPROVABLE,
                    "'%s' has a symmetric key: only who holds it can verify a proof",
                    q->found->record.sn);
    else
        rc = judge_found(q, v, err);
    return rc < 0 ? rc : 0;
}
