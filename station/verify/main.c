/*
 * imprint-verify: asks one device who it is. It parses what that device sends, so it is confined as the line
 * is: no file, no network, no program, and no key at all. `imprint verify` opens the port, draws the random
 * numbers and judges what comes.
 *
 * usage: imprint-verify TIMEOUT-MS
 *
 * Descriptor 3 is a channel: an offer (station/wire/offer.h) with the port, then the question; the answer is
 * what verify/probe.h says.
 */
#include "station/confine/confine.h"
#include "station/line/stream.h"
#include "station/verify/ask.h"
#include "station/wire/channel.h"
#include "station/wire/offer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define CONTROL_FD CHANNEL_LINE_FD

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process and reads /proc, which a confined one may not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

static int take_port(struct transport **port, struct error *err)
{
    static const enum stream_kind kinds[] = {
        [OFFER_SERIAL] = STREAM_SERIAL, [OFFER_USB] = STREAM_USB, [OFFER_ADDRESS] = STREAM_SOCKET};
    struct offer offer;
    int fd, rc = offer_receive(CONTROL_FD, &offer, &fd, err);

    if (rc)
        return rc;
    if (fd < 0)
        return error_set(err, ERR_PROTOCOL, "no port was offered");
    return stream_open(fd, kinds[offer.kind], offer.name, port, err);
}

static int take_question(struct probe_question *q, struct error *err)
{
    struct buf m;
    int rc;

    buf_init(&m, WIRE_MAX);
    rc = channel_receive(CONTROL_FD, &m, err);
    if (rc == 0 && probe_question_get(m.data, m.len, q))
        rc = error_set(err, ERR_PROTOCOL, "the question is malformed");
    buf_done(&m);
    return rc;
}

static int ask(int timeout_ms, struct probe *p, struct buf *certificates, struct error *err)
{
    struct probe_question q;
    struct transport *port = NULL;
    struct link_client client;
    int rc = take_port(&port, err);

    if (rc)
        return rc;
    rc = take_question(&q, err);
    link_client_init(&client, port);
    client.timeout_ms = timeout_ms;
    if (rc == 0)
        rc = ask_device(&client, &q, p, certificates, err);
    transport_close(port);
    return rc;
}

static int answer(const struct probe *p, const struct buf *certificates, const struct error *why)
{
    struct error err = ERROR_INIT;
    struct buf m;
    int rc;

    buf_init(&m, WIRE_MAX);
    if (why->code)
        probe_put_failure(&m, why);
    else
        probe_put(&m, p);
    rc = channel_send(CONTROL_FD, &m, &err);
    if (rc == 0 && !why->code && p->state == IMPRINT_TX_COMMITTED) {
        buf_reset(&m);
        buf_put_u8(&m, 0); /* an empty message would look as the end */
        buf_put(&m, certificates->data, certificates->len);
        rc = channel_send(CONTROL_FD, &m, &err);
    }
    buf_done(&m);
    return rc;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct buf certificates;
    struct probe probe;
    char missing[300];
    int rc;

    message_language();
    if (argc != 2) {
        fprintf(stderr, "imprint-verify: 'imprint verify' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    signal(SIGPIPE, SIG_IGN);
    buf_init(&certificates, PROBE_CERTIFICATES_MAX);
    rc = confine_memory(&err);
    if (rc == 0)
        rc = confine_line(missing, sizeof missing, &err);
    if (rc == 0 && *missing)
        fprintf(stderr, "imprint: this kernel lacks %s\n", missing);
    if (rc == 0)
        rc = ask(atoi(argv[1]), &probe, &certificates, &err);
    rc = answer(&probe, &certificates, &err);
    buf_done(&certificates);
    return error_exit_status(rc);
}
