/* imprint-manifest import: parts that their maker provisioned join the whitelist. */
#include "manifests/state_program.h"

#include "base/file.h"
#include "base/plural.h"
#include "manifests/trust/orders.h"
#include "manifests/trust/vendors.h"
#include "pki/signed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PINS_MAX (1 << 20)

static int read_pins(const char *path, STACK_OF(X509) * *pins, struct error *err)
{
    struct buf pem;
    int rc;

    buf_init(&pem, PINS_MAX);
    rc = file_read(path, &pem, err);
    if (rc == 0)
        rc = signed_pins_parse(&pem, path, pins, err);
    buf_done(&pem);
    return rc;
}

/* The hash of the one order that --order names. */
static int read_order(const struct program_args *args, uint8_t hash[SHA256_SIZE],
                      struct trust_vendor *v, struct error *err)
{
    struct trust_orders *orders;
    int rc;

    if (args->order_count == 0)
        return 0;
    orders = calloc(1, sizeof *orders);
    rc = orders ? trust_orders_read(args->orders[args->order_count - 1], orders, err)
                : error_set(err, ERR_INTERNAL, "out of memory");
    if (rc == 0) {
        memcpy(hash, orders->at[0].hash, SHA256_SIZE);
        v->order = hash;
    }
    free(orders);
    return rc;
}

static int import_files(const struct program_args *args, const struct trust_vendor *v,
                        struct trust_imported *out, struct error *err)
{
    struct trust *t = NULL;
    int rc = program_open_state(args, TRUST_CREATE, &t, err);

    if (rc == 0)
        rc = trust_import(t, v, args->operand, (size_t)args->operands, out, err);
    trust_close(t);
    return rc;
}

/* The records appear whole, and only if the state took them. */
static int import_with_records(const struct program_args *args, struct trust_vendor *v,
                               struct trust_imported *out, struct error *err)
{
    const char *path = args->option[OPT_OUTPUT];
    char temporary[PATH_MAX];
    int rc;

    if (!path)
        return import_files(args, v, out, err);
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return error_set(err, ERR_INPUT, "'%s' is too long", path);
    v->records = fopen(temporary, "we");
    if (!v->records)
        return error_set_errno(err, errno, "cannot write '%s'", temporary);
    rc = import_files(args, v, out, err);
    if (rc)
        fclose(v->records);
    else
        rc = file_close(v->records, temporary, err);
    if (rc == 0 && rename(temporary, path))
        rc = error_set_errno(err, errno, "cannot rename '%s'", temporary);
    if (rc)
        unlink(temporary);
    return rc;
}

static int report(const struct program_args *args, const struct trust_imported *out,
                  struct error *err)
{
    if (program_json(args))
        return program_print_json(json_pack("{s:I, s:I, s:s}", "devices", (json_int_t)out->devices,
                                            "without_key", (json_int_t)out->without_key, "origin",
                                            out->origin),
                                  err);
    printf("imported: %" PRIu64 " device%s into log '%s'", out->devices, PLURAL(out->devices),
           out->origin);
    if (out->without_key)
        printf(", %" PRIu64 " of them without a key", out->without_key);
    putchar('\n');
    return 0;
}

int program_import(const struct program_args *args, struct error *err)
{
    struct trust_vendor v = {.format = args->option[OPT_FORMAT],
                             .product = args->option[OPT_PRODUCT]};
    struct trust_imported out;
    uint8_t order[SHA256_SIZE];
    int rc = read_pins(args->option[OPT_VENDOR], &v.pins, err);

    if (rc == 0)
        rc = read_order(args, order, &v, err);
    if (rc == 0)
        rc = import_with_records(args, &v, &out, err);
    signed_pins_free(v.pins);
    return rc ? rc : report(args, &out, err);
}
