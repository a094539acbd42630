/*
 * pump: an infusion pump that tells its server what it does, with the identity that the station gave it.
 *
 * usage: pump FOLDER HOST:PORT
 *
 * An example to copy from. FOLDER is what `imprint-device export` writes: the pump's key, its
 * certificate with the issuers, and the trust anchors, which are all that it believes a server by. It
 * opens TLS 1.3, where both sides show a certificate, sends one line, prints the answer and ends: with
 * 0 when it was let in, 1 when it cannot use its folder or reach the server, 2 when it was called in
 * a wrong way, 3 when the server is not one of its owner's, 4 when the server turned it away.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANNOT = 1, USAGE, WRONG_SERVER, TURNED_AWAY };

static int fail(int status, const char *what, const char *which)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    fprintf(stderr, "pump: %s '%s': %s\n", what, which,
            reason ? reason : "the connection was closed");
    return status;
}

static const char *in(const char *folder, const char *name)
{
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* The identity, and whom it trusts: nothing of the machine it runs on. NULL on failure. */
static SSL_CTX *make_context(const char *folder)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
        SSL_CTX_use_certificate_chain_file(ctx, in(folder, "certificates.pem")) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, in(folder, "key.pem"), SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(ctx) == 1 &&
        SSL_CTX_load_verify_locations(ctx, in(folder, "trust-anchors.pem"), NULL) == 1) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

/* The certificate must name the host, not only be signed by the owner. */
static BIO *prepare(SSL_CTX *ctx, const char *address)
{
    BIO *server = BIO_new_ssl_connect(ctx);
    SSL *ssl = NULL;
    const char *host;

    if (!server || BIO_get_ssl(server, &ssl) != 1 || BIO_set_conn_hostname(server, address) != 1 ||
        !(host = BIO_get_conn_hostname(server)) || SSL_set1_host(ssl, host) != 1 ||
        SSL_set_tlsext_host_name(ssl, host) != 1) {
        BIO_free_all(server);
        return NULL;
    }
    SSL_set_mode(ssl, SSL_MODE_AUTO_RETRY);
    return server;
}

/*
 * In TLS 1.3 a client is done before its own certificate was judged: only the first answer shows
 * that it was let in.
 */
static int talk(SSL_CTX *ctx, const char *address)
{
    static const char vitals[] = "2.5 ml/h, battery 80 %\n";
    char answer[128] = "";
    BIO *server = prepare(ctx, address);
    SSL *ssl = NULL;
    int status = 0;

    if (!server)
        return fail(CANNOT, "cannot prepare a connection to", address);
    BIO_get_ssl(server, &ssl);
    if (BIO_do_connect(server) != 1) {
        long verdict = SSL_get_verify_result(ssl);

        if (verdict == X509_V_OK)
            status = fail(CANNOT, "cannot connect to", address);
        else {
            fprintf(stderr, "pump: '%s' is not a server of my owner: %s\n", address,
                    X509_verify_cert_error_string(verdict));
            status = WRONG_SERVER;
        }
    } else if (BIO_write(server, vitals, sizeof vitals - 1) <= 0 ||
               BIO_read(server, answer, sizeof answer - 1) <= 0)
        status = fail(TURNED_AWAY, "turned away by", address);
    else
        printf("%s: %s", SSL_get_version(ssl), answer);
    BIO_free_all(server);
    return status;
}

int main(int argc, char **argv)
{
    SSL_CTX *ctx;
    int status;

    if (argc != 3 || !strchr(argv[2], ':')) {
        fprintf(stderr, "usage: pump FOLDER HOST:PORT\n");
        return USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    ctx = make_context(argv[1]);
    if (!ctx)
        return fail(CANNOT, "cannot use the identity in", argv[1]);
    status = talk(ctx, argv[2]);
    SSL_CTX_free(ctx);
    return status;
}
