/*
 * What a hosted CA sends back: PEM, DER, PKCS#7, tables and archives, as a station reads them, and each
 * certificate that is found in them judged. Every octet is read once, what cannot be read is told with
 * words, and a certificate of nobody is never good.
 */
#include "fuzz.h"

#include "pki/authority.h"
#include "pki/hosted.h"
#include "station/profile/profile.h"
#include "station/vault/hosted/answers.h"

#include <string.h>

#define NOW INT64_C(1800000000)

struct found {
    uint64_t certificates, problems;
    uint64_t octets;
};

static struct cert_profile profile;
static struct ca_chain chain;
static struct public_key key;

/* A CA whose key nobody has any more. */
static void prepare(void)
{
    static const struct authority_name name = {"Nobody", "test", "Nobody"};
    struct error err = ERROR_INIT;
    EVP_PKEY *handle = EVP_EC_gen("P-256");

    FUZZ_ASSERT(handle && profile_find("tls-client", &profile, &err) == 0);
    FUZZ_ASSERT(authority_root(&name, NOW, handle, &chain.certs[0], &err) == 0);
    FUZZ_ASSERT(key_of(handle, &key, &err) == 0);
    chain.count = 1;
    EVP_PKEY_free(handle);
}

static int on_certificate(void *context, const char *place, const uint8_t *der, size_t len,
                          struct error *err)
{
    struct hosted_expect expect = {
        .serial = "SN-1",
        .key = &key,
        .profile = &profile,
        .values = {[VALUE_ORGANIZATION] = "a", [VALUE_ENVIRONMENT] = "test"},
        .asked = NOW,
        .now = NOW};
    struct found *f = context;

    FUZZ_ASSERT(*place && strlen(place) < ANSWERS_PLACE_SIZE);
    FUZZ_ASSERT(len > 4 && len <= ANSWERS_CERT_MAX && der[0] == 0x30);
    f->certificates++;
    f->octets += len;
    FUZZ_ASSERT(hosted_check(der, len, &chain, &expect, err) != 0 && err->text[0]);
    return 0;
}

static int on_problem(void *context, const char *place, const char *text, struct error *err)
{
    struct found *f = context;

    (void)err;
    FUZZ_ASSERT(*place && *text);
    f->problems++;
    return 0;
}

static struct found read_all(const uint8_t *data, size_t size)
{
    struct found f = {.octets = 0};
    const struct answers_sink sink = {on_certificate, on_problem, &f};
    struct error err = ERROR_INIT;
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");

    FUZZ_ASSERT(in && answers_read_stream(in, "fuzz", &sink, &err) == 0);
    fclose(in);
    return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct found first, again;

    if (chain.count == 0)
        prepare();
    if (size == 0)
        return 0;
    first = read_all(data, size);
    again = read_all(data, size);
    FUZZ_ASSERT(first.certificates + first.problems > 0);
    FUZZ_ASSERT(first.octets <= size && memcmp(&first, &again, sizeof first) == 0);
    return 0;
}
