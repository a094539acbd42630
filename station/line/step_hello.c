#include "station/line/step.h"

#include "base/clock.h"

#include <limits.h>
#include <string.h>

#define HELLO_TRY_MS 500 /* a device that is still booting is asked this often */
#define IDLE_MS      200 /* of nothing, while paused */

int step_idle(struct slot *s, struct error *err)
{
    uint8_t dropped[512];
    size_t got;
    int rc = transport_read(s->transport, dropped, sizeof dropped, &got, IDLE_MS, err);

    if (rc == 0)
        step_rest();
    return rc == ERR_TIMEOUT ? 0 : rc;
}

/* How often one question is repeated: the answer to any of them counts, so a device may take as long
 * as for every other request. */
static int hello_tries(const struct slot *s, int left_ms)
{
    int ms = left_ms < s->limits->request_ms ? left_ms : s->limits->request_ms;

    return ms <= HELLO_TRY_MS ? 1 : (ms + HELLO_TRY_MS - 1) / HELLO_TRY_MS;
}

/* One question. ERR_TIMEOUT also for babble that may be a device which boots. */
static int ask_hello(struct slot *s, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                     struct link_hello *hello, int64_t *babble_ms, struct error *err)
{
    int64_t asked_ms = clock_mono_ms();
    int rc = link_client_hello(&s->client, nonce, hello, err);
    int64_t now_ms = clock_mono_ms();

    /* It may have come while it was asked again: then it took no longer than the last try. */
    if (rc == 0) {
        s->answer_ms = (int)(now_ms - asked_ms);
        s->started_ms = s->answer_ms > HELLO_TRY_MS ? now_ms - HELLO_TRY_MS : asked_ms;
    }
    if (rc != ERR_PROTOCOL || s->client.framed) {
        *babble_ms = 0;
        return rc;
    }
    if (*babble_ms == 0)
        *babble_ms = asked_ms;
    if (asked_ms - *babble_ms >= s->limits->hello_ms)
        return rc;
    step_rest(); /* or a flood of bytes would keep a processor busy */
    return ERR_TIMEOUT;
}

/* Asks until the device answers or the time is over: it may still be booting, or not be there. Where the
 * port is the device it is there. */
static int wait_for_device(struct slot *s, const uint8_t nonce[IMPRINT_NONCE_SIZE], int wait_ms,
                           struct link_hello *hello, struct error *err)
{
    int most_ms = wait_ms == SLOT_FOR_EVER && s->is_device ? s->limits->hello_ms : wait_ms;
    int64_t begun = clock_mono_ms(), babble_ms = 0;
    int rc;

    s->client.timeout_ms = wait_ms > 0 && wait_ms < HELLO_TRY_MS ? wait_ms : HELLO_TRY_MS;
    do {
        int64_t left_ms = wait_ms - (clock_mono_ms() - begun);

        s->client.tries = hello_tries(s, wait_ms == SLOT_FOR_EVER ? INT_MAX : (int)left_ms);
        s->client.stop = s->stop;
        if (*s->stop)
            return step_check_stop(s, err);
        if (*s->paused && wait_ms == SLOT_FOR_EVER) {
            rc = step_idle(s, err) ? err->code : ERR_TIMEOUT;
            begun = clock_mono_ms();
        } else {
            rc = ask_hello(s, nonce, hello, &babble_ms, err);
        }
        if (rc == 0 && *s->paused && wait_ms == SLOT_FOR_EVER)
            rc = ERR_TIMEOUT; /* nothing begins while it is paused: it is asked again */
    } while (rc == ERR_TIMEOUT && (most_ms == SLOT_FOR_EVER || clock_mono_ms() - begun < most_ms));
    s->client.timeout_ms = s->limits->request_ms;
    s->client.tries = s->limits->repeats + 1;
    s->client.stop = NULL; /* what is begun is finished */
    if (rc == ERR_TIMEOUT && *s->stop)
        return step_check_stop(s, err);
    if (rc == ERR_TIMEOUT && babble_ms)
        return error_recode(err, ERR_PROTOCOL);
    if (rc == ERR_TIMEOUT)
        (void)error_set(err, rc, "%s: HELLO: no answer within %d ms", s->transport->name, most_ms);
    return rc;
}

static void copy_attestation(const struct link_hello *h, struct wire_hello *w)
{
    uint8_t has_key, has_sig;

    step_copy_key(&h->attest_key, w->attest_key, sizeof w->attest_key, &has_key);
    step_copy_key(&h->attest_sig, w->attest_sig, sizeof w->attest_sig, &has_sig);
    w->has_attestation = h->attested && has_key && has_sig &&
                         h->attest_key.alg == IMPRINT_ALG_P256 &&
                         h->attest_sig.alg == IMPRINT_ALG_ECDSA_SHA256;
}

/* What the device said, in the fixed fields that the vault takes. */
static void to_wire(const struct link_hello *h, struct wire_hello *w)
{
    const struct link_facts *f = &h->facts;

    memset(w, 0, sizeof *w);
    w->suite_count = (uint8_t)f->suite_count;
    memcpy(w->suites, f->suites, sizeof w->suites);
    w->modes = (uint16_t)f->modes;
    w->chip_len = (uint8_t)f->chip_id_len;
    memcpy(w->chip, f->chip_id, f->chip_id_len);
    strcpy(w->firmware, f->firmware);
    w->has_image_hash = f->has_image_hash;
    memcpy(w->image_hash, f->image_hash, sizeof w->image_hash);
    w->debug = f->debug;
    w->lifecycle = (uint8_t)f->lifecycle;
    w->pinned = f->pinned;
    w->max_frame = f->frame_max;
    if (f->dev_pub.alg == IMPRINT_ALG_P256)
        step_copy_key(&f->dev_pub, w->dev_pub, sizeof w->dev_pub, &w->has_dev_pub);
    w->tx_state = (uint8_t)h->state;
    memcpy(w->tx, h->transaction, sizeof w->tx);
    strcpy(w->serial, h->serial);
    copy_attestation(h, w);
}

/* The chain goes to the vault as it is; nobody here looks into it. */
static int pass_chain(struct slot *s, struct error *err)
{
    struct buf chain;
    int rc;

    buf_init(&chain, IMPRINT_CHAIN_MAX);
    rc = link_client_read_chain(&s->client, &chain, err);
    if (rc == 0)
        rc = desk_chain(&s->desk, &chain, err);
    buf_done(&chain);
    return rc;
}

/* One OPEN, HELLO round: what the vault wants done is in s->plan. */
int step_hello(struct slot *s, int wait_ms, struct error *err)
{
    struct link_hello hello;
    struct wire_hello said;
    struct desk_begun begun;
    int rc = slot_open(s, &begun, err);

    if (rc == 0)
        rc = wait_for_device(s, begun.nonce, wait_ms, &hello, err);
    if (rc == 0)
        rc = step_check_stop(s, err);
    if (rc)
        return rc;
    s->answered = true;
    s->chip_len = hello.facts.chip_id_len;
    memcpy(s->chip, hello.facts.chip_id, s->chip_len);
    slot_emit(s, EVENT_HELLO, NULL);
    if (begun.wants_chain && hello.chain_len)
        rc = pass_chain(s, err);
    if (rc)
        return rc;
    memcpy(s->chip, hello.facts.chip_id, sizeof s->chip);
    s->chip_len = hello.facts.chip_id_len;
    to_wire(&hello, &said);
    return desk_hello(&s->desk, &said, &s->plan, err);
}
