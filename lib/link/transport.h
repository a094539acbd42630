/*
 * transport: a channel that carries bytes to a device and back: a serial port, USB, a socket.
 *
 * A driver embeds a struct transport as its first member and hands out a pointer to that; who holds
 * the pointer calls the functions below and, in the end, transport_close, which frees it.
 *
 * Invariants
 *  1. Bytes arrive in order, or an error is returned. What the bytes mean is not the transport's
 *     business: it neither frames nor retries.
 *  2. Every call returns within its deadline, give or take the granularity of the system's timers.
 *  3. One thread uses a transport at a time.
 *  4. After ERR_GONE or ERR_IO a transport is only good for closing.
 */
#ifndef LINK_TRANSPORT_H
#define LINK_TRANSPORT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct transport;

struct transport_ops {
    /*
     * Called to send a frame. Writes all len bytes within timeout_ms milliseconds (at least 1).
     * Returns 0; ERR_TIMEOUT when not all were taken in time (an unknown part was sent); ERR_GONE
     * when the device was unplugged or the peer hung up; ERR_IO for any other failure.
     */
    int (*write)(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                 struct error *err);

    /*
     * Called to wait for bytes. Returns 0 as soon as at least one byte is there, with *got between
     * 1 and max; ERR_TIMEOUT when none came within timeout_ms milliseconds (0: what is there
     * already); ERR_GONE, ERR_IO as for write. *got is set on success only.
     */
    int (*read)(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                struct error *err);

    /* Called once, last. Releases the port and frees t. Never blocks on unsent bytes. */
    void (*close)(struct transport *t);
};

struct transport {
    const struct transport_ops *ops;
    const char *name; /* for messages: the port as the user knows it; lives as long as t */
};

static inline int transport_write(struct transport *t, const uint8_t *bytes, size_t len,
                                  int timeout_ms, struct error *err)
{
    return t->ops->write(t, bytes, len, timeout_ms, err);
}

static inline int transport_read(struct transport *t, uint8_t *out, size_t max, size_t *got,
                                 int timeout_ms, struct error *err)
{
    return t->ops->read(t, out, max, got, timeout_ms, err);
}

/* NULL is fine. */
static inline void transport_close(struct transport *t)
{
    if (t)
        t->ops->close(t);
}

#endif
