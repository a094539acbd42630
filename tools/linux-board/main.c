/*
 * imprint-gadget: the agent on a Linux board that is a USB device: an example to start from.
 *
 * It runs the same agent as a microcontroller, over OpenSSL, with its flash in a folder. The station
 * reaches it through a USB function (FunctionFS), or a serial port. docs/linux-board.md is the guide.
 */
#include "channel.h"

#include "agent/port_openssl.h"
#include "base/buf.h"
#include "facts.h"
#include "link/frame.h"
#include "store.h"

#include <getopt.h>
#include <stdio.h>

struct board {
    struct imprint_agent agent;
    struct imprint_agent_platform platform;
    struct facts facts;
    struct store store;
    struct channel channel;
    struct buf reply; /* its parts, until it is whole */
};

struct arguments {
    struct fact_texts facts;
    const char *store, *usb, *terminal;
    bool help;
};

static const char help[] =
    "usage: imprint-gadget --store DIR --usb DIR|--tty PATH --chip-id HEX [option ...]\n"
    "\n"
    "    --store DIR       the agent's flash; created if need be\n"
    "    --usb DIR         where the FunctionFS of its USB function is mounted\n"
    "    --tty PATH        or a serial port, such as /dev/ttyGS0\n"
    "    --chip-id HEX     1 to 32 bytes, unique for every board\n"
    "    --firmware TEXT   its version; 1.0.0 if not given\n"
    "    --image-hash HEX  SHA-256 of its image\n"
    "    --debug           a debug port or unsigned software is possible\n"
    "    --authority FILE  pins the authority in FILE: 'p256 ' and 130 hex digits\n";

static void collect(void *context, const uint8_t *bytes, size_t len)
{
    struct board *b = context;

    buf_put(&b->reply, bytes, len);
}

/* The agent answers a frame at its end: then its reply goes out as one transfer. */
static void take(struct board *b, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        imprint_agent_input(&b->agent, bytes + i, 1);
        if (b->reply.len > 0)
            channel_write(&b->channel, b->reply.data, b->reply.len);
        buf_reset(&b->reply);
    }
}

static int start_agent(struct board *b, const struct arguments *a, struct error *err)
{
    int rc = facts_set(&a->facts, &b->facts, &b->platform, err);

    if (rc == 0 && !imprint_agent_port_openssl_init(&b->platform.crypto))
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    if (rc == 0)
        rc = store_open(&b->store, a->store, err);
    if (rc)
        return rc;
    b->platform.store = store_functions(&b->store);
    b->platform.send = collect;
    b->platform.send_context = b;
    imprint_agent_init(&b->agent, &b->platform);
    return 0;
}

/* Goes on until the process is killed, which is to the agent what a power cut is. */
static int run(struct board *b, const struct arguments *a, struct error *err)
{
    uint8_t bytes[4096];
    int rc = a->usb ? channel_open_usb(&b->channel, a->usb, err)
                    : channel_open_terminal(&b->channel, a->terminal, err);

    while (rc == 0)
        take(b, bytes, channel_read(&b->channel, bytes, sizeof bytes));
    return rc;
}

static void take_option(struct arguments *a, int option, const char *value)
{
    const char **texts[] = {['s'] = &a->store,          ['u'] = &a->usb,
                            ['t'] = &a->terminal,       ['c'] = &a->facts.chip_id,
                            ['f'] = &a->facts.firmware, ['i'] = &a->facts.image_hash,
                            ['a'] = &a->facts.authority};

    if (option == 'h')
        a->help = true;
    else if (option == 'd')
        a->facts.debug = true;
    else
        *texts[option] = value;
}

static int parse(int argc, char **argv, struct arguments *a, struct error *err)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'},    {"usb", required_argument, NULL, 'u'},
        {"tty", required_argument, NULL, 't'},      {"chip-id", required_argument, NULL, 'c'},
        {"firmware", required_argument, NULL, 'f'}, {"image-hash", required_argument, NULL, 'i'},
        {"debug", no_argument, NULL, 'd'},          {"authority", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    int option;

    *a = (struct arguments){.facts = {.firmware = "1.0.0"}};
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (option == '?')
            return error_set(err, ERR_USAGE, "see 'imprint-gadget --help'");
        take_option(a, option, optarg);
    }
    if (a->help)
        return 0;
    if (optind < argc || !a->store || !a->facts.chip_id || !a->usb == !a->terminal)
        return error_set(err, ERR_USAGE,
                         "--store, --chip-id and one of --usb and --tty are needed: see "
                         "'imprint-gadget --help'");
    return 0;
}

int main(int argc, char **argv)
{
    static struct board board;
    struct error err = ERROR_INIT;
    struct arguments a;
    int rc = parse(argc, argv, &a, &err);

    if (rc == 0 && a.help) {
        fputs(help, stdout);
        return 0;
    }
    buf_init(&board.reply, LINK_FRAME_WIRE(IMPRINT_FRAME_MAX));
    if (rc == 0)
        rc = start_agent(&board, &a, &err);
    if (rc == 0)
        rc = run(&board, &a, &err);
    error_tell("imprint-gadget", &err);
    return error_exit_status(rc);
}
