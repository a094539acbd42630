#include "station/checker/chain.h"

#include "pki/ec.h"

#include <openssl/x509v3.h>
#include <string.h>

#define SECURITY_LEVEL 2

/* The certificates of a chain; NULL when it is anything else. */
static STACK_OF(X509) * parse(const uint8_t *bytes, size_t len)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    const uint8_t *at = bytes, *end = bytes + len;

    while (certs && at < end) {
        X509 *cert = sk_X509_num(certs) == CHAIN_CERTS_MAX ? NULL : d2i_X509(NULL, &at, end - at);

        if (!cert || !sk_X509_push(certs, cert)) {
            X509_free(cert);
            sk_X509_pop_free(certs, X509_free);
            return NULL;
        }
    }
    if (certs && sk_X509_num(certs) == 0) {
        sk_X509_free(certs);
        return NULL;
    }
    return certs;
}

/* The path that was found must be the chain that was given, perhaps with the root behind it. */
static bool is_the_path(X509_STORE_CTX *ctx, STACK_OF(X509) * certs)
{
    STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(ctx);
    int given = sk_X509_num(certs), found = sk_X509_num(path);

    if (found != given && found != given + 1)
        return false;
    for (int i = 0; i < given; i++)
        if (X509_cmp(sk_X509_value(path, i), sk_X509_value(certs, i)))
            return false;
    return true;
}

/* RFC 5280 section 6, to one of the roots. Returns a verdict; *reason is an X509_V_ERR_*. */
static enum wire_check_verdict validate(STACK_OF(X509) * roots, STACK_OF(X509) * certs, time_t now,
                                        uint16_t *reason)
{
    enum wire_check_verdict verdict = WIRE_CHECK_UNTRUSTED;
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    if (ctx && X509_STORE_CTX_init(ctx, NULL, sk_X509_value(certs, 0), certs)) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

        X509_STORE_CTX_set0_trusted_stack(ctx, roots);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
        X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
        X509_VERIFY_PARAM_set_depth(param, CHAIN_CERTS_MAX);
        X509_VERIFY_PARAM_set_time(param, now);
        if (X509_verify_cert(ctx) == 1)
            verdict = is_the_path(ctx, certs) ? WIRE_CHECK_GOOD : WIRE_CHECK_MALFORMED;
        else
            *reason = (uint16_t)X509_STORE_CTX_get_error(ctx);
    }
    X509_STORE_CTX_free(ctx);
    return verdict;
}

/* The device's own certificate: no CA, a key that may sign, and of a kind that devices sign with. */
static enum wire_check_verdict take_key(X509 *leaf, struct wire_check *answer)
{
    if (X509_check_ca(leaf) != 0 || !(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) ||
        ec_point(X509_get0_pubkey(leaf), answer->point, NULL))
        return WIRE_CHECK_UNFIT;
    answer->algorithm = IMPRINT_ALG_P256;
    return WIRE_CHECK_GOOD;
}

void chain_check(STACK_OF(X509) * roots, const void *bytes, size_t len, time_t now,
                 struct wire_check *answer)
{
    STACK_OF(X509) *certs = parse(bytes, len);

    memset(answer, 0, sizeof *answer);
    answer->verdict = WIRE_CHECK_MALFORMED;
    if (!certs)
        return;
    answer->verdict = validate(roots, certs, now, &answer->reason);
    if (answer->verdict == WIRE_CHECK_GOOD)
        answer->verdict = take_key(sk_X509_value(certs, 0), answer);
    sk_X509_pop_free(certs, X509_free);
}
