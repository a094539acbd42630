/* Attestation chains as the checker reads them: DER certificates one after the other. Nobody has the key
 * of the one root, so none is good. */
#include "fuzz.h"

#include "station/checker/chain.h"

#include <openssl/ec.h>

static STACK_OF(X509) * make_roots(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *root = X509_new();
    STACK_OF(X509) *roots = sk_X509_new_null();

    FUZZ_ASSERT(key && root && roots && X509_set_pubkey(root, key));
    FUZZ_ASSERT(X509_gmtime_adj(X509_getm_notBefore(root), 0) &&
                X509_gmtime_adj(X509_getm_notAfter(root), 86400));
    FUZZ_ASSERT(X509_sign(root, key, EVP_sha256()) > 0 && sk_X509_push(roots, root));
    EVP_PKEY_free(key);
    return roots;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static STACK_OF(X509) * roots;
    struct wire_check answer;

    if (!roots)
        roots = make_roots();
    chain_check(roots, data, size, 1795000000, &answer);
    FUZZ_ASSERT(answer.verdict != WIRE_CHECK_GOOD);
    return 0;
}
