#include "station/wire/offer.h"

#include "base/buf.h"
#include "station/wire/channel.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_MAX 2048
#define ASK_SIZE    3

static void put_text(struct buf *b, const char *text)
{
    size_t len = strlen(text);

    buf_put_u16(b, (uint16_t)len);
    buf_put(b, text, len);
}

static int get_text(struct reader *r, char *out, size_t size)
{
    uint16_t len;

    if (reader_u16(r, &len) || len >= size || reader_bytes(r, out, len))
        return ERR_FORMAT;
    out[len] = 0;
    return memchr(out, 0, len) ? ERR_FORMAT : 0;
}

int offer_send(int control, const struct offer *offer, int fd, struct error *err)
{
    struct buf b;
    int rc;

    buf_init(&b, MESSAGE_MAX);
    buf_put_u8(&b, offer->kind);
    buf_put_u8(&b, offer->status);
    buf_put_u16(&b, offer->port);
    put_text(&b, offer->slot);
    put_text(&b, offer->name);
    put_text(&b, offer->message);
    put_text(&b, offer->text);
    put_text(&b, offer->local);
    rc = buf_check(&b, "an offer of a port", err);
    if (rc == 0)
        rc = channel_send_descriptor(control, fd, b.data, b.len, err);
    buf_done(&b);
    return rc;
}

static int decode(const void *bytes, size_t len, struct offer *offer)
{
    struct reader r;

    memset(offer, 0, sizeof *offer);
    reader_init(&r, bytes, len);
    if (reader_u8(&r, &offer->kind) || reader_u8(&r, &offer->status) ||
        reader_u16(&r, &offer->port) || get_text(&r, offer->slot, sizeof offer->slot) ||
        get_text(&r, offer->name, sizeof offer->name) ||
        get_text(&r, offer->message, sizeof offer->message) ||
        get_text(&r, offer->text, sizeof offer->text) ||
        get_text(&r, offer->local, sizeof offer->local) || reader_end(&r))
        return ERR_FORMAT;
    return offer->kind < OFFER_SERIAL || offer->kind > OFFER_LISTED ? ERR_FORMAT : 0;
}

void offer_put_error(struct offer *offer, const struct error *err)
{
    offer->status = (uint8_t)error_exit_status(err->code);
    memcpy(offer->message, err->message, sizeof offer->message);
    snprintf(offer->text, sizeof offer->text, "%.399s", err->text);
    snprintf(offer->local, sizeof offer->local, "%.399s", err->local);
}

int offer_error(const struct offer *offer, struct error *err)
{
    return error_received(err, -(int)offer->status, offer->message, offer->text, offer->local);
}

static bool is_stream(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

/* A descriptor that fits what is said of it, and none where none belongs. */
static bool fits(const struct offer *offer, int fd)
{
    struct stat st;

    if (fd < 0)
        return offer->status || offer->kind >= OFFER_ADDRESS;
    if (offer->status || offer->kind > OFFER_ADDRESS || fstat(fd, &st))
        return false;
    return offer->kind == OFFER_SERIAL || offer->kind == OFFER_INPUT
               ? S_ISCHR(st.st_mode)
               : S_ISSOCK(st.st_mode) && is_stream(fd);
}

int offer_receive(int control, struct offer *offer, int *fd, struct error *err)
{
    char bytes[MESSAGE_MAX];
    size_t len;
    int taken, rc = channel_receive_descriptor(control, bytes, sizeof bytes, &len, &taken, err);

    if (rc)
        return rc;
    if (decode(bytes, len, offer) == 0 && fits(offer, taken)) {
        *fd = taken;
        return 0;
    }
    if (taken >= 0)
        close(taken);
    return error_set(err, ERR_PROTOCOL, "what came is no offer of a port");
}

int offer_ask(int control, enum offer_ask ask, uint16_t port, struct error *err)
{
    uint8_t bytes[ASK_SIZE] = {(uint8_t)ask, (uint8_t)(port >> 8), (uint8_t)port};

    return channel_send_descriptor(control, -1, bytes, sizeof bytes, err);
}

int offer_asked(int control, enum offer_ask *ask, uint16_t *port, struct error *err)
{
    uint8_t bytes[ASK_SIZE + 1];
    size_t len;
    int taken, rc = channel_receive_descriptor(control, bytes, sizeof bytes, &len, &taken, err);

    if (rc)
        return rc;
    if (taken >= 0)
        close(taken);
    if (taken >= 0 || len != ASK_SIZE || bytes[0] < ASK_ONCE || bytes[0] > ASK_PORT)
        return error_set(err, ERR_PROTOCOL, "what came asks for no port");
    *ask = bytes[0];
    *port = (uint16_t)(bytes[1] << 8 | bytes[2]);
    return 0;
}
