/*
 * Asks a device for its HELLO in transfers of given sizes, over the station's own USB code, and prints for
 * each how many bytes the reply had, or that none came.
 *
 * usage: usb_sizes PLACE SIZE...    PLACE: "3-1"; SIZE: bytes of one transfer, the request at its end
 *
 * Delimiters fill the rest: an empty frame is nothing.
 */
#include "link/client.h"
#include "station/line/stream.h"
#include "station/line/usb.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_LIMIT 4096 /* what the station hands to libusb at once */
#define ANSWER_MS  3000

/* Fills what is written up to a size, and counts what is read. */
struct padded {
    struct transport transport;
    struct transport *under;
    size_t size, replied;
};

static int padded_write(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                        struct error *err)
{
    struct padded *p = (struct padded *)t;
    uint8_t whole[SIZE_LIMIT] = {0};

    if (p->size > sizeof whole || len > p->size)
        return error_set(err, ERR_USAGE, "a request of %zu bytes in a transfer of %zu", len,
                         p->size);
    memcpy(whole + p->size - len, bytes, len);
    return transport_write(p->under, whole, p->size, timeout_ms, err);
}

static int padded_read(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                       struct error *err)
{
    struct padded *p = (struct padded *)t;
    int rc = transport_read(p->under, out, max, got, timeout_ms, err);

    if (rc == 0)
        p->replied += *got;
    return rc;
}

/* The device at this place. */
struct wanted {
    const char *place;
    int bus, address;
};

static int note_place(void *context, const struct usb_info *info)
{
    struct wanted *w = context;

    if (strcmp(info->path, w->place) == 0) {
        w->bus = info->bus;
        w->address = info->address;
    }
    return 0;
}

/* What the opener does all day. */
static void *move(void *context)
{
    struct pollfd polled[32];

    for (;;) {
        size_t count = usb_hub_poll(context, polled, sizeof polled / sizeof *polled);

        (void)poll(polled, count, 10);
        usb_hub_work(context);
    }
    return NULL;
}

static int open_device(const char *place, struct transport **out, struct error *err)
{
    struct wanted w = {.place = place};
    struct usb_hub *hub = usb_hub_new();
    pthread_t mover;
    int fd, rc;

    if (!hub)
        return error_set(err, ERR_IO, "this machine has no USB");
    rc = usb_list(note_place, &w, err);
    if (rc == 0)
        rc = usb_hub_open(hub, place, w.bus, w.address, &fd, err);
    if (rc == 0 && pthread_create(&mover, NULL, move, hub))
        rc = error_set(err, ERR_INTERNAL, "cannot start a thread");
    return rc ? rc : stream_open(fd, STREAM_USB, place, out, err);
}

static bool ask(struct padded *p, size_t size)
{
    static const uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct error err = ERROR_INIT;
    struct link_client client;
    struct link_hello hello;
    int rc;

    p->size = size;
    p->replied = 0;
    link_client_init(&client, &p->transport);
    client.timeout_ms = ANSWER_MS;
    client.tries = 1;
    rc = link_client_hello(&client, nonce, &hello, &err);
    if (rc)
        printf("%zu %s\n", size, err.text);
    else
        printf("%zu %zu\n", size, p->replied);
    return rc == 0;
}

int main(int argc, char **argv)
{
    static const struct transport_ops ops = {padded_write, padded_read, NULL};
    struct error err = ERROR_INIT;
    struct padded p = {.transport = {&ops, "padded"}};
    bool all = argc > 2;

    if (argc < 3 || open_device(argv[1], &p.under, &err)) {
        fprintf(stderr, "usb_sizes: %s\n", argc < 3 ? "PLACE SIZE..." : err.text);
        return 1;
    }
    for (int i = 2; i < argc; i++)
        all &= ask(&p, (size_t)strtoul(argv[i], NULL, 10));
    transport_close(p.under);
    return all ? 0 : 1;
}
