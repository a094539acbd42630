/*
 * What an importer reads beside manifests' own JSON: byte 0 chooses rotations, CMS signatures, closing
 * statements, orders and compressed files. Nothing signed has two forms, a signature of nobody is never
 * good, and no more comes out of a compressed file than was listed.
 */
#include "fuzz.h"

#include "base/file.h"
#include "manifests/closing.h"
#include "manifests/cms.h"
#include "manifests/rotation.h"
#include "manifests/stream.h"
#include "manifests/trust/orders.h"

#include <limits.h>
#include <openssl/ec.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITTEN_MAX (1024 * 1024)
#define LISTED      100000
#define NAME        "devices-00000.jsonl"

static struct error err;
static char dir[] = "/tmp/fuzz_import_XXXXXX";

static const char *keep(const char *name, const uint8_t *p, size_t len)
{
    static char path[PATH_MAX];
    FILE *out;

    if (strstr(dir, "XXXXXX"))
        FUZZ_ASSERT(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/%s", dir, name);
    out = fopen(path, "w");
    FUZZ_ASSERT(out && fwrite(p, 1, len, out) == len && fclose(out) == 0);
    return path;
}

static void drop(const char *path)
{
    (void)unlink(path);
    (void)rmdir(dir);
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
}

static void fuzz_rotation(const uint8_t *p, size_t len)
{
    struct rotation_scope scope = {"factory.example/wl/line1", "development", "line1"};
    struct rotation r;
    struct record record;
    struct buf again;

    if (record_parse(p, len, &record, &err))
        return;
    buf_init(&again, WRITTEN_MAX);
    if (record.t == RECORD_ROTATE && rotation_read(&record, &r, &err) == 0) {
        FUZZ_ASSERT(rotation_write(&r, record.n, &again, &err) == 0);
        FUZZ_ASSERT(again.len == len && memcmp(again.data, p, len) == 0);
        if (rotation_verify(&r, &scope, r.leaf, &err) == 0)
            FUZZ_ASSERT(memcmp(r.old, r.new, sizeof r.old) != 0);
    }
    record_done(&record);
    buf_done(&again);
}

/* A root whose key nobody has any more. */
static X509 *make_root(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *root = X509_new();

    FUZZ_ASSERT(key && root && X509_set_pubkey(root, key));
    FUZZ_ASSERT(X509_gmtime_adj(X509_getm_notBefore(root), 0) &&
                X509_gmtime_adj(X509_getm_notAfter(root), 86400));
    FUZZ_ASSERT(X509_sign(root, key, EVP_sha256()) > 0);
    EVP_PKEY_free(key);
    return root;
}

static void fuzz_cms(const uint8_t *p, size_t len)
{
    static X509 *root;
    struct cms_signer who;

    if (!root)
        root = make_root();
    FUZZ_ASSERT(cms_verify(p, len, "{}\n", 3, root, 0, &who, &err) != 0);
}

static void fuzz_closing(const uint8_t *p, size_t len)
{
    struct closing c;
    struct buf again;

    if (closing_parse(p, len, &c, &err))
        return;
    buf_init(&again, WRITTEN_MAX);
    FUZZ_ASSERT(closing_write(&c, &again, &err) == 0);
    FUZZ_ASSERT(again.len == len && memcmp(again.data, p, len) == 0);
    buf_done(&again);
    closing_done(&c);
}

static void fuzz_orders(const uint8_t *p, size_t len)
{
    struct trust_orders *orders = calloc(1, sizeof *orders);
    const char *path = keep("order.json", p, len);

    if (trust_orders_read(path, orders, &err) == 0)
        (void)!trust_orders_check(orders, &err);
    drop(path);
    free(orders);
}

static void fuzz_packed(const uint8_t *p, size_t len)
{
    struct manifest_file file = {.name = NAME, .bytes = LISTED};
    struct statement s = {.files = &file, .file_count = 1};
    const char *path = keep(NAME STREAM_SUFFIX, p, len);
    struct stream *in;
    uint8_t block[4096];
    size_t total = 0, got = 1;

    if (stream_open_compressed(dir, &s, NAME, &in, &err) == 0) {
        while (got > 0 && stream_read(in, block, sizeof block, &got, &err) == 0)
            total += got;
        FUZZ_ASSERT(total <= LISTED + sizeof block);
        stream_close(in);
    }
    drop(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(const uint8_t *, size_t) = {
        ['c'] = fuzz_cms,      ['l'] = fuzz_closing, ['o'] = fuzz_orders,
        ['r'] = fuzz_rotation, ['z'] = fuzz_packed,
    };

    err = (struct error)ERROR_INIT;
    if (size > 0 && data[0] < sizeof targets / sizeof *targets && targets[data[0]])
        targets[data[0]](data + 1, size - 1);
    return 0;
}
