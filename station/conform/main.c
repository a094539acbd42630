/*
 * imprint-conform: judges a device by docs/device-link.md. It parses what somebody's firmware sends, so it
 * is confined as the line is: no file, no network, no program, and of keys only those of this run.
 * `imprint conform` opens the port and makes the keys.
 *
 * usage: imprint-conform words|hex|json TIMEOUT-MS FLAGS CASES
 *        imprint-conform words|json list
 *
 * FLAGS: letters, r replace, l lock, p restart (power), c certified; CASES: names joined by commas, or
 * nothing. Descriptor 3 is a channel: an offer (station/wire/offer.h) with the port, then the pass; later
 * ASK_PORT asks for a restart, and another offer answers it.
 */
#include "station/confine/confine.h"
#include "station/conform/judge.h"
#include "station/line/stream.h"
#include "station/wire/channel.h"
#include "station/wire/offer.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_FD CHANNEL_LINE_FD

enum { ARG_OUTPUT = 1, ARG_TIMEOUT, ARG_FLAGS, ARG_CASES, ARGS };

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process and reads /proc, which a confined one may not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

/* Takes the port that is offered; what went wrong with it was said already. */
static int take_port(struct transport **port, struct error *err)
{
    static const enum stream_kind kinds[] = {
        [OFFER_SERIAL] = STREAM_SERIAL, [OFFER_USB] = STREAM_USB, [OFFER_ADDRESS] = STREAM_SOCKET};
    struct offer offer;
    int fd, rc = offer_receive(CONTROL_FD, &offer, &fd, err);

    if (rc)
        return rc;
    if (offer.status || fd < 0)
        return offer_error(&offer, err);
    return stream_open(fd, kinds[offer.kind], offer.name, port, err);
}

/* Somebody turns the device off and on; the port may be another one then. */
static int restart(struct bench *b, struct error *err)
{
    struct transport *port;
    int rc;

    transport_close(b->recorder.port);
    b->recorder.port = NULL;
    rc = offer_ask(CONTROL_FD, ASK_PORT, 0, err);
    if (rc == 0)
        rc = take_port(&port, err);
    /* Without a port nothing goes on. */
    if (rc)
        return rc == ERR_TIMEOUT ? error_recode(err, ERR_GONE) : rc;
    b->recorder.port = port;
    b->recorder.transport.name = port->name;
    return 0;
}

static int take_pass(struct pass *pass, struct error *err)
{
    struct buf m;
    int rc;

    buf_init(&m, WIRE_MAX);
    rc = channel_receive(CONTROL_FD, &m, err);
    if (rc == 0)
        rc = pass_take(m.data, m.len, pass, err);
    buf_wipe(&m);
    return rc;
}

static void take_flags(const char *flags, struct bench_options *o)
{
    o->replace = strchr(flags, 'r');
    o->lock = strchr(flags, 'l');
    o->restart = strchr(flags, 'p');
    o->certified = strchr(flags, 'c');
}

static int run(char **argv, const struct report *report, struct error *err)
{
    static struct bench b;
    struct transport *port;
    struct judgement j;
    int rc = take_port(&port, err);

    if (rc)
        return rc;
    b.options.timeout_ms = atoi(argv[ARG_TIMEOUT]);
    take_flags(argv[ARG_FLAGS], &b.options);
    b.restart = restart;
    rc = take_pass(&b.provider.pass, err);
    if (rc) {
        transport_close(port);
        return rc;
    }
    rc = bench_open(&b, port, err);
    if (rc == 0)
        rc = judge_run(&b, argv[ARG_CASES], report, &j, err);
    if (rc == 0)
        rc = judge_verdict(&b, &j, err);
    bench_close(&b);
    return rc;
}

/* Loads what OpenSSL loads late while it still can: no file is ever opened again. */
static int confine(struct error *err)
{
    char missing[300];
    int rc = confine_memory(err);

    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    EVP_PKEY_free(EVP_EC_gen("P-256"));
    if (rc == 0)
        rc = confine_line(missing, sizeof missing, err);
    if (rc == 0 && *missing)
        fprintf(stderr, "imprint: this kernel lacks %s\n", missing);
    return rc;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct report report;
    int rc;

    message_language();
    if (argc != ARGS && (argc != ARG_TIMEOUT + 1 || strcmp(argv[ARG_TIMEOUT], "list"))) {
        fprintf(stderr, "imprint-conform: 'imprint conform' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    report = (struct report){.json = strcmp(argv[ARG_OUTPUT], "json") == 0,
                             .hex = strcmp(argv[ARG_OUTPUT], "hex") == 0};
    if (argc != ARGS) {
        report_list(&report);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    rc = judge_check(argv[ARG_CASES], &err);
    if (rc == 0)
        rc = confine(&err);
    if (rc == 0)
        rc = run(argv, &report, &err);
    if (rc)
        report_error(&report, &err);
    return error_exit_status(rc);
}
