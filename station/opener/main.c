/*
 * imprint-opener: opens the ports that rules of the job name, when they are there, and hands them to the
 * line, which can open nothing. A port that no rule names is never opened. It moves the bytes of USB
 * devices and looks into none; of serial ports it keeps nothing.
 *
 * The line asks (station/wire/offer.h) for what is there once, or to be told from then on; it ends when
 * the line does.
 *
 * usage: imprint-opener [PATTERN SLOT BAUD]...
 */
#include "base/clock.h"
#include "station/confine/confine.h"
#include "station/line/input.h"
#include "station/line/serial.h"
#include "station/opener/known.h"
#include "station/wire/channel.h"
#include "station/wire/offer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTROL_FD CHANNEL_LINE_FD
#define LOOK_MS    250 /* how often it looks whether something was plugged in or out */
#define POLLED_MAX (2 * PORTS_MAX + 16)

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process and reads /proc, which a confined one may not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

struct opener {
    struct port_rule rules[PORT_RULES_MAX];
    size_t rule_count;
    struct port_numbers numbers;
    struct ports ports; /* as they were found last */
    struct known known;
    struct usb_hub *hub;
    uint64_t seen;  /* of the system's lists, when ports was found */
    bool again;     /* look whatever seen says */
    bool watching;  /* asked to go on */
    bool gone;      /* the line is */
    char said[512]; /* the last complaint about a rule */
};

static void send_offer(struct opener *o, const struct offer *offer, int fd)
{
    if (offer_send(CONTROL_FD, offer, fd, NULL))
        o->gone = true;
    if (fd >= 0)
        close(fd);
}

static void describe(const struct port *p, uint16_t number, struct offer *offer)
{
    *offer = (struct offer){.kind = p->kind == PORT_SERIAL  ? OFFER_SERIAL
                                    : p->kind == PORT_USB   ? OFFER_USB
                                    : p->kind == PORT_INPUT ? OFFER_INPUT
                                                            : OFFER_ADDRESS,
                            .port = number};
    snprintf(offer->slot, sizeof offer->slot, "%s", p->slot);
    snprintf(offer->name, sizeof offer->name, "%s", p->name);
}

static int open_port(struct opener *o, const struct port *p, int *fd, struct error *err)
{
    if (p->kind == PORT_INPUT)
        return input_open(p->name, fd, err);
    if (p->kind == PORT_SERIAL)
        return serial_open(p->name, p->baud, fd, err);
    if (!o->hub && !(o->hub = usb_hub_new()))
        return error_set(err, ERR_IO, "cannot open '%s': this machine has no USB", p->name);
    return usb_hub_open(o->hub, p->name, p->usb_bus, p->usb_address, fd, err);
}

/* Tries to open a port that the line does not have, and tells what the line does not know yet. */
static void try_port(struct opener *o, const struct port *p, struct known_port *k)
{
    struct error err = ERROR_INIT;
    struct offer offer;
    int fd = -1;

    describe(p, known_number(&o->known, k), &offer);
    if (open_port(o, p, &fd, &err) == 0) {
        known_give(k);
        send_offer(o, &offer, fd);
    } else if (known_fail(k, err.code, o->watching)) {
        offer_put_error(&offer, &err);
        send_offer(o, &offer, -1);
    }
}

/* The connector opens addresses: the line learns their slots here, once, in the order of the rules. */
static void offer_addresses(struct opener *o)
{
    uint16_t number = 0;

    for (size_t r = 0; r < o->rule_count; r++)
        for (size_t i = 0; i < o->ports.count; i++) {
            const struct port *p = &o->ports.list[i];
            struct offer offer;

            if (p->kind != PORT_ADDRESS || strcmp(p->name, o->rules[r].pattern))
                continue;
            describe(p, number++, &offer);
            if (p->rule >= 0)
                send_offer(o, &offer, -1);
        }
}

/* A complaint about the job's rules is told once. */
static void complain(struct opener *o, const struct error *err)
{
    struct offer offer = {.kind = OFFER_NOTICE};

    if (strcmp(o->said, err->text) == 0)
        return;
    snprintf(o->said, sizeof o->said, "%s", err->text);
    offer_put_error(&offer, err);
    send_offer(o, &offer, -1);
}

static int look(struct opener *o, struct error *err)
{
    o->seen = known_system();
    o->again = false;
    return ports_find(o->rules, o->rule_count, &o->numbers, &o->ports, err);
}

static void try_ports(struct opener *o)
{
    for (size_t i = 0; i < o->ports.count && !o->gone; i++) {
        const struct port *p = &o->ports.list[i];
        struct known_port *k;

        if (p->rule < 0 || p->kind == PORT_ADDRESS || p->baud == 0)
            continue;
        k = known_find(&o->known, p->name);
        if (k && known_is_due(k))
            try_port(o, p, k);
    }
}

static uint16_t count_slots(const struct opener *o)
{
    unsigned count = 0;

    for (size_t i = 0; i < o->ports.count; i++)
        count += o->ports.list[i].rule >= 0 && o->ports.list[i].baud > 0 &&
                 o->ports.list[i].slot[0] != OFFER_FIXTURE;
    return (uint16_t)count;
}

/* The first look: an error of the job's rules is the last word. */
static void begin(struct opener *o)
{
    struct offer listed = {.kind = OFFER_LISTED};
    struct error err = ERROR_INIT;

    if (look(o, &err) == 0) {
        try_ports(o);
        offer_addresses(o);
        listed.port = count_slots(o);
    } else {
        offer_put_error(&listed, &err);
    }
    send_offer(o, &listed, -1);
}

/* Looks at the system's lists when they changed, and opens what is there now. */
static void look_again(struct opener *o)
{
    struct error err = ERROR_INIT;

    if ((o->again || known_system() != o->seen) && look(o, &err))
        complain(o, &err);
    try_ports(o);
}

static void take_request(struct opener *o)
{
    enum offer_ask ask;
    uint16_t port;

    if (offer_asked(CONTROL_FD, &ask, &port, NULL)) {
        o->gone = true;
    } else if (ask == ASK_PORT) {
        known_take_back(&o->known, port);
        o->again = true;
    } else {
        o->watching = ask == ASK_WATCH;
        begin(o);
    }
}

static void serve(struct opener *o)
{
    static struct pollfd polled[POLLED_MAX];
    int64_t next = 0;

    while (!o->gone) {
        size_t count = 1;
        int64_t left = next - clock_mono_ms();

        polled[0] = (struct pollfd){.fd = CONTROL_FD, .events = POLLIN};
        if (o->hub)
            count += usb_hub_poll(o->hub, polled + 1, POLLED_MAX - 1);
        if (poll(polled, count, !o->watching ? -1 : left > 0 ? (int)left : 0) < 0)
            continue;
        if (o->hub)
            usb_hub_work(o->hub);
        if (polled[0].revents)
            take_request(o);
        if (o->watching && clock_mono_ms() >= next) {
            look_again(o);
            next = clock_mono_ms() + LOOK_MS;
        }
    }
    usb_hub_free(o->hub);
}

int main(int argc, char **argv)
{
    static struct opener o;
    struct error err = ERROR_INIT;

    message_language();
    for (int i = 1; i + 2 < argc && o.rule_count < PORT_RULES_MAX; i += 3)
        o.rules[o.rule_count++] = (struct port_rule){argv[i], argv[i + 1], atoi(argv[i + 2])};
    if (o.rule_count == 0) {
        fprintf(stderr, "imprint-opener: 'imprint run' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* the line ends it */
    signal(SIGHUP, SIG_IGN);
    if (confine_memory(&err) == 0)
        (void)!confine_opener(&err);
    if (err.code) {
        error_tell("imprint-opener", &err);
        return error_exit_status(err.code);
    }
    serve(&o);
    return 0;
}
