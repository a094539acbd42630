#include "station/line/step.h"

#include <string.h>

#define KEYGEN_RSA_MS (2 * 60 * 1000)

/* A microcontroller looks for the primes of RSA for a minute. It is asked again meanwhile, and its answer
 * to any of these requests counts. */
static int keygen_tries(const struct slot_limits *limits, uint16_t key_alg)
{
    bool rsa = key_alg == IMPRINT_ALG_RSA_2048 || key_alg == IMPRINT_ALG_RSA_3072;
    int ms = limits->keygen_ms == 0 && rsa ? KEYGEN_RSA_MS : limits->keygen_ms;
    int tries = (ms + limits->request_ms - 1) / limits->request_ms;

    return tries > limits->repeats ? tries : limits->repeats + 1;
}

/* Waits for the request. It is the only answer that may take minutes, and nothing was delivered yet: a stop
 * ends it. */
static int ask_for_request(struct slot *s, const struct link_keygen *k, struct link_request *made,
                           struct error *err)
{
    int rc;

    s->client.tries = keygen_tries(s->limits, k->key_alg);
    s->client.stop = s->stop;
    rc = link_client_keygen(&s->client, k, made, err);
    s->client.tries = s->limits->repeats + 1;
    s->client.stop = NULL;
    return rc == ERR_TIMEOUT && *s->stop ? step_check_stop(s, err) : rc;
}

/* The device makes its key; its request goes to the vault, which says what to deliver. */
static int make_key(struct slot *s, struct error *err)
{
    const struct wire_plan *p = &s->plan;
    struct link_keygen k = {.environment = p->environment,
                            .serial = p->serial,
                            .key_alg = p->key_alg,
                            .subject = p->subject,
                            .subject_len = p->subject_len,
                            .sig = link_sig_p256(p->station_sig),
                            .cert = p->station_cert,
                            .cert_len = p->station_cert_len};
    struct link_request made;
    struct wire_csr request;
    int rc;

    memcpy(k.order_hash, p->order_hash, sizeof k.order_hash);
    memcpy(k.transaction, p->tx, sizeof k.transaction);
    memcpy(k.station_nonce, p->station_nonce, sizeof k.station_nonce);
    rc = ask_for_request(s, &k, &made, err);
    if (rc)
        return rc;
    memset(&request, 0, sizeof request);
    request.csr_len = (uint16_t)made.csr_len;
    memcpy(request.csr, made.csr, made.csr_len);
    if (made.attested && made.attest_sig.alg == IMPRINT_ALG_ECDSA_SHA256)
        step_copy_key(&made.attest_sig, request.attest_sig, sizeof request.attest_sig,
                      &request.has_attestation);
    return desk_csr(&s->desk, &request, &s->plan, err);
}

/* A key that power was cut off from writing is in the way of the next one until ABORT. The device begins again
 * with another promise: nothing was issued for this one. */
static int clear_torn_key(struct slot *s, struct error *err)
{
    const struct error why = *err;
    const struct desk_end end = {
        .code = why.code, .text = why.text, .next = why.next, .goes_on = true};
    int rc;

    *err = (struct error)ERROR_INIT;
    rc = link_client_abort(&s->client, err);
    if (rc == 0)
        rc = desk_result(&s->desk, &end, &s->noted, err);
    return rc ? rc : step_plan(s, s->limits->hello_ms, err);
}

int step_keygen(struct slot *s, struct error *err)
{
    int rc = make_key(s, err);

    if (rc != ERR_REFUSED || err->native != IMPRINT_ERR_STORE)
        return rc;
    rc = clear_torn_key(s, err);
    return rc == 0 && s->plan.action == WIRE_KEYGEN ? make_key(s, err) : rc;
}
