#include "station/line/desk.h"

#include "station/wire/channel.h"

#include <string.h>
#include <unistd.h>

int desk_open(struct desk *d, int control, struct error *err)
{
    memset(d, 0, sizeof *d);
    buf_init(&d->request, WIRE_MAX);
    buf_init(&d->reply, WIRE_MAX);
    d->fd = -1;
    d->lost = channel_open(control, &d->fd, err) != 0;
    return d->lost ? ERR_GONE : 0;
}

void desk_close(struct desk *d)
{
    if (d->fd >= 0)
        close(d->fd);
    buf_done(&d->request);
    buf_done(&d->reply);
}

/* Sends what is in d->request; r receives what follows the reply's status. */
static int ask(struct desk *d, struct reader *r, struct error *err)
{
    int rc = channel_send(d->fd, &d->request, err);

    if (rc == 0)
        rc = channel_receive(d->fd, &d->reply, err);
    if (rc) {
        d->lost = true;
        return error_next(err, NEXT_RESTART,
                          error_set(err, ERR_GONE, "the vault ended: start the command again"));
    }
    reader_init(r, d->reply.data, d->reply.len);
    return wire_get_status(r, err);
}

static int malformed(struct error *err)
{
    return error_set(err, ERR_INTERNAL, "the vault sent a malformed answer");
}

bool desk_is_closed(const struct wire_condition *condition)
{
    return condition->state >= WIRE_SLOT_FAILING;
}

int desk_begin(struct desk *d, const char *slot, struct desk_begun *begun,
               struct wire_condition *condition, struct error *err)
{
    struct wire_open open = {{0}};
    struct wire_opened opened;
    struct reader r;
    int rc;

    strncpy(open.slot, slot, sizeof open.slot - 1);
    buf_reset(&d->request);
    wire_put_open(&d->request, &open);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    if (wire_get_opened(&r, &opened))
        return malformed(err);
    memcpy(d->handle, opened.handle, sizeof d->handle);
    memcpy(begun->nonce, opened.nonce, sizeof begun->nonce);
    begun->wants_chain = opened.wants_chain;
    *condition = opened.condition;
    return 0;
}

int desk_chain(struct desk *d, const struct buf *chain, struct error *err)
{
    struct reader r;

    buf_reset(&d->request);
    wire_put_chain(&d->request, d->handle, chain->data, chain->len);
    return ask(d, &r, err);
}

int desk_hello(struct desk *d, struct wire_hello *hello, struct wire_plan *plan, struct error *err)
{
    struct reader r;
    int rc;

    memcpy(hello->handle, d->handle, sizeof hello->handle);
    buf_reset(&d->request);
    wire_put_hello(&d->request, hello);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    return wire_get_plan(&r, plan) ? malformed(err) : 0;
}

int desk_csr(struct desk *d, struct wire_csr *request, struct wire_plan *plan, struct error *err)
{
    struct reader r;
    int rc;

    memcpy(request->handle, d->handle, sizeof request->handle);
    buf_reset(&d->request);
    wire_put_csr(&d->request, request);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    return wire_get_plan(&r, plan) || plan->action != WIRE_DELIVER ? malformed(err) : 0;
}

int desk_object(struct desk *d, uint8_t index, const uint8_t **bytes, size_t *len,
                struct error *err)
{
    struct reader r;
    int rc;

    buf_reset(&d->request);
    wire_put_object(&d->request, d->handle, index);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    *bytes = r.p;
    *len = r.left;
    return 0;
}

int desk_nonce(struct desk *d, uint8_t nonce[IMPRINT_NONCE_SIZE], struct error *err)
{
    struct reader r;
    int rc;

    buf_reset(&d->request);
    wire_put_nonce(&d->request, d->handle);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    return reader_bytes(&r, nonce, IMPRINT_NONCE_SIZE) || reader_end(&r) ? malformed(err) : 0;
}

int desk_proof(struct desk *d, struct wire_proof *proof, enum wire_verdict *verdict,
               struct error *err)
{
    struct reader r;
    uint8_t said;
    int rc;

    memcpy(proof->handle, d->handle, sizeof proof->handle);
    buf_reset(&d->request);
    wire_put_proof(&d->request, proof);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    if (reader_u8(&r, &said) || reader_end(&r) || said < WIRE_PASS || said > WIRE_LABEL_FIRST)
        return malformed(err);
    *verdict = said;
    return 0;
}

int desk_counts(struct desk *d, struct wire_counts *counts, struct error *err)
{
    struct reader r;
    int rc;

    buf_reset(&d->request);
    wire_put_ask_counts(&d->request);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    return wire_get_counts(&r, counts) ? malformed(err) : 0;
}

int desk_scan(struct desk *d, struct wire_scan *scan, struct error *err)
{
    struct reader r;
    int rc;

    buf_reset(&d->request);
    wire_put_ask_scans(&d->request);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    return wire_get_scan(&r, scan) ? malformed(err) : 0;
}

int desk_acknowledge(struct desk *d, const char *slot, bool *was, struct error *err)
{
    char label[WIRE_SLOT_MAX + 1] = "";
    struct reader r;
    uint8_t said;
    int rc;

    strncpy(label, slot, sizeof label - 1);
    buf_reset(&d->request);
    wire_put_ack(&d->request, label);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    if (reader_u8(&r, &said) || reader_end(&r))
        return malformed(err);
    *was = said != 0;
    return 0;
}

int desk_result(struct desk *d, const struct desk_end *end, struct wire_noted *noted,
                struct error *err)
{
    struct wire_result result = {.status = (uint8_t)error_exit_status(end->code),
                                 .next = (uint8_t)end->next,
                                 .goes_on = end->goes_on};
    struct reader r;
    int rc;

    memcpy(result.handle, d->handle, sizeof result.handle);
    strncpy(result.text, end->text, sizeof result.text - 1);
    for (char *p = result.text; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
    buf_reset(&d->request);
    wire_put_result(&d->request, &result);
    rc = ask(d, &r, err);
    if (rc)
        return rc;
    return wire_get_noted(&r, noted) ? malformed(err) : 0;
}
