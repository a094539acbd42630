/*
 * Certificate requests of a hostile device. What is taken must be one that OpenSSL takes too, with the
 * same subject and key and a signature that verifies.
 */
#include "fuzz.h"

#include "pki/digest.h"
#include "station/vault/csr.h"

#include <string.h>

static void compare(const struct csr *csr, const uint8_t *data, size_t size)
{
    const uint8_t *p = data;
    X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)size);
    EVP_PKEY *key = req ? X509_REQ_get_pubkey(req) : NULL;
    struct public_key is;
    struct error err = ERROR_INIT;

    FUZZ_ASSERT(req && key && p == data + size);
    FUZZ_ASSERT(X509_REQ_verify(req, key) == 1);
    FUZZ_ASSERT(key_of(key, &is, &err) == 0);
    FUZZ_ASSERT(key_same(&is, &csr->key));
    EVP_PKEY_free(key);
    X509_REQ_free(req);
}

static void read_as(enum key_type type, const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    struct csr csr;
    int rc = csr_read(data, size, type, &csr, &err);

    FUZZ_ASSERT((rc == 0) == (err.code == 0));
    FUZZ_ASSERT(rc == 0 || rc == ERR_PROTOCOL || rc == ERR_REFUSED || rc == ERR_SIGNATURE);
    if (rc)
        return;
    FUZZ_ASSERT(csr.key.type == type);
    FUZZ_ASSERT(csr.subject > data && csr.subject + csr.subject_len < data + size);
    FUZZ_ASSERT(csr_check_subject(&csr, csr.subject, csr.subject_len, &err) == 0);
    compare(&csr, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int type = 0; type < KEY_TYPES; type++)
        read_as((enum key_type)type, data, size);
    return 0;
}
