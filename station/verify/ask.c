#include "station/verify/ask.h"

#include <stdio.h>
#include <string.h>

static void note_hello(const struct link_hello *h, struct probe *p)
{
    memcpy(p->chip, h->facts.chip_id, sizeof p->chip);
    p->chip_len = h->facts.chip_id_len;
    snprintf(p->firmware, sizeof p->firmware, "%s", h->facts.firmware);
    p->debug = h->facts.debug;
    p->state = (uint8_t)h->state;
    memcpy(p->tx, h->transaction, sizeof p->tx);
    snprintf(p->serial, sizeof p->serial, "%s", h->serial);
}

/* A device that has no certificate, or gives another object than it should, is judged by what is missing. */
static int read_certificates(struct link_client *c, struct buf *out, struct error *err)
{
    struct buf all;
    int rc;

    buf_init(&all, LINK_CERTIFICATES_MAX);
    rc = link_client_read(c, &all, err);
    if (rc == 0)
        buf_put(out, all.data, all.len < out->limit ? all.len : out->limit);
    buf_done(&all);
    return rc == ERR_REFUSED || rc == ERR_PROTOCOL ? 0 : rc;
}

static int prove(struct link_client *c, const uint8_t nonce[IMPRINT_NONCE_SIZE], struct probe *p,
                 struct error *err)
{
    struct link_proof proof;
    int rc = link_client_prove(c, p->tx, nonce, &proof, err);

    if (rc)
        return rc == ERR_REFUSED || rc == ERR_PROTOCOL ? 0 : rc;
    p->lifecycle = (uint8_t)proof.lifecycle;
    p->commit_count = proof.commit_count;
    p->proved = proof.sig.len <= sizeof p->proof;
    if (p->proved) {
        p->proof_alg = proof.sig.alg;
        p->proof_len = proof.sig.len;
        memcpy(p->proof, proof.sig.bytes, proof.sig.len);
    }
    return 0;
}

int ask_device(struct link_client *c, const struct probe_question *q, struct probe *p,
               struct buf *certificates, struct error *err)
{
    struct probe said = {0};
    struct link_hello hello;
    int rc = link_client_hello(c, q->hello, &hello, err);

    if (rc)
        return rc;
    note_hello(&hello, &said);
    if (said.state == IMPRINT_TX_COMMITTED)
        rc = read_certificates(c, certificates, err);
    if (rc == 0 && said.state == IMPRINT_TX_COMMITTED)
        rc = prove(c, q->prove, &said, err);
    if (rc)
        return rc;
    *err = (struct error)ERROR_INIT; /* what was refused is in the probe */
    *p = said;
    return buf_check(certificates, "the certificates", err);
}
