#include "station/vault/session.h"

#include "base/codec.h"
#include "link/transcript.h"
#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/vault/claim.h"
#include "station/vault/clock_stop.h"
#include "station/vault/farewell.h"
#include "station/vault/keygen.h"
#include "station/vault/plan.h"
#include "station/vault/plant.h"
#include "station/vault/prove.h"
#include "station/vault/quota.h"
#include "station/vault/scan.h"
#include "station/vault/scanning.h"
#include "station/vault/slots.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

void session_init(struct session *s)
{
    memset(s, 0, sizeof *s);
    buf_init(&s->chain, WIRE_CHAIN_MAX);
    keygen_init(&s->keygen);
    buf_init(&s->farewell, WIRE_FAREWELL_SIZE);
    buf_init(&s->result, HOOK_QUESTION_MAX);
    claim_init(&s->claim);
    credential_init(&s->credential);
}

void session_done(struct session *s)
{
    buf_done(&s->chain);
    keygen_done(&s->keygen);
    buf_done(&s->farewell);
    buf_done(&s->result);
    claim_done(&s->claim);
    credential_done(&s->credential);
}

void session_forget_claim(struct session *s)
{
    s->claim.credential = 0;
    s->credential.serial[0] = 0;
}

bool session_waits(const struct session *s)
{
    return hooks_is_open(&s->ticket);
}

/* HELLO is answered anew: what was read for it is read again. */
static void forget_device(struct session *s)
{
    keygen_done(&s->keygen);
    claim_done(&s->claim);
    credential_done(&s->credential);
    keygen_init(&s->keygen);
    claim_init(&s->claim);
    credential_init(&s->credential);
    s->asked = s->again = false;
    s->state = SESSION_OPENED;
}

/* Back to IDLE: the channel may serve the next device. */
static void reset(struct session *s)
{
    session_done(s);
    session_init(s);
}

/* True for a failure of the station itself, after which nothing more may be issued. */
static bool is_fatal(int code)
{
    switch (code) {
    case ERR_IO:
    case ERR_FULL:
    case ERR_READONLY:
    case ERR_BUSY:
    case ERR_PIN:
    case ERR_TOKEN:
    case ERR_MODULE:
    case ERR_HSM:
    case ERR_STORE:
    case ERR_INTEGRITY:
    case ERR_ROLLBACK: /* of the anchor: what was committed may not be released */
    case ERR_CLOCK:
    case ERR_INTERNAL:
        return true;
    default:
        return false;
    }
}

static int random_bytes(void *out, size_t len, struct error *err)
{
    if (getrandom(out, len, 0) != (ssize_t)len)
        return error_set(err, ERR_INTERNAL, "the system's random source failed");
    return 0;
}

static int refuse_order(struct error *err)
{
    return error_set(err, ERR_PROTOCOL, "the line sent a message out of order");
}

static int check_handle(const struct session *s, const uint8_t handle[WIRE_HANDLE_SIZE],
                        struct error *err)
{
    if (memcmp(s->handle, handle, WIRE_HANDLE_SIZE))
        return error_set(err, ERR_PROTOCOL, "the line used a handle that is not this channel's");
    return 0;
}

static int answer_open(const struct vault *v, struct session *s, struct reader *r,
                       struct buf *reply, struct error *err)
{
    struct wire_open open;
    struct wire_opened opened;
    int rc;

    if (s->state != SESSION_IDLE || wire_get_open(r, &open))
        return refuse_order(err);
    if (random_bytes(s->handle, sizeof s->handle, err) ||
        random_bytes(s->nonce, sizeof s->nonce, err))
        return ERR_INTERNAL;
    strcpy(s->slot, open.slot);
    s->refused = false;
    memcpy(opened.handle, s->handle, sizeof opened.handle);
    memcpy(opened.nonce, s->nonce, sizeof opened.nonce);
    opened.wants_chain = v->order->auth == ORDER_AUTH_ATTESTED;
    rc = slots_condition(v, s->slot, &opened.condition, err);
    if (rc)
        return rc;
    if (opened.condition.state < WIRE_SLOT_FAILING)
        s->state = SESSION_OPENED;
    wire_put_opened(reply, &opened);
    return 0;
}

/* Kept as it is: only the checker looks into it. */
static int answer_chain(struct session *s, struct reader *r, struct buf *reply, struct error *err)
{
    uint8_t handle[WIRE_HANDLE_SIZE];
    const uint8_t *chain;
    size_t len;

    if (s->state != SESSION_OPENED || s->chain.len > 0 || wire_get_chain(r, handle, &chain, &len))
        return refuse_order(err);
    if (check_handle(s, handle, err))
        return ERR_PROTOCOL;
    buf_put(&s->chain, chain, len);
    wire_put_ok(reply);
    return buf_check(&s->chain, "a certificate chain", err);
}

static int answer_hello(struct vault *v, struct session *s, struct reader *r, struct buf *reply,
                        struct error *err)
{
    struct wire_plan plan;
    struct wire_hello hello;
    int rc;

    if (s->state != SESSION_OPENED || wire_get_hello(r, &hello))
        return refuse_order(err);
    if (check_handle(s, hello.handle, err))
        return ERR_PROTOCOL;
    s->hello = hello;
    s->state = SESSION_ENDING;
    rc = clock_stop_check(v->store, err);
    if (rc == 0)
        rc = v->farewells ? farewell_plan(v, s, &plan, err) : plan_device(v, s, &plan, err);
    if (rc) {
        scanning_refused(v->scanning, s->slot);
        return rc;
    }
    if (session_waits(s)) {
        forget_device(s);
        return 0;
    }
    if (plan.action == WIRE_ABORT || plan.action == WIRE_SCAN) {
        reset(s); /* the device starts over, with OPEN */
    } else {
        scanning_used(v->scanning, s->slot);
        s->state = plan.action == WIRE_KEYGEN ? SESSION_ASKED : SESSION_PLANNED;
        if (s->state == SESSION_ASKED)
            keygen_hold(v, s);
    }
    wire_put_plan(reply, &plan);
    return 0;
}

static int answer_csr(struct vault *v, struct session *s, struct reader *r, struct buf *reply,
                      struct error *err)
{
    struct wire_plan plan;
    struct wire_csr request;
    int rc;

    if (s->state != SESSION_ASKED || wire_get_csr(r, &request))
        return refuse_order(err);
    if (check_handle(s, request.handle, err))
        return ERR_PROTOCOL;
    s->state = SESSION_ENDING;
    rc = clock_stop_check(v->store, err);
    if (rc == 0)
        rc = plan_request(v, s, &request, &plan, err);
    keygen_release(v, s);
    if (rc)
        return rc;
    s->state = SESSION_PLANNED;
    wire_put_plan(reply, &plan);
    return 0;
}

static int answer_object(struct vault *v, struct session *s, struct reader *r, struct buf *reply,
                         struct error *err)
{
    uint8_t handle[WIRE_HANDLE_SIZE], index;
    struct buf object;
    int rc;

    if (s->state != SESSION_PLANNED || wire_get_object(r, handle, &index))
        return refuse_order(err);
    if (check_handle(s, handle, err))
        return ERR_PROTOCOL;
    buf_init(&object, WIRE_OBJECT_MAX);
    if (s->farewell.len)
        rc = farewell_object(s, index, &object, err);
    else
        rc = plan_object(v, s, index, &object, err);
    if (rc == 0) {
        wire_put_ok(reply);
        buf_put(reply, object.data, object.len);
    }
    buf_done(&object);
    return rc;
}

/* Draws a nonce and journals it. */
static int draw_nonce(struct vault *v, struct session *s, struct error *err)
{
    int rc = random_bytes(s->claim.prove_nonce, sizeof s->claim.prove_nonce, err);

    if (rc == 0)
        rc = store_begin(v->store, err);
    if (rc == 0)
        rc = claim_set_nonce(v->store, s->claim.tx, s->claim.prove_nonce, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    return rc;
}

/* Lets a nonce go that was journalled before, once: with the claim, or now. */
static int answer_nonce(struct vault *v, struct session *s, struct reader *r, struct buf *reply,
                        struct error *err)
{
    uint8_t handle[WIRE_HANDLE_SIZE];
    int rc;

    if ((s->state != SESSION_PLANNED && s->state != SESSION_NONCED) || s->farewell.len ||
        wire_get_nonce(r, handle))
        return refuse_order(err);
    if (check_handle(s, handle, err))
        return ERR_PROTOCOL;
    rc = v->scanning ? scanning_check(v->scanning, s, err) : 0;
    if (rc == 0 && !s->nonce_drawn)
        rc = draw_nonce(v, s, err);
    if (rc)
        return rc;
    s->nonce_drawn = false;
    s->claim.has_prove_nonce = true;
    s->state = SESSION_NONCED;
    wire_put_ok(reply);
    buf_put(reply, s->claim.prove_nonce, sizeof s->claim.prove_nonce);
    return 0;
}

static int answer_proof(struct vault *v, struct session *s, struct reader *r, struct buf *reply,
                        struct error *err)
{
    enum wire_verdict verdict;
    struct wire_proof proof;
    int rc;

    if (s->state != SESSION_NONCED || wire_get_proof(r, &proof))
        return refuse_order(err);
    if (check_handle(s, proof.handle, err))
        return ERR_PROTOCOL;
    s->state = SESSION_ENDING;
    rc = clock_stop_check(v->store, err);
    if (rc == 0)
        rc = prove_device(v, s, &proof, &verdict, err);
    if (rc)
        return rc;
    s->passed = verdict == WIRE_PASS;
    if (verdict == WIRE_PASS || verdict == WIRE_LOCK_LATER)
        scans_use(v->scans, s->slot);
    s->waits = verdict == WIRE_LOCK_LATER;
    s->state = verdict == WIRE_LOCK_FIRST || verdict == WIRE_LABEL_FIRST ? SESSION_PLANNED
                                                                         : SESSION_ENDING;
    wire_put_ok(reply);
    buf_put_u8(reply, (uint8_t)verdict);
    return 0;
}

/* Whether this is the claim's device, as far as it can be told: any other may report its transaction, and
 * its failures must not add up to those that set the claim's device aside (plan.h). */
static bool is_of_claim(const struct session *s)
{
    const struct claim *c = &s->claim;
    const struct wire_hello *h = &s->hello;

    return c->credential && c->chip_len == h->chip_len &&
           memcmp(c->chip, h->chip, h->chip_len) == 0 &&
           (c->attestation.len == 0 || claim_is_enrolled_as(c, h->attest_key));
}

/* How an attempt ended. last: no other follows, so that it is a result. unit: and it is counted for the slot. */
struct outcome {
    int code;
    const char *text;
    enum error_next next; /* as the line would have it */
    bool last, unit;
};

static int record_attempt(struct vault *v, struct session *s, const struct outcome *o,
                          struct error *err)
{
    const struct plant_result result = {o->code, o->text};
    enum slots_end end = slots_end_of(o->code, s->refused, o->next);
    struct attempt a = {.slot = s->slot,
                        .chip = s->hello.chip_len ? s->hello.chip : NULL,
                        .chip_len = s->hello.chip_len,
                        .tx = is_of_claim(s) ? s->claim.tx : NULL,
                        .serial = s->claim.credential ? s->credential.serial : s->keygen.serial,
                        .code = o->code,
                        .text = o->text,
                        .next = s->refused ? s->next : NEXT_BY_CLASS};
    int rc = store_begin(v->store, err);

    if (rc == 0)
        rc = attempt_add(v->store, &a, err);
    if (rc == 0 && o->unit)
        rc = slots_count(v, s->slot, end, o->text, err);
    if (rc == 0 && o->last)
        rc = plant_tell(v, s, &result, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    return rc;
}

/* What ends well without a proof that is recorded: a farewell, of which the device says itself that it
 * is blank, and a device that another run locks. */
static int result_code(const struct session *s, const struct wire_result *result)
{
    if (result->status)
        return -(int)result->status;
    return s->farewell.len || s->waits ? 0 : ERR_INTERNAL;
}

/* The plant may hold a device that passed: that is an attempt that failed, of an identity that stays. */
static int ask_plant(struct vault *v, struct session *s, const struct wire_result *result,
                     bool *waits, struct error *err)
{
    bool passed = s->passed || result_code(s, result) == 0;
    int rc = plant_takes_result(v, s, passed, waits, err), held;
    struct outcome hold = {.code = rc, .text = err->text, .last = true};

    if (rc != ERR_REFUSED)
        return rc;
    held = record_attempt(v, s, &hold, err);
    return held ? held : rc;
}

/* A pass was recorded with the proof; what the line reports here is a failure, or nothing new. */
static int answer_result(struct vault *v, struct session *s, struct reader *r, struct buf *reply,
                         struct error *err)
{
    struct wire_result result;
    struct outcome outcome;
    struct wire_noted noted;
    char slot[WIRE_SLOT_MAX + 1];
    bool waits = false;
    int rc = 0;

    if (s->state == SESSION_IDLE || wire_get_result(r, &result))
        return refuse_order(err);
    if (check_handle(s, result.handle, err))
        return ERR_PROTOCOL;
    outcome = (struct outcome){.code = s->passed ? 0 : result_code(s, &result),
                               .text = result.text,
                               .next = (enum error_next)result.next,
                               .last = !result.goes_on,
                               .unit = !result.goes_on};
    if (!s->passed && !s->reported)
        rc = record_attempt(v, s, &outcome, err);
    s->reported = true;
    if (rc == 0)
        rc = ask_plant(v, s, &result, &waits, err);
    if (waits)
        return 0;
    memcpy(noted.plant, s->warning, sizeof noted.plant);
    scanning_forget(v->scanning, s);
    keygen_release(v, s);
    strcpy(slot, s->slot);
    reset(s);
    if (rc == 0)
        rc = slots_condition(v, slot, &noted.condition, err);
    if (rc == 0)
        wire_put_noted(reply, &noted);
    return rc;
}

/* A person at the line; what a scanner says of it goes another way (vault/scanning.h). */
static int answer_ack(struct vault *v, struct reader *r, struct buf *reply, struct error *err)
{
    char slot[WIRE_SLOT_MAX + 1];
    bool was;
    int rc = wire_get_ack(r, slot) ? refuse_order(err) : slots_acknowledge(v, slot, &was, err);

    if (rc)
        return rc;
    wire_put_ok(reply);
    buf_put_u8(reply, was);
    return 0;
}

/* For the screen alone: nothing is decided by it. */
static int answer_counts(const struct vault *v, struct reader *r, struct buf *reply,
                         struct error *err)
{
    struct wire_counts c = {.good = (uint32_t)v->share->counts.good,
                            .proven = (uint32_t)v->counts.by_state[CREDENTIAL_PROVEN],
                            .available = (uint32_t)quota_stock(v),
                            .remaining = (uint32_t)quota_remaining(v)};

    if (reader_end(r))
        return refuse_order(err);
    snprintf(c.order, sizeof c.order, "%s", v->order->id);
    snprintf(c.product, sizeof c.product, "%s", v->order->product);
    wire_put_counts(reply, &c);
    return 0;
}

/* Likewise. */
static int answer_scans(const struct vault *v, struct reader *r, struct buf *reply,
                        struct error *err)
{
    struct wire_scan scan;

    if (reader_end(r))
        return refuse_order(err);
    scanning_next(v->scanning, &scan);
    wire_put_scan(reply, &scan);
    return 0;
}

static int dispatch(struct vault *v, struct session *s, struct reader *r, struct buf *reply,
                    struct error *err)
{
    uint8_t op;

    if (reader_u8(r, &op))
        return refuse_order(err);
    switch (op) {
    case WIRE_OPEN:
        return answer_open(v, s, r, reply, err);
    case WIRE_CHAIN:
        return answer_chain(s, r, reply, err);
    case WIRE_HELLO:
        return answer_hello(v, s, r, reply, err);
    case WIRE_CSR:
        return answer_csr(v, s, r, reply, err);
    case WIRE_OBJECT:
        return answer_object(v, s, r, reply, err);
    case WIRE_NONCE:
        return answer_nonce(v, s, r, reply, err);
    case WIRE_PROOF:
        return answer_proof(v, s, r, reply, err);
    case WIRE_RESULT:
        return answer_result(v, s, r, reply, err);
    case WIRE_COUNTS:
        return answer_counts(v, r, reply, err);
    case WIRE_SCANS:
        return answer_scans(v, r, reply, err);
    case WIRE_ACK:
        return answer_ack(v, r, reply, err);
    default:
        return refuse_order(err);
    }
}

int session_answer(struct vault *v, struct session *s, const struct buf *request, struct buf *reply,
                   struct error *err)
{
    struct reader r;
    int rc, unsettled;

    reader_init(&r, request->data, request->len);
    buf_reset(reply);
    /* What was committed without its anchor is not released, whoever asks for it. */
    unsettled = store_settle(v->store, err);
    rc = unsettled ? unsettled : dispatch(v, s, &r, reply, err);
    if (rc == 0)
        return buf_check(reply, "an answer to the line", err);
    s->refused = true;
    s->next = err->next;
    wire_put_error(reply, rc, err);
    return unsettled || is_fatal(rc) ? rc : 0;
}

bool session_is_at_once(const struct session *s, const struct buf *request)
{
    switch (request->len ? request->data[0] : 0) {
    case WIRE_OPEN:
    case WIRE_CHAIN:
    case WIRE_OBJECT:
        return true;
    case WIRE_NONCE:
        return s->nonce_drawn;
    case WIRE_RESULT:
        return s->passed && s->result.len == 0;
    default:
        return false;
    }
}

int session_abandon(struct vault *v, struct session *s, struct error *err)
{
    static const struct outcome ended = {.code = ERR_INTERRUPTED,
                                         .text = "the line ended before the device was finished",
                                         .last = true};
    bool tried = s->state != SESSION_IDLE && s->hello.chip_len > 0;

    scanning_forget(v->scanning, s);
    keygen_release(v, s);
    hooks_forget(v->hooks, &s->ticket);
    if (!tried || s->passed || s->reported)
        return 0;
    return record_attempt(v, s, &ended, err);
}
