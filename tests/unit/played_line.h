/*
 * played_line: the line's side of one channel, message by message, so that a test decides what is
 * sent and when.
 *
 * Every function returns what the vault answered: 0, or a code of base/error.h whose text is in
 * said. A failure that the vault itself cannot go on after is in fatal as well.
 */
#ifndef TESTS_PLAYED_LINE_H
#define TESTS_PLAYED_LINE_H

#include "vault_rig.h"

struct line {
    struct rig *rig;
    struct session session;
    struct buf request, reply;
    uint8_t handle[WIRE_HANDLE_SIZE];
    uint8_t nonce[IMPRINT_NONCE_SIZE]; /* for HELLO */
    struct wire_plan plan;
    struct error said;
    int fatal;
    const char *slot; /* NULL: S1 */
    bool goes_on;     /* its results are not the last with their units */
    struct wire_condition condition;
    bool grouped; /* each request is answered in a group of changes */
};

static inline void line_init(struct line *l, struct rig *r)
{
    memset(l, 0, sizeof *l);
    l->rig = r;
    session_init(&l->session);
    buf_init(&l->request, WIRE_MAX);
    buf_init(&l->reply, WIRE_MAX);
}

/* The channel closes: an attempt that nobody ended is recorded. */
static inline void line_done(struct line *l)
{
    struct error err = ERROR_INIT;

    ASSERT_OK(session_abandon(&l->rig->v, &l->session, &err), err);
    session_done(&l->session);
    buf_done(&l->request);
    buf_done(&l->reply);
}

/* As line_done, of a vault that ends without another word. */
static inline void line_drop(struct line *l)
{
    session_done(&l->session);
    buf_done(&l->request);
    buf_done(&l->reply);
}

/* The vault answers; in a group of its own (store_group_begin), as it does when it serves. */
static inline int line_answer(struct line *l, struct error *err)
{
    struct store *store = l->rig->store;
    int fatal = l->grouped ? store_group_begin(store, err) : 0, end;

    if (fatal == 0) {
        fatal = session_answer(&l->rig->v, &l->session, &l->request, &l->reply, err);
        end = l->grouped ? store_group_end(store, fatal ? NULL : err) : 0;
        fatal = fatal ? fatal : end;
        if (end == 0)
            return fatal;
    }
    buf_reset(&l->reply);
    wire_put_error(&l->reply, fatal, err);
    return fatal;
}

/* Sends l->request; r receives what follows the status. */
static inline int line_ask(struct line *l, struct reader *r)
{
    struct error err = ERROR_INIT;
    int rc;

    l->said = (struct error)ERROR_INIT;
    l->fatal = line_answer(l, &err);
    ck_assert_uint_gt(l->reply.len, 0);
    ck_assert_uint_le(l->reply.len, WIRE_MAX);
    reader_init(r, l->reply.data, l->reply.len);
    rc = wire_get_status(r, &l->said);
    ck_assert_msg(rc != ERR_INTERNAL, "%s", l->said.text);
    ck_assert(l->fatal == 0 || l->fatal == rc);
    buf_reset(&l->request);
    return rc;
}

static inline int line_open(struct line *l)
{
    struct wire_open open = {"S1"};
    struct wire_opened opened;
    struct reader r;
    int rc;

    if (l->slot)
        snprintf(open.slot, sizeof open.slot, "%s", l->slot);
    wire_put_open(&l->request, &open);
    rc = line_ask(l, &r);
    if (rc)
        return rc;
    ck_assert_int_eq(wire_get_opened(&r, &opened), 0);
    l->condition = opened.condition;
    memcpy(l->handle, opened.handle, sizeof l->handle);
    memcpy(l->nonce, opened.nonce, sizeof l->nonce);
    return 0;
}

static inline int line_chain(struct line *l, const void *chain, size_t len)
{
    struct reader r;

    wire_put_chain(&l->request, l->handle, chain, len);
    return line_ask(l, &r);
}

static inline int line_hello(struct line *l, const struct wire_hello *hello)
{
    struct wire_hello h = *hello;
    struct reader r;
    int rc;

    memcpy(h.handle, l->handle, sizeof h.handle);
    wire_put_hello(&l->request, &h);
    rc = line_ask(l, &r);
    if (rc == 0)
        ck_assert_int_eq(wire_get_plan(&r, &l->plan), 0);
    return rc;
}

/* attest_sig: NULL without one. l->plan is then DELIVER. */
static inline int line_request(struct line *l, const void *csr, size_t len,
                               const uint8_t *attest_sig)
{
    struct wire_csr request = {.csr_len = (uint16_t)len, .has_attestation = attest_sig != NULL};
    struct reader r;
    int rc;

    memcpy(request.handle, l->handle, sizeof request.handle);
    memcpy(request.csr, csr, len);
    if (attest_sig)
        memcpy(request.attest_sig, attest_sig, sizeof request.attest_sig);
    wire_put_csr(&l->request, &request);
    rc = line_ask(l, &r);
    if (rc == 0)
        ck_assert_int_eq(wire_get_plan(&r, &l->plan), 0);
    return rc;
}

static inline int line_object(struct line *l, uint8_t index, struct buf *out)
{
    struct reader r;
    int rc;

    wire_put_object(&l->request, l->handle, index);
    rc = line_ask(l, &r);
    if (rc == 0) {
        buf_reset(out);
        buf_put(out, r.p, r.left);
    }
    return rc;
}

static inline int line_nonce(struct line *l, uint8_t nonce[IMPRINT_NONCE_SIZE])
{
    struct reader r;
    int rc;

    wire_put_nonce(&l->request, l->handle);
    rc = line_ask(l, &r);
    if (rc == 0)
        ck_assert(reader_bytes(&r, nonce, IMPRINT_NONCE_SIZE) == 0 && reader_end(&r) == 0);
    return rc;
}

static inline int line_proof(struct line *l, const struct wire_proof *proof, uint8_t *verdict)
{
    struct wire_proof p = *proof;
    struct reader r;
    int rc;

    memcpy(p.handle, l->handle, sizeof p.handle);
    wire_put_proof(&l->request, &p);
    rc = line_ask(l, &r);
    if (rc == 0)
        ck_assert(reader_u8(&r, verdict) == 0 && reader_end(&r) == 0);
    return rc;
}

static inline int line_result(struct line *l, uint8_t status, const char *text)
{
    struct wire_result result = {.status = status, .goes_on = l->goes_on};
    struct wire_noted noted;
    struct reader r;
    int rc;

    memcpy(result.handle, l->handle, sizeof result.handle);
    strcpy(result.text, text);
    wire_put_result(&l->request, &result);
    rc = line_ask(l, &r);
    if (rc == 0) {
        ck_assert_int_eq(wire_get_noted(&r, &noted), 0);
        l->condition = noted.condition;
    }
    return rc;
}

#define ASSERT_ANSWER(line, call)                                                                  \
    do {                                                                                           \
        int answer_rc = (call);                                                                    \
        ck_assert_msg(answer_rc == 0, "%s: %s: %s", #call, error_name(answer_rc),                  \
                      (line)->said.text);                                                          \
    } while (0)

/* Refused with this code and a text that has this part, and the vault goes on. */
#define ASSERT_REFUSED(line, call, expected, part)                                                 \
    do {                                                                                           \
        int refused_rc = (call);                                                                   \
        ck_assert_msg(refused_rc == (expected), "%s: %s instead of %s: %s", #call,                 \
                      error_name(refused_rc), error_name(expected), (line)->said.text);            \
        ck_assert_msg(strstr((line)->said.text, part) != NULL, "'%s' lacks '%s'",                  \
                      (line)->said.text, part);                                                    \
        ck_assert_int_eq((line)->fatal, 0);                                                        \
    } while (0)

#endif
