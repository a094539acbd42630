#include "station/conform/bench.h"

#include "base/clock.h"

#include <openssl/ec.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define PROBE_TRIES 3

/* The name of a status, as section 4 has it. */
static const char *status_name(long status)
{
    static const char *const names[] = {
        "OK",   "VERSION", "MESSAGE", "FORMAT", "STATE",  "BUSY",   "TRANSACTION", "STATION",
        "SIZE", "BUNDLE",  "KEY",     "STORE",  "LOCKED", "CRYPTO", "SUITE",       "SIGNATURE"};

    return status >= 0 && (size_t)status < sizeof names / sizeof *names ? names[status]
                                                                        : "a status without a name";
}

int bench_open(struct bench *b, struct transport *port, struct error *err)
{
    recorder_init(&b->recorder, port);
    link_client_init(&b->client, &b->recorder.transport);
    b->client.tries = 1; /* a repeat would hide what a case is about */
    b->client.timeout_ms = b->options.timeout_ms;
    b->provider.ca = EVP_EC_gen("P-256");
    b->provider.owner = EVP_EC_gen("P-256");
    if (!b->provider.ca || !b->provider.owner)
        return error_set(err, ERR_CRYPTO, "cannot make a key");
    return 0;
}

void bench_close(struct bench *b)
{
    recorder_done(&b->recorder);
    bundle_free(b->bundle);
    bundle_free(b->identity);
    EVP_PKEY_free(b->provider.ca);
    EVP_PKEY_free(b->provider.owner);
    pass_done(&b->provider.pass);
}

/*
 * Random bytes without a zero among them. COBS ends a block at each zero, and a HELLO cut exactly
 * there is whole again but for its CRC: the case of a request that breaks off would, once in a
 * while, judge the CRC instead.
 */
static int draw(uint8_t *out, size_t len, struct error *err)
{
    if (RAND_bytes(out, (int)len) != 1)
        return error_set(err, ERR_CRYPTO, "no random numbers");
    for (size_t i = 0; i < len; i++)
        out[i] |= out[i] == 0;
    return 0;
}

int bench_hello(struct bench *b, struct error *err)
{
    int rc = draw(b->nonce, sizeof b->nonce, err);

    return rc ? rc : link_client_hello(&b->client, b->nonce, &b->hello, err);
}

int bench_reset(struct bench *b, struct error *err)
{
    int rc = link_client_abort(&b->client, err);

    return rc ? rc : bench_hello(b, err);
}

/* DECOMMISSION for a chip that is another one: refused by every device that has it. */
static int probe_decommission(struct bench *b, struct error *err)
{
    struct link_farewell farewell = {.chip_id_len = 1};
    uint8_t nothing[EC_SIG_SIZE] = {0};
    int rc;

    farewell.chip_id[0] = (uint8_t)~b->hello.facts.chip_id[0];
    farewell.sig = link_sig_p256(nothing);
    rc = link_client_decommission(&b->client, &farewell, err);
    b->decommission = rc != ERR_REFUSED || err->native != IMPRINT_ERR_MESSAGE;
    b->provider.decommission = b->decommission;
    return rc == ERR_REFUSED || rc == ERR_PROTOCOL ? 0 : rc;
}

int bench_probe(struct bench *b, struct error *err)
{
    int rc;

    b->client.tries = PROBE_TRIES; /* it may just be starting */
    rc = bench_hello(b, err);
    b->client.tries = 1;
    if (rc)
        return rc;
    b->foreign = b->hello.state != IMPRINT_TX_NONE || b->hello.commit_count > 0;
    rc = probe_decommission(b, err);
    *err = rc ? *err : (struct error)ERROR_INIT;
    return rc;
}

/* ---- single requests ---- */

int bench_ask(struct bench *b, uint8_t message, const struct buf *payload, struct link_frame *reply,
              struct error *err)
{
    return link_client_request(&b->client, message, payload, reply, err);
}

/* The names of the statuses in a mask: "STATE or TRANSACTION". */
static void name_statuses(unsigned statuses, char *out, size_t size)
{
    size_t len = 0;

    *out = 0;
    for (int i = 1; i < 16; i++)
        if (statuses >> i & 1u)
            len += (size_t)snprintf(out + len, len < size ? size - len : 0, "%s%s",
                                    len ? " or " : "", status_name(i));
}

int bench_expect(int rc, unsigned statuses, struct error *err)
{
    char names[64];
    long status = err->native;

    name_statuses(statuses, names, sizeof names);
    if (rc == 0 || rc == ERR_PROTOCOL)
        return error_set(err, ERR_PROTOCOL, "it was not refused; %s was to be answered", names);
    if (rc != ERR_REFUSED)
        return rc;
    if (status < 0 || status > 31 || !(statuses >> status & 1u))
        return error_set(err, ERR_PROTOCOL, "the answer is %s (%ld) instead of %s",
                         status_name(status), status, names);
    *err = (struct error)ERROR_INIT;
    return 0;
}

int bench_refused(struct bench *b, uint8_t message, struct buf *payload, unsigned statuses,
                  struct error *err)
{
    struct link_frame reply;
    int rc = bench_ask(b, message, payload, &reply, err);

    buf_done(payload);
    if (rc == 0)
        rc = bench_expect(link_empty_decode(reply.payload, reply.len, err), statuses, err);
    return rc;
}

int bench_send(struct bench *b, const struct buf *bytes, struct error *err)
{
    int rc = buf_check(bytes, "what is to be sent", err);

    return rc ? rc
              : transport_write(&b->recorder.transport, bytes->data, bytes->len,
                                b->client.timeout_ms, err);
}

int bench_receive(struct bench *b, struct link_frame *frame, struct error *err)
{
    int64_t deadline = clock_mono_ms() + b->client.timeout_ms;
    uint8_t byte;
    size_t got;

    for (;;) {
        int64_t left = deadline - clock_mono_ms();
        int rc = left > 0 ? transport_read(&b->recorder.transport, &byte, 1, &got, (int)left, err)
                          : error_set(err, ERR_TIMEOUT, "no answer");

        if (rc == ERR_TIMEOUT)
            return error_set(err, rc, "no answer within %d ms", b->client.timeout_ms);
        if (rc)
            return rc;
        if (link_frame_feed(&b->client.reader, byte, frame))
            return 0;
    }
}

int bench_silent(struct bench *b, const struct buf *bytes, struct error *err)
{
    struct link_frame frame;
    struct buf hello, payload;
    int rc = bench_send(b, bytes, err);

    buf_init(&hello, LINK_FRAME_WIRE(IMPRINT_FRAME_MIN));
    buf_init(&payload, IMPRINT_FRAME_MIN);
    link_hello_encode(&payload, b->nonce);
    b->client.sequence++;
    link_frame_encode(&hello, IMPRINT_MSG_HELLO, b->client.sequence, payload.data, payload.len);
    if (rc == 0)
        rc = bench_send(b, &hello, err);
    if (rc == 0)
        rc = bench_receive(b, &frame, err);
    if (rc == ERR_TIMEOUT)
        (void)error_set(err, rc, "HELLO after it is not answered");
    else if (rc == 0 && (frame.message != (IMPRINT_MSG_HELLO | IMPRINT_MSG_REPLY) ||
                         frame.sequence != b->client.sequence))
        rc = error_set(err, ERR_PROTOCOL,
                       "it was answered: message 0x%02x, sequence %u came before the answer to the "
                       "HELLO after it",
                       frame.message, frame.sequence);
    buf_done(&hello);
    buf_done(&payload);
    return rc;
}

int bench_state(struct bench *b, enum imprint_tx_state state, const uint8_t *transaction,
                struct error *err)
{
    static const char *const names[] = {"none", "open", "committed"};
    int rc = bench_hello(b, err);

    if (rc)
        return rc;
    if (b->hello.state != state)
        return error_set(err, ERR_PROTOCOL, "HELLO then reports a transaction that is %s, not %s",
                         names[b->hello.state], names[state]);
    if (state != IMPRINT_TX_NONE && memcmp(b->hello.transaction, transaction, IMPRINT_TX_SIZE))
        return error_set(err, ERR_PROTOCOL, "HELLO then reports another transaction");
    return 0;
}

static bool same_key(const struct link_key *a, const struct link_key *b)
{
    return a->alg == b->alg && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

int bench_new_key(struct bench *b, const struct link_key *before, struct error *err)
{
    return same_key(before, &b->hello.facts.dev_pub)
               ? error_set(err, ERR_PROTOCOL, "HELLO still shows the same transport key")
               : 0;
}

int bench_same_key(struct bench *b, const struct link_key *before, struct error *err)
{
    return same_key(before, &b->hello.facts.dev_pub)
               ? 0
               : error_set(err, ERR_PROTOCOL, "HELLO shows another transport key than before");
}
