#include "station/vault/scanners.h"

#include "base/clock.h"
#include "gs1/gs1.h"
#include "station/vault/keymap.h"
#include "station/vault/scanning.h"
#include "station/wire/offer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct scanner {
    int fd; /* -1: it is not there */
    uint16_t port;
    bool types; /* it is a keyboard, which gives events */
    bool at_board;
    struct keymap keymap;
    unsigned char event[sizeof(struct input_event)]; /* until it is whole */
    size_t event_len;
    char code[GS1_CODE_MAX + 1]; /* one more than a code has, so that one too long is known */
    size_t len;
    int64_t last_ms; /* when the last byte came */
    bool ended;      /* the end of the code came */
    bool several;    /* and something after it */
    bool suffix;     /* it ends its codes */
    bool cut;        /* more may come of the code before, which was refused */
    bool rest;       /* this one is what was left of that */
};

struct scanners {
    int control; /* -1: the opener is gone */
    struct scanner at[CONFIG_SCANNERS_MAX];
};

struct scanners *scanners_new(int control)
{
    struct scanners *s = calloc(1, sizeof *s);

    if (s && control >= 0 && offer_ask(control, ASK_WATCH, 0, NULL)) {
        free(s);
        return NULL;
    }
    if (!s)
        return NULL;
    s->control = control;
    for (size_t i = 0; i < CONFIG_SCANNERS_MAX; i++)
        s->at[i].fd = -1;
    return s;
}

/* Exclusive mode outlasts the descriptor where the other end stays open. */
static void close_port(int fd)
{
    if (fd < 0)
        return;
    (void)ioctl(fd, TIOCNXCL); /* which a keyboard does not know, nor needs */
    close(fd);
}

void scanners_free(struct scanners *s)
{
    for (size_t i = 0; s && i < CONFIG_SCANNERS_MAX; i++)
        close_port(s->at[i].fd);
    free(s);
}

void scanners_poll(const struct scanners *s, struct pollfd polled[SCANNERS_POLLED])
{
    for (size_t i = 0; i < CONFIG_SCANNERS_MAX; i++)
        polled[i] = (struct pollfd){.fd = s->at[i].fd, .events = POLLIN};
    polled[CONFIG_SCANNERS_MAX] = (struct pollfd){.fd = s->control, .events = POLLIN};
}

/* ---- scanners that come and go ---- */

static void tell_port(const struct vault *v, size_t i, const char *what)
{
    char text[WIRE_TEXT_MAX + 1];

    snprintf(text, sizeof text, "scanner '%s' %s", v->config->scanners[i].name, what);
    scanning_tell(v->scanning, text);
}

/* The opener names a scanner by its number in the configuration. */
static void take_offer(struct scanners *s, const struct vault *v)
{
    struct offer offer;
    size_t i;
    int fd;

    if (offer_receive(s->control, &offer, &fd, NULL)) {
        s->control = -1;
        scanning_tell(v->scanning, "the process that opens scanners ended: run the command again");
        return;
    }
    i = strtoul(offer.slot, NULL, 10);
    if (offer.kind == OFFER_NOTICE || offer.status)
        scanning_tell(v->scanning, offer.text);
    if (offer.kind == OFFER_LISTED && !offer.status && offer.port == 0)
        scanning_tell(v->scanning, "no scanner is plugged in: connect it, or correct 'scanners' in "
                                   "station.yaml");
    if (fd < 0)
        return;
    if (i >= v->config->scanner_count || s->at[i].fd >= 0) {
        close_port(fd);
        return;
    }
    s->at[i] = (struct scanner){.fd = fd, .port = offer.port, .types = offer.kind == OFFER_INPUT};
    tell_port(v, i, "is ready");
}

static void lose(struct scanners *s, const struct vault *v, size_t i)
{
    uint16_t port = s->at[i].port;
    bool at_board = s->at[i].at_board;

    close_port(s->at[i].fd);
    s->at[i] = (struct scanner){.fd = -1};
    if (at_board)
        return; /* the board ended, and so does the line */
    tell_port(v, i, "is gone: plug it in again");
    if (s->control >= 0 && offer_ask(s->control, ASK_PORT, port, NULL))
        s->control = -1;
}

void scanners_type(struct scanners *s, const struct vault *v, int fd)
{
    for (size_t i = 0; i < v->config->scanner_count; i++) {
        if (strcmp(v->config->scanners[i].port, CONFIG_SCANNER_TERMINAL))
            continue;
        if (fd < 0) {
            tell_port(v, i, "types at the board, and there is none");
            continue;
        }
        s->at[i] = (struct scanner){.fd = fd, .at_board = true};
        tell_port(v, i, "is ready: it types at the board");
        return;
    }
    close_port(fd);
}

/* ---- codes ---- */

#define GS '\x1d' /* what most scanners send for FNC1 */

static bool is_end(char c)
{
    return c == '\r' || c == '\n' || c == '\t';
}

static bool has_control(const struct scanner *scanner)
{
    for (size_t i = 0; i < scanner->len; i++)
        if ((unsigned char)scanner->code[i] < 0x20 && scanner->code[i] != GS)
            return true;
    return false;
}

/* Why the code is not taken; NULL when it is. */
static const char *find_fault(const struct scanner *scanner)
{
    if (scanner->several)
        return "several codes came at once: scan one after the other. If it was one, its label "
               "holds "
               "the end of a code: set the unit aside and call the engineer";
    if (scanner->rest || (!scanner->ended && scanner->suffix))
        return "a code came in part: scan it again";
    return has_control(scanner)
               ? "the code has a control character in it: scan the label of the unit"
               : NULL;
}

static int end_code(struct scanner *scanner, struct vault *v, size_t i, struct error *err)
{
    const char *fault = find_fault(scanner);
    size_t len = scanner->len;

    scanner->cut = scanner->several || (!scanner->ended && scanner->suffix);
    scanner->suffix = scanner->suffix || scanner->ended;
    scanner->ended = scanner->several = scanner->rest = false;
    scanner->len = 0;
    if (!fault)
        return scanning_take(v, i, scanner->code, len, clock_mono_ms(), err);
    scanning_refuse(v->scanning, fault);
    return 0;
}

static void take_byte(struct scanner *scanner, char byte)
{
    if (is_end(byte)) {
        scanner->ended = scanner->len > 0;
        return;
    }
    scanner->several = scanner->several || scanner->ended;
    if (scanner->len < sizeof scanner->code)
        scanner->code[scanner->len++] = byte;
}

static void take_bytes(struct scanner *scanner, const char *bytes, size_t count)
{
    int64_t now = clock_mono_ms();

    if (scanner->len == 0)
        scanner->rest = scanner->cut && now - scanner->last_ms < SCANNERS_CUT_MS;
    scanner->last_ms = now;
    for (size_t n = 0; n < count; n++)
        take_byte(scanner, bytes[n]);
}

/* A whole event: what it types. */
static void take_event(struct scanner *scanner)
{
    struct input_event event;
    int typed;
    char c;

    memcpy(&event, scanner->event, sizeof event);
    typed = keymap_take(&scanner->keymap, &event);
    if (typed == KEYMAP_NONE)
        return;
    c = (char)typed;
    take_bytes(scanner, &c, 1);
}

static void take_events(struct scanner *scanner, const char *bytes, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        scanner->event[scanner->event_len++] = (unsigned char)bytes[n];
        if (scanner->event_len < sizeof scanner->event)
            continue;
        scanner->event_len = 0;
        take_event(scanner);
    }
}

static void read_scanner(struct scanners *s, const struct vault *v, size_t i)
{
    char bytes[64 * sizeof(struct input_event)];
    ssize_t n = read(s->at[i].fd, bytes, sizeof bytes);

    if (n > 0 && s->at[i].types)
        take_events(&s->at[i], bytes, (size_t)n);
    else if (n > 0)
        take_bytes(&s->at[i], bytes, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        lose(s, v, i);
}

/* Only asked where a look at the port found nothing more to read: however long the vault was busy, what
 * came meanwhile is seen first. */
static bool is_over(const struct scanner *scanner, int64_t now)
{
    int64_t quiet = now - scanner->last_ms;

    return scanner->len && quiet >= (scanner->ended ? SCANNERS_QUIET_MS : SCANNERS_GAP_MS);
}

int scanners_work(struct scanners *s, struct vault *v, const struct pollfd polled[SCANNERS_POLLED],
                  struct error *err)
{
    int64_t now = clock_mono_ms();
    int rc = 0;

    if (s->control >= 0 && polled[CONFIG_SCANNERS_MAX].revents)
        take_offer(s, v);
    for (size_t i = 0; rc == 0 && i < CONFIG_SCANNERS_MAX; i++) {
        struct scanner *scanner = &s->at[i];

        if (scanner->fd >= 0 && polled[i].fd == scanner->fd && polled[i].revents)
            read_scanner(s, v, i);
        else if (is_over(scanner, now))
            rc = end_code(scanner, v, i, err);
    }
    scanning_expire(v->scanning, now);
    return rc;
}
