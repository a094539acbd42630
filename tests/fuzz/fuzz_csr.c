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
    uint8_t point[EC_POINT_SIZE];
    struct error err = ERROR_INIT;

    FUZZ_ASSERT(req && key && p == data + size);
    FUZZ_ASSERT(X509_REQ_verify(req, key) == 1);
    FUZZ_ASSERT(ec_point(key, point, &err) == 0);
    FUZZ_ASSERT(memcmp(point, csr->point, sizeof point) == 0);
    EVP_PKEY_free(key);
    X509_REQ_free(req);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    struct csr csr;
    int rc = csr_read(data, size, &csr, &err);

    FUZZ_ASSERT((rc == 0) == (err.code == 0));
    FUZZ_ASSERT(rc == 0 || rc == ERR_PROTOCOL || rc == ERR_REFUSED || rc == ERR_SIGNATURE);
    if (rc)
        return 0;
    FUZZ_ASSERT(csr.subject > data && csr.subject + csr.subject_len < data + size);
    FUZZ_ASSERT(csr_check_subject(&csr, csr.subject, csr.subject_len, &err) == 0);
    compare(&csr, data, size);
    return 0;
}
