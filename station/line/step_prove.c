#include "station/line/step.h"

#include "pki/digest.h"

#include <string.h>

static int read_back(struct slot *s, uint8_t hash[IMPRINT_HASH_SIZE], struct error *err)
{
    struct buf certificates;
    int rc;

    buf_init(&certificates, LINK_CERTIFICATES_MAX);
    rc = link_client_read(&s->client, &certificates, err);
    if (rc == 0)
        sha256(certificates.data, certificates.len, hash);
    if (rc == 0 && certificates.len >= SLOT_TAIL) {
        s->tail_total = (uint32_t)certificates.len;
        memcpy(s->tail, certificates.data + certificates.len - SLOT_TAIL, SLOT_TAIL);
    }
    buf_done(&certificates);
    return rc;
}

/* Whether the device has a certificate, which then is read back and whose key signs. */
static bool has_certificates(const struct slot *s)
{
    for (size_t i = 0; i < s->plan.object_count; i++)
        if (s->plan.objects[i].type == IMPRINT_OBJ_CERTIFICATES)
            return true;
    return false;
}

/* A signature of the certificate's key, or where there is none a MAC. */
static int copy_proof(const struct link_key *from, bool signature, struct wire_proof *to,
                      struct error *err)
{
    if (!signature && (from->alg != IMPRINT_ALG_HMAC_SHA256 || from->len != IMPRINT_SYMMETRIC_SIZE))
        return error_set(err, ERR_PROTOCOL, "the device's proof is not an HMAC");
    if (from->len == 0 || from->len > sizeof to->sig)
        return error_set(err, ERR_PROTOCOL, "the device's proof is no signature");
    memcpy(to->sig, from->bytes, from->len);
    to->sig_len = (uint16_t)from->len;
    return 0;
}

/* One nonce, one proof, one reading back, one verdict. */
static int prove_once(struct slot *s, enum wire_verdict *verdict, struct error *err)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct wire_proof said;
    struct link_proof proof;
    int rc = desk_nonce(&s->desk, nonce, err);

    memset(&said, 0, sizeof said);
    if (rc == 0)
        rc = link_client_prove(&s->client, s->plan.tx, nonce, &proof, err);
    if (rc == 0 && has_certificates(s))
        rc = read_back(s, said.read_back, err);
    if (rc == 0)
        rc = copy_proof(&proof.sig, has_certificates(s), &said, err);
    if (rc)
        return rc;
    said.lifecycle = (uint8_t)proof.lifecycle;
    said.commit_count = proof.commit_count;
    return desk_proof(&s->desk, &said, verdict, err);
}

/* The label is compared by the vault, and then the device proves itself once more. */
static int prove_label(struct slot *s, enum wire_verdict *verdict, struct error *err)
{
    int rc = 0;

    step_tell_scan(s, true);
    while (rc == 0 && *verdict == WIRE_LABEL_FIRST) {
        switch (step_await_scan(s, true, err)) {
        case SCAN_CAME:
            step_restore_limits(s);
            rc = prove_once(s, verdict, err);
            break;
        case SCAN_DEVICE_LEFT:
            return error_set(err, ERR_GONE,
                             "the device was taken out before its label was scanned");
        case SCAN_FAILED:
            return err->code;
        }
    }
    return rc;
}

int step_prove(struct slot *s, struct error *err)
{
    enum wire_verdict verdict = WIRE_PASS;
    int rc = prove_once(s, &verdict, err);

    if (rc == 0 && verdict == WIRE_LABEL_FIRST)
        rc = prove_label(s, &verdict, err);

    s->waits = rc == 0 && verdict == WIRE_LOCK_LATER;
    if (rc || verdict != WIRE_LOCK_FIRST)
        return rc;
    rc = link_client_lock(&s->client, s->plan.tx, err);
    if (rc == 0)
        rc = prove_once(s, &verdict, err);
    if (rc == 0 && verdict != WIRE_PASS)
        rc = error_set(err, ERR_PROOF, "the device says that it is locked and its proof does not");
    return rc;
}
