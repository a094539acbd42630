#include "manifests/receipt_command.h"

#include "base/file.h"
#include "manifests/platforms/signer_file.h"
#include "manifests/state_program.h"
#include "pki/signed.h"

#include <inttypes.h>
#include <string.h>

int program_check_receipt(const struct program_args *args, struct error *err)
{
    bool receipt = args->option[OPT_RECEIPT] != NULL;

    if (receipt != (args->option[OPT_KEY] != NULL) || receipt != (args->option[OPT_CERT] != NULL))
        return error_set(
            err, ERR_USAGE,
            "--receipt needs --key and --cert, which sign it, and they need --receipt");
    return 0;
}

static int check_closing(const struct program_args *args, struct trust *t, int64_t at,
                         const struct trust_orders *orders, struct receipt *r, struct error *err)
{
    struct closing_policy policy = {.root = args->option[OPT_ROOT], .at = at};
    const char *dir = args->option[OPT_CLOSING];
    struct cms_signer signer;
    struct closing c;
    struct buf bytes;
    int rc = closing_verify(dir, &policy, &c, &signer, err);

    if (rc)
        return error_prefix(err, "'%s'", dir);
    buf_init(&bytes, CLOSING_MAX);
    if (strcmp(c.origin, r->origin))
        rc = error_set(err, ERR_REFUSED,
                       "the closing statement is of log '%s', and the last manifest of '%s': name "
                       "one of the same station",
                       c.origin, r->origin);
    if (rc == 0)
        rc = trust_closing(t, &c, signer.key, orders, err);
    if (rc == 0)
        rc = closing_write(&c, &bytes, err);
    if (rc == 0) {
        sha256(bytes.data, bytes.len, r->closings[r->closing_count++]);
        if (!program_json(args))
            printf("closed: order '%s' at station '%s', %" PRIu64 " good of %" PRIu64 " issued\n",
                   c.id, c.station, c.totals.good, c.totals.issued);
    }
    buf_done(&bytes);
    closing_done(&c);
    return rc ? error_prefix(err, "'%s'", dir) : 0;
}

static int sign(const struct program_args *args, const struct buf *content, struct buf *der,
                struct error *err)
{
    struct signer signer = {.key = NULL};
    int rc = program_read_key(args->option[OPT_KEY], &signer.key, err);

    if (rc == 0)
        rc = signer_file_read(args->option[OPT_CERT], &signer, err);
    if (rc == 0)
        rc = signed_make(content->data, content->len, signer.cert, signer.key, der, err);
    signer_file_done(&signer);
    EVP_PKEY_free(signer.key);
    return rc;
}

static int write_receipt(const struct program_args *args, const struct receipt *r,
                         struct error *err)
{
    const char *path = args->option[OPT_RECEIPT];
    struct buf content, der;
    int rc;

    buf_init(&content, RECEIPT_MAX);
    buf_init(&der, RECEIPT_MAX);
    rc = receipt_write(r, &content, err);
    if (rc == 0)
        rc = sign(args, &content, &der, err);
    if (rc == 0)
        rc = file_write(path, der.data, der.len, 0644, err);
    if (rc == 0 && !program_json(args))
        printf("receipt: manifest %" PRIu64 " of '%s', for the station: %s\n", r->seq, r->origin,
               path);
    buf_done(&content);
    buf_done(&der);
    return rc;
}

int program_answer(const struct program_args *args, struct trust *t, const char *origin, int64_t at,
                   const struct trust_orders *orders, json_t *out, struct error *err)
{
    struct receipt r;
    int rc = trust_receipt(t, origin, &r, err);

    if (rc == 0 && args->option[OPT_CLOSING])
        rc = check_closing(args, t, at, orders, &r, err);
    if (rc == 0 && args->option[OPT_RECEIPT])
        rc = write_receipt(args, &r, err);
    if (rc == 0 && out)
        json_object_update_new(out, json_pack("{s:s?, s:I}", "receipt", args->option[OPT_RECEIPT],
                                              "closings", (json_int_t)r.closing_count));
    return rc;
}
