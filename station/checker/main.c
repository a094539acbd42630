/*
 * imprint-checker: the process that parses what a silicon vendor and a device say of each other. It
 * has no PIN, no device, no file and no network; `imprint run` starts it for an order that asks for
 * attested devices, and it answers one question after the other (station/wire/check.h).
 *
 * usage: imprint-checker
 */
#include "station/checker/chain.h"
#include "station/confine/confine.h"
#include "station/wire/channel.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define CONTROL_FD CHANNEL_LINE_FD /* where it is started with its socket */

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process and reads /proc, which a confined one may not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

/* The vendor roots, one a message, and an empty list's end: a message of one zero byte. */
static STACK_OF(X509) * receive_roots(struct buf *m)
{
    STACK_OF(X509) *roots = sk_X509_new_null();

    while (roots && channel_receive(CONTROL_FD, m, NULL) == 0) {
        const uint8_t *at = m->data;
        X509 *root;

        if (m->len == 1 && m->data[0] == 0)
            return roots;
        root = d2i_X509(NULL, &at, (long)m->len);
        if (!root || at != m->data + m->len || !sk_X509_push(roots, root))
            break;
    }
    return NULL; /* and the process ends */
}

/* Until the vault closes the socket. */
static void answer_all(STACK_OF(X509) * roots, struct buf *m)
{
    while (channel_receive(CONTROL_FD, m, NULL) == 0) {
        struct wire_check answer;

        chain_check(roots, m->data, m->len, time(NULL), &answer);
        buf_reset(m);
        wire_put_check(m, &answer);
        if (channel_send(CONTROL_FD, m, NULL))
            return;
    }
}

/* Loads what OpenSSL loads late while it still can: no file is ever opened again. */
static void warm_up(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    EVP_PKEY_free(EVP_EC_gen("P-256"));
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    STACK_OF(X509) * roots;
    struct buf m;

    message_language();
    (void)argv;
    if (argc != 1) {
        fprintf(stderr, "imprint-checker: 'imprint run' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    signal(SIGINT, SIG_IGN); /* Ctrl-C goes to the whole terminal: what is in flight is finished */
    signal(SIGPIPE, SIG_IGN);
    if (confine_memory(&err) == 0) {
        warm_up();
        (void)!confine_checker(&err);
    }
    if (err.code) {
        error_tell("imprint-checker", &err);
        return error_exit_status(err.code);
    }
    buf_init(&m, WIRE_MAX);
    roots = receive_roots(&m);
    if (roots)
        answer_all(roots, &m);
    return roots ? 0 : error_exit_status(ERR_GONE);
}
