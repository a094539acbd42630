/*
 * whitelist_server: a TLS server that lets in devices of an accepted whitelist, and nobody else.
 *
 * usage: whitelist_server STATE DEVICE_ROOT CERT KEY
 *
 * An example to copy from. It listens on a free port of 127.0.0.1, prints "port N", and for each
 * connection one line: who was let in, or who was turned away and why. All that matters is
 * on_certificate(): TLS verifies the chain and that the peer holds the key, and then the whitelist has
 * the last word. It speaks TLS 1.3 only, and DEVICE_ROOT alone is what devices are believed by.
 */
#include "manifests/trust/whitelist_check.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE 10 /* seconds that a peer may be silent: this server serves one at a time */

static struct whitelist *whitelist;
static char verdict[1024]; /* on the connection at hand */
static bool turned_away;   /* by on_certificate() */

/* Tells the peer by its alert what is wrong; the log says it in words. */
static int alert_for(enum whitelist_answer answer)
{
    switch (answer) {
    case WHITELIST_HELD:
    case WHITELIST_REVOKED:
    case WHITELIST_REPLACED:
        return X509_V_ERR_CERT_REVOKED;
    case WHITELIST_UNKNOWN:
        return X509_V_ERR_CERT_REJECTED;
    default:
        return X509_V_ERR_UNSPECIFIED;
    }
}

__attribute__((format(printf, 1, 2))) static void decide(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(verdict, sizeof verdict, format, args);
    va_end(args);
}

/* The log has it before the peer hears of it. */
static int turn_away(int why, X509_STORE_CTX *ctx)
{
    turned_away = true;
    X509_STORE_CTX_set_error(ctx, why);
    printf("%s\n", verdict);
    return 0;
}

/* Called by OpenSSL for each certificate of the chain; depth 0 is the device's own. */
static int on_certificate(int chain_is_good, X509_STORE_CTX *ctx)
{
    enum whitelist_answer answer = WHITELIST_FAILED;
    unsigned char *der = NULL;
    int len;

    if (!chain_is_good) {
        int why = X509_STORE_CTX_get_error(ctx);

        decide("untrusted: %s", X509_verify_cert_error_string(why));
        return turn_away(why, ctx);
    }
    if (X509_STORE_CTX_get_error_depth(ctx) > 0)
        return 1;
    len = i2d_X509(X509_STORE_CTX_get0_cert(ctx), &der);
    if (len > 0)
        answer = whitelist_check(whitelist, der, (size_t)len);
    OPENSSL_free(der);
    decide("%s: %s", whitelist_answer_name(answer), whitelist_why(whitelist));
    return answer == WHITELIST_OK ? 1 : turn_away(alert_for(answer), ctx);
}

static SSL_CTX *make_context(char **argv)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(ctx, argv[3]) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, argv[4], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(ctx, argv[2], NULL) != 1) {
        fprintf(stderr, "whitelist_server: cannot use '%s', '%s' or '%s'\n", argv[2], argv[3],
                argv[4]);
        exit(1);
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_certificate);
    /* A resumed session would skip the verification, and with it the whitelist. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    return ctx;
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || listen(fd, 8) ||
        getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("whitelist_server: cannot listen");
        exit(1);
    }
    printf("port %d\n", ntohs(address.sin_port));
    return fd;
}

/* What the peer still sends is thrown away: a socket closed on it would take back the last word. */
static void hang_up(int fd)
{
    char unheard[256];

    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 8 && recv(fd, unheard, sizeof unheard, 0) > 0; i++)
        ;
    close(fd);
}

/* Nothing of the peer is heard, not even who it is, before the whitelist answered OK. */
static void serve(SSL_CTX *ctx, int fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    SSL *ssl = SSL_new(ctx);
    const char *reason;

    turned_away = false;
    ERR_clear_error();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (ssl && SSL_set_fd(ssl, fd) && SSL_accept(ssl) == 1) {
        printf("%s\n", verdict);
        SSL_write(ssl, "welcome\n", 8);
        SSL_shutdown(ssl);
    } else if (!turned_away) { /* also whoever shows a good certificate and has not its key */
        reason = ERR_reason_error_string(ERR_peek_error());
        printf("no handshake: %s\n", reason ? reason : "the peer went away or was silent");
    }
    SSL_free(ssl);
    hang_up(fd);
}

int main(int argc, char **argv)
{
    SSL_CTX *ctx;
    char why[512];
    int fd, peer;

    if (argc != 5) {
        fprintf(stderr, "usage: whitelist_server STATE DEVICE_ROOT CERT KEY\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN); /* a peer that went away ends its connection, not the server */
    whitelist = whitelist_open(argv[1], why, sizeof why);
    if (!whitelist) {
        fprintf(stderr, "whitelist_server: %s\n", why);
        return 1;
    }
    ctx = make_context(argv);
    fd = listen_somewhere();
    while ((peer = accept(fd, NULL, NULL)) >= 0)
        serve(ctx, peer);
    SSL_CTX_free(ctx);
    whitelist_close(whitelist);
    return 1;
}
