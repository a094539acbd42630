#include "station/vault/plant.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/jcs.h"
#include "station/store/outbox.h"
#include "station/vault/hooks.h"
#include "station/vault/naming.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define PLANT_VERSION 1 /* of what programs are asked and told */

/* ---- JSON: members in the order of their names ---- */

static void put_chip(struct jcs *j, const struct wire_hello *h)
{
    if (h->chip_len)
        jcs_hex(j, "chip", h->chip, h->chip_len);
}

static void put_environment(struct jcs *j, const struct vault *v)
{
    jcs_str(j, "environment", v->config->environment);
}

static void put_firmware(struct jcs *j, const struct wire_hello *h)
{
    jcs_str(j, "firmware", h->firmware);
    if (h->has_image_hash)
        jcs_hex(j, "firmware_sha256", h->image_hash, sizeof h->image_hash);
}

static int put_id(struct jcs *j, struct error *err)
{
    uint8_t id[HOOK_ID_SIZE];

    if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id)
        return error_set(err, ERR_INTERNAL, "the system's random source failed");
    jcs_hex(j, "id", id, sizeof id);
    return 0;
}

static void put_work(struct jcs *j, const struct vault *v)
{
    jcs_str(j, "job", v->job->name);
    jcs_str(j, "order", v->order->id);
    jcs_str(j, "product", v->order->product);
}

static void put_time(struct jcs *j)
{
    char at[CLOCK_TEXT_SIZE];

    clock_text(clock_utc(), at);
    jcs_str(j, "at", at);
}

static int write_claim(const struct vault *v, const struct session *s, const char *serial,
                       struct buf *out, struct error *err)
{
    struct jcs j;
    int rc;

    jcs_init(&j, out);
    jcs_object(&j, NULL);
    put_time(&j);
    put_chip(&j, &s->hello);
    jcs_bool(&j, "debug", s->hello.debug);
    put_environment(&j, v);
    jcs_str(&j, "event", "claim");
    put_firmware(&j, &s->hello);
    rc = put_id(&j, err);
    put_work(&j, v);
    if (*serial)
        jcs_str(&j, "serial", serial);
    jcs_str(&j, "slot", s->slot);
    jcs_str(&j, "station", v->config->name);
    jcs_int(&j, "version", PLANT_VERSION);
    jcs_end(&j);
    return rc;
}

static void put_outcome(struct jcs *j, const struct session *s, const struct plant_result *result)
{
    const char *serial = s->claim.credential ? s->credential.serial : s->keygen.serial;

    jcs_str(j, "result", result->code ? "fail" : "pass");
    if (*serial)
        jcs_str(j, "serial", serial);
    jcs_str(j, "slot", s->slot);
}

static int write_result(const struct vault *v, const struct session *s,
                        const struct plant_result *result, struct buf *out, struct error *err)
{
    struct jcs j;
    int rc;

    jcs_init(&j, out);
    jcs_object(&j, NULL);
    jcs_bool(&j, "again", s->again);
    put_time(&j);
    put_chip(&j, &s->hello);
    put_environment(&j, v);
    if (result->code)
        jcs_str(&j, "error", error_name(result->code));
    jcs_str(&j, "event", "result");
    put_firmware(&j, &s->hello);
    rc = put_id(&j, err);
    put_work(&j, v);
    put_outcome(&j, s, result);
    jcs_str(&j, "station", v->config->name);
    if (result->code)
        jcs_str(&j, "text", result->text);
    if (s->claim.credential)
        jcs_hex(&j, "transaction", s->claim.tx, sizeof s->claim.tx);
    jcs_int(&j, "version", PLANT_VERSION);
    jcs_bool(&j, "waits", s->waits);
    jcs_end(&j);
    return rc;
}

/* ---- asking ---- */

static void add_warning(struct session *s, const char *what)
{
    size_t used = strlen(s->warning);

    snprintf(s->warning + used, sizeof s->warning - used, "%s%s", used ? "; " : "", what);
}

/* What a person is told of an answer that is no yes. */
static void say(const struct hook_answer *a, const char *said, const char *unsaid,
                char out[HOOK_TEXT_MAX + 100])
{
    snprintf(out, HOOK_TEXT_MAX + 100, "%s%s%s", a->verdict == HOOK_NO ? said : unsaid,
             *a->text ? ": " : "", a->text);
}

static bool ask(struct vault *v, enum hook_kind kind, struct session *s, const struct buf *question)
{
    hooks_ask(v->hooks, kind, question, &s->ticket);
    return hooks_is_open(&s->ticket);
}

static int judge_claim(struct vault *v, struct session *s, struct error *err)
{
    const struct hook_answer *a = &s->ticket.answer;
    char what[HOOK_TEXT_MAX + 100];

    if (a->verdict == HOOK_YES)
        return 0;
    say(a, "the plant's system refuses this unit", "the plant's system did not answer", what);
    if (!hooks_blocks(v->hooks, HOOK_BEFORE_CLAIM)) {
        add_warning(s, what);
        return 0;
    }
    if (a->verdict == HOOK_NO)
        return error_next(err, NEXT_SET_ASIDE,
                          error_set(err, ERR_REFUSED, "%s: nothing was given to it", what));
    return error_next(
        err, NEXT_CALL,
        error_set(err, ERR_REFUSED, "%s: nothing was given to this unit, call the engineer", what));
}

int plant_may_claim(struct vault *v, struct session *s, bool *waits, struct error *err)
{
    char serial[SERIAL_TEXT_MAX + 1];
    struct buf question;
    int rc;

    *waits = false;
    if (!hooks_has(v->hooks, HOOK_BEFORE_CLAIM))
        return 0;
    if (s->ticket.state == TICKET_ANSWERED) {
        rc = judge_claim(v, s, err);
        hooks_forget(v->hooks, &s->ticket);
        return rc;
    }
    rc = naming_find(v, s, serial, err);
    if (rc)
        return rc;
    buf_init(&question, HOOK_QUESTION_MAX);
    rc = write_claim(v, s, serial, &question, err);
    if (rc == 0)
        *waits = ask(v, HOOK_BEFORE_CLAIM, s, &question);
    buf_done(&question);
    return rc || *waits ? rc : plant_may_claim(v, s, waits, err); /* it was given up at once */
}

int plant_tell(struct vault *v, struct session *s, const struct plant_result *result,
               struct error *err)
{
    int rc;

    if (!hooks_has(v->hooks, HOOK_AFTER_RESULT) && !hooks_has(v->hooks, HOOK_OUTBOX))
        return 0;
    buf_reset(&s->result);
    rc = write_result(v, s, result, &s->result, err);
    if (rc == 0)
        rc = buf_check(&s->result, "a result", err);
    if (rc == 0 && hooks_has(v->hooks, HOOK_OUTBOX))
        rc = outbox_add(v->store, &s->result, err);
    return rc;
}

static int write_end(const struct vault *v, const char *state, const struct claim *claim,
                     const struct credential *credential, struct buf *out, struct error *err)
{
    struct jcs j;
    int rc;

    jcs_init(&j, out);
    jcs_object(&j, NULL);
    put_time(&j);
    jcs_hex(&j, "chip", claim->chip, claim->chip_len);
    put_environment(&j, v);
    jcs_str(&j, "event", "ended");
    rc = put_id(&j, err);
    jcs_str(&j, "order", v->order->id);
    jcs_str(&j, "product", credential->product);
    jcs_str(&j, "serial", credential->serial);
    jcs_str(&j, "slot", claim->slot);
    jcs_str(&j, "state", state);
    jcs_str(&j, "station", v->config->name);
    jcs_hex(&j, "transaction", claim->tx, sizeof claim->tx);
    jcs_int(&j, "version", PLANT_VERSION);
    jcs_end(&j);
    return rc;
}

int plant_tell_end(struct vault *v, const char *state, const struct claim *claim,
                   const struct credential *credential, struct error *err)
{
    struct buf body;
    int rc;

    if (!v->config->hooks.outbox.given)
        return 0;
    buf_init(&body, OUTBOX_BODY_MAX);
    rc = write_end(v, state, claim, credential, &body, err);
    if (rc == 0)
        rc = outbox_add(v->store, &body, err);
    buf_done(&body);
    return rc;
}

static int judge_result(struct vault *v, struct session *s, bool passed, struct error *err)
{
    const struct hook_answer *a = &s->ticket.answer;
    char what[HOOK_TEXT_MAX + 100];

    if (a->verdict == HOOK_YES)
        return 0;
    say(a, "the plant's system did not take the result",
        "the plant's system did not answer to the result", what);
    if (!passed || !hooks_blocks(v->hooks, HOOK_AFTER_RESULT)) {
        add_warning(s, what);
        return 0;
    }
    return error_next(
        err, NEXT_CALL,
        error_set(
            err, ERR_REFUSED,
            "%s: this unit is finished as '%s' and is held; when the system answers, put it in "
            "again",
            what, s->credential.serial));
}

int plant_takes_result(struct vault *v, struct session *s, bool passed, bool *waits,
                       struct error *err)
{
    int rc;

    *waits = false;
    if (!hooks_has(v->hooks, HOOK_AFTER_RESULT) || s->result.len == 0)
        return 0;
    if (s->ticket.state == TICKET_NONE)
        *waits = ask(v, HOOK_AFTER_RESULT, s, &s->result);
    if (*waits)
        return 0;
    rc = judge_result(v, s, passed, err);
    hooks_forget(v->hooks, &s->ticket);
    return rc;
}
