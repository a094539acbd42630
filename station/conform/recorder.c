#include "station/conform/recorder.h"

#include <string.h>

/* The exchange that a write belongs to: another one once something came. */
static struct exchange *sending(struct recorder *r)
{
    if (r->count > 0 && r->list[r->count - 1].came.len == 0)
        return &r->list[r->count - 1];
    return r->count < RECORDER_EXCHANGES ? &r->list[r->count++] : NULL;
}

/* As much as there is room for. */
static void keep(struct buf *b, const uint8_t *bytes, size_t len)
{
    buf_put(b, bytes, len < b->limit - b->len ? len : b->limit - b->len);
}

static int recorder_write(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                          struct error *err)
{
    struct recorder *r = (struct recorder *)t;
    struct exchange *e = sending(r);

    if (e)
        keep(&e->sent, bytes, len);
    return transport_write(r->port, bytes, len, timeout_ms, err);
}

static int recorder_read(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                         struct error *err)
{
    struct recorder *r = (struct recorder *)t;
    int rc = transport_read(r->port, out, max, got, timeout_ms, err);

    if (rc == 0 && r->count > 0)
        keep(&r->list[r->count - 1].came, out, *got);
    return rc;
}

static void recorder_close(struct transport *t)
{
    recorder_done((struct recorder *)t);
}

void recorder_init(struct recorder *r, struct transport *port)
{
    static const struct transport_ops ops = {recorder_write, recorder_read, recorder_close};

    memset(r, 0, sizeof *r);
    r->transport = (struct transport){&ops, port->name};
    r->port = port;
    for (size_t i = 0; i < RECORDER_EXCHANGES; i++) {
        buf_init(&r->list[i].sent, RECORDER_BYTES);
        buf_init(&r->list[i].came, RECORDER_BYTES);
    }
}

void recorder_done(struct recorder *r)
{
    transport_close(r->port);
    r->port = NULL;
    for (size_t i = 0; i < RECORDER_EXCHANGES; i++) {
        buf_done(&r->list[i].sent);
        buf_done(&r->list[i].came);
    }
}

void recorder_reset(struct recorder *r)
{
    for (size_t i = 0; i < r->count; i++) {
        buf_reset(&r->list[i].sent);
        buf_reset(&r->list[i].came);
    }
    r->count = 0;
}
