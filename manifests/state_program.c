#include "manifests/state_program.h"

#include "base/file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define KEY_FILE_MAX (1 << 20)

int program_open_state(const struct program_args *args, enum trust_mode mode, struct trust **t,
                       struct error *err)
{
    return trust_open(args->option[OPT_STATE], mode, t, err);
}

int program_read_input(const char *path, struct buf *out, struct error *err)
{
    uint8_t block[65536];
    size_t n;

    if (strcmp(path, "-"))
        return file_read(path, out, err);
    while ((n = fread(block, 1, sizeof block, stdin)) > 0)
        buf_put(out, block, n);
    if (ferror(stdin))
        return error_set(err, ERR_IO, "cannot read standard input");
    if (buf_failed(out))
        return error_set(err, ERR_FORMAT, "standard input is larger than %zu bytes", out->limit);
    return 0;
}

int program_print_list(const char *name, json_t *list, int rc, struct error *err)
{
    json_t *result = json_pack("{s:o}", name, list);
    struct error ignored;

    if (rc == 0)
        return program_print_json(result, err);
    json_object_set_new(result, "error", program_json_error(rc, err));
    (void)!program_print_json(result, &ignored);
    return rc;
}

int program_read_key(const char *path, EVP_PKEY **key, struct error *err)
{
    struct buf pem;
    BIO *in;
    int rc;

    buf_init(&pem, KEY_FILE_MAX);
    rc = file_read(path, &pem, err);
    in = rc ? NULL : BIO_new_mem_buf(pem.data, (int)pem.len);
    *key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
    if (rc == 0 && !*key)
        rc = error_set(err, ERR_INPUT, "'%s' is not a private key in PEM", path);
    BIO_free(in);
    buf_wipe(&pem);
    ERR_clear_error();
    return rc;
}
