/*
 * whitelist_server: a TLS server that lets in devices of an accepted whitelist, and nobody else.
 *
 * usage: whitelist_server STATE DEVICE_ROOT CERT KEY
 *
 * An example to copy from. It listens on a free port of 127.0.0.1, prints "port N", and for each
 * connection one line with what it answered. All that matters is on_certificate(): TLS verifies the
 * chain and that the peer holds the key, and then the whitelist has the last word.
 */
#include "manifests/trust/whitelist_check.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct whitelist *whitelist;

/* Called by OpenSSL for each certificate of the chain; depth 0 is the device's own. */
static int on_certificate(int chain_is_good, X509_STORE_CTX *ctx)
{
    enum whitelist_answer answer = WHITELIST_FAILED;
    unsigned char *der = NULL;
    int len;

    if (!chain_is_good || X509_STORE_CTX_get_error_depth(ctx) > 0)
        return chain_is_good;
    len = i2d_X509(X509_STORE_CTX_get0_cert(ctx), &der);
    if (len > 0)
        answer = whitelist_check(whitelist, der, (size_t)len);
    OPENSSL_free(der);
    printf("%s: %s\n", whitelist_answer_name(answer), whitelist_why(whitelist));
    if (answer == WHITELIST_OK)
        return 1;
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_REVOKED);
    return 0;
}

static SSL_CTX *make_context(char **argv)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_use_certificate_file(ctx, argv[3], SSL_FILETYPE_PEM) != 1 ||
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

static void serve(SSL_CTX *ctx, int fd)
{
    SSL *ssl = SSL_new(ctx);

    if (ssl && SSL_set_fd(ssl, fd) && SSL_accept(ssl) == 1) {
        SSL_write(ssl, "welcome\n", 8);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
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
