/* Chains of issuing CAs as `imprint ca import` takes them: certificates one after the other, each behind
 * its length (u16), put into PEM here. The key that is looked for is the one of the first. */
#include "fuzz.h"

#include "base/codec.h"
#include "pki/ca_chain.h"
#include "pki/cert.h"

#include <openssl/pem.h>

#define NOW INT64_C(1795000000)

/* Nothing for no bytes: OpenSSL writes no such PEM. */
static void put_pem(struct buf *pem, const uint8_t *der, size_t len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long size;

    FUZZ_ASSERT(bio && (len == 0 || PEM_write_bio(bio, PEM_STRING_X509, "", der, (long)len) > 0));
    size = BIO_get_mem_data(bio, &text);
    buf_put(pem, text, (size_t)size);
    BIO_free(bio);
}

/* The key of the first certificate that OpenSSL can read. */
static EVP_PKEY *first_key(struct reader *r, struct buf *pem)
{
    EVP_PKEY *key = NULL;
    const uint8_t *der;
    size_t len;

    while (reader_lp(r, &der, &len, 8192) == 0) {
        X509 *cert;

        put_pem(pem, der, len);
        if (key || cert_from_der(der, len, &cert, NULL))
            continue;
        key = X509_get_pubkey(cert);
        X509_free(cert);
    }
    return key;
}

/* What is good names CAs, ends some time, and is judged the same again. */
static void use(const struct ca_chain *chain)
{
    const struct ca_chain_expect expect = {"test", NOW};
    char name[CA_NAME_SIZE];
    struct error err = ERROR_INIT;
    int rc = ca_chain_judge(chain, &expect, &err);

    FUZZ_ASSERT(rc == 0 || err.text[0]);
    FUZZ_ASSERT(ca_chain_judge(chain, &expect, NULL) == rc);
    if (rc)
        return;
    ca_name(chain->certs[0], name);
    FUZZ_ASSERT(name[0] && ca_chain_end(chain) > NOW);
    FUZZ_ASSERT(ca_chain_check_life(chain, NOW, NOW + 1, &err) == 0);
    (void)!ca_chain_check_names(chain, chain->certs[0], &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ca_chain chain = {.count = 0};
    struct error err = ERROR_INIT;
    EVP_PKEY *key;
    struct reader r;
    struct buf pem;

    reader_init(&r, data, size);
    buf_init(&pem, CA_CHAIN_FILE_MAX);
    key = first_key(&r, &pem);
    if (key && !buf_failed(&pem) && ca_chain_parse(&pem, "fuzz", key, &chain, &err) == 0)
        use(&chain);
    ca_chain_done(&chain);
    EVP_PKEY_free(key);
    buf_done(&pem);
    return 0;
}
