#include "manifests/closing.h"

#include "base/clock.h"
#include "base/codec.h"
#include "manifests/canon.h"
#include "manifests/folder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE_MAX (1 << 20)

/* ---- writing ---- */

static int check_totals(const struct manifest_totals *t, struct error *err)
{
    uint64_t sum = t->good + t->replaced + t->revoked + t->scrapped + t->burned;

    if (t->unresolved || t->unused)
        return error_set(err, ERR_INCOMPLETE,
                         "an order cannot be closed with %" PRIu64 " credentials unresolved and "
                         "%" PRIu64 " unused",
                         t->unresolved, t->unused);
    if (t->issued != sum)
        return error_set(err, ERR_INCOMPLETE,
                         "the totals do not add up: %" PRIu64 " certificates were issued and "
                         "%" PRIu64 " are accounted for",
                         t->issued, sum);
    return 0;
}

static void put_totals(struct jcs *j, const struct manifest_totals *t)
{
    jcs_object(j, "totals");
    manifest_put_totals(j, t);
    jcs_end(j);
}

static void put_destroyed(struct jcs *j, const struct closing *c)
{
    jcs_object(j, "destroyed");
    jcs_int(j, "keys", (int64_t)c->keys);
    if (*c->storage)
        jcs_str(j, "storage", c->storage);
    jcs_end(j);
}

static void put_log(struct jcs *j, const struct closing *c)
{
    jcs_object(j, "log");
    jcs_int(j, "manifest", (int64_t)c->manifest);
    jcs_str(j, "origin", c->origin);
    jcs_base64(j, "root", c->root.bytes, sizeof c->root.bytes);
    jcs_int(j, "size", (int64_t)c->size);
    jcs_end(j);
}

static void put_bytes(const struct closing *c, struct buf *out)
{
    char closed[CLOCK_TEXT_SIZE];
    struct jcs j;

    clock_text(c->closed, closed);
    jcs_init(&j, out);
    jcs_object(&j, NULL);
    manifest_put_amendments(&j, &c->totals);
    jcs_str(&j, "by", c->by);
    jcs_str(&j, "closed", closed);
    jcs_str(&j, "customer", c->customer);
    put_destroyed(&j, c);
    jcs_str(&j, "environment", c->environment);
    jcs_str(&j, "format", CLOSING_FORMAT);
    jcs_str(&j, "id", c->id);
    put_log(&j, c);
    jcs_hex(&j, "order", c->totals.order, sizeof c->totals.order);
    jcs_str(&j, "product", c->product);
    jcs_str(&j, "reason", c->reason);
    jcs_str(&j, "station", c->station);
    put_totals(&j, &c->totals);
    jcs_end(&j);
    buf_put_u8(out, '\n');
}

int closing_write(const struct closing *c, struct buf *out, struct error *err)
{
    int rc = check_totals(&c->totals, err);

    if (rc)
        return rc;
    put_bytes(c, out);
    if (buf_failed(out))
        return error_set(err, ERR_INPUT,
                         "the closing statement has a text that is not printable ASCII, or is too "
                         "long");
    return 0;
}

/* ---- reading ---- */

static void take_amendments(struct canon *c, struct manifest_totals *t)
{
    json_t *list = canon_array(c, "amendments");
    size_t count = json_array_size(list);

    t->amendments = calloc(count + 1, SHA256_SIZE);
    if (c->rc == 0 && !t->amendments)
        canon_fail(c, "out of memory for %zu amendments", count);
    for (; c->rc == 0 && t->amendment_count < count; t->amendment_count++) {
        const char *hash = json_string_value(json_array_get(list, t->amendment_count));

        if (!hash || hex_decode(hash, t->amendments[t->amendment_count], SHA256_SIZE))
            canon_fail(c, "amendments has a member that is not the hash of a version");
    }
    if (c->rc == 0)
        json_object_del(c->value, "amendments");
}

static void take_destroyed(struct canon *c, struct closing *out)
{
    struct canon in;

    canon_enter(c, "destroyed", &in);
    canon_u64(&in, "keys", &out->keys);
    if (canon_has(&in, "storage"))
        canon_text(&in, "storage", out->storage, sizeof out->storage);
    in.rc = canon_end(&in);
    canon_leave(c, &in);
}

static void take_log(struct canon *c, struct closing *out)
{
    struct canon in;

    canon_enter(c, "log", &in);
    canon_u64(&in, "manifest", &out->manifest);
    canon_text(&in, "origin", out->origin, sizeof out->origin);
    canon_base64(&in, "root", out->root.bytes, sizeof out->root.bytes);
    canon_u64(&in, "size", &out->size);
    in.rc = canon_end(&in);
    canon_leave(c, &in);
}

static void take_totals(struct canon *c, struct manifest_totals *t)
{
    struct canon in;

    canon_enter(c, "totals", &in);
#define TAKE_TOTAL(name) canon_u64(&in, #name, &t->name);
    MANIFEST_TOTALS(TAKE_TOTAL)
#undef TAKE_TOTAL
    in.rc = canon_end(&in);
    canon_leave(c, &in);
}

static void take_members(struct canon *c, struct closing *out)
{
    char format[64] = "";

    canon_text(c, "format", format, sizeof format);
    if (c->rc == 0 && strcmp(format, CLOSING_FORMAT))
        canon_fail(c, "the format '%s' is not known: use a newer imprint-manifest", format);
    take_amendments(c, &out->totals);
    canon_text(c, "by", out->by, sizeof out->by);
    canon_time(c, "closed", &out->closed);
    canon_text(c, "customer", out->customer, sizeof out->customer);
    take_destroyed(c, out);
    canon_text(c, "environment", out->environment, sizeof out->environment);
    canon_text(c, "id", out->id, sizeof out->id);
    take_log(c, out);
    canon_hex(c, "order", out->totals.order, sizeof out->totals.order);
    canon_text(c, "product", out->product, sizeof out->product);
    canon_text(c, "reason", out->reason, sizeof out->reason);
    canon_text(c, "station", out->station, sizeof out->station);
    take_totals(c, &out->totals);
}

static int same_bytes(const struct closing *c, const void *bytes, size_t len, struct error *err)
{
    struct buf again;
    int rc;

    buf_init(&again, CLOSING_MAX);
    put_bytes(c, &again);
    rc = canon_same(&again, bytes, len,
                    CLOSING_NAME " is not canonical JSON and one line end: it was edited or "
                                 "reformatted",
                    err);
    buf_done(&again);
    return rc;
}

int closing_parse(const void *bytes, size_t len, struct closing *c, struct error *err)
{
    struct closing made = {.keys = 0};
    struct canon in;
    int rc;

    if (len > CLOSING_MAX)
        return error_set(err, ERR_FORMAT, CLOSING_NAME " is larger than %d bytes", CLOSING_MAX);
    rc = canon_open(&in, bytes, len, CLOSING_NAME, err);
    if (rc == 0) {
        take_members(&in, &made);
        rc = canon_end(&in);
    }
    canon_close(&in);
    if (rc == 0)
        rc = same_bytes(&made, bytes, len, err);
    if (rc == 0)
        rc = check_totals(&made.totals, err);
    if (rc)
        closing_done(&made);
    else
        *c = made;
    return rc;
}

void closing_done(struct closing *c)
{
    free(c->totals.amendments);
    c->totals.amendments = NULL;
}

/* ---- verifying ---- */

/* A file and the signature beside it, both of one folder. */
static int read_signed(const char *dir, const char *name, const char *signature,
                       const struct closing_policy *policy, struct buf *bytes,
                       struct cms_signer *signer, struct error *err)
{
    X509 *root = NULL;
    struct buf pem;
    int rc = cms_read_certificate(policy->root, &root, err);

    buf_init(&pem, SIGNATURE_MAX);
    if (rc == 0)
        rc = folder_read(dir, name, bytes, err);
    if (rc == 0)
        rc = folder_read(dir, signature, &pem, err);
    if (rc == 0)
        rc = cms_verify(pem.data, pem.len, bytes->data, bytes->len, root, policy->at, signer, err);
    buf_done(&pem);
    X509_free(root);
    return rc;
}

static int differs(const char *what, struct error *err)
{
    return error_set(err, ERR_INTEGRITY,
                     "the closing statement and the manifest do not agree: %s; ask the factory",
                     what);
}

/* An order that was never in a manifest has made nothing. */
static bool same_totals(const struct statement *s, const struct manifest_totals *mine)
{
    const struct manifest_totals *t = NULL;

    for (size_t i = 0; i < s->totals_count; i++)
        if (memcmp(s->totals[i].order, mine->order, sizeof mine->order) == 0)
            t = &s->totals[i];
    if (!t)
        return mine->issued == 0;
#define DIFFERS(name)                                                                              \
    if (t->name != mine->name)                                                                     \
        return false;
    MANIFEST_TOTALS(DIFFERS)
#undef DIFFERS
    /* amendments that came after the last record are in no manifest */
    return t->amendment_count <= mine->amendment_count &&
           (t->amendment_count == 0 ||
            memcmp(t->amendments, mine->amendments, t->amendment_count * SHA256_SIZE) == 0);
}

int closing_compare(const struct closing *c, const struct statement *s, struct error *err)
{
    if (strcmp(s->origin, c->origin) || strcmp(s->environment, c->environment) ||
        strcmp(s->station, c->station))
        return differs("they are of other stations, environments or logs", err);
    if (s->seq != c->manifest || s->size != c->size || memcmp(&s->root, &c->root, sizeof c->root))
        return differs("it is another manifest than the one that the statement names", err);
    if (!same_totals(s, &c->totals))
        return differs("their totals of the order differ", err);
    return 0;
}

static int check_manifest(const struct closing *c, const struct closing_policy *policy,
                          struct error *err)
{
    struct statement s = {0};
    struct buf bytes;
    int rc;

    buf_init(&bytes, STATEMENT_MAX);
    rc =
        read_signed(policy->manifest, MANIFEST_NAME, MANIFEST_SIGNATURE, policy, &bytes, NULL, err);
    if (rc == 0)
        rc = statement_parse(bytes.data, bytes.len, &s, err);
    if (rc == 0)
        rc = closing_compare(c, &s, err);
    statement_done(&s);
    buf_done(&bytes);
    return rc;
}

int closing_verify(const char *dir, const struct closing_policy *policy, struct closing *c,
                   struct cms_signer *signer, struct error *err)
{
    struct closing made = {.keys = 0};
    struct buf bytes;
    int rc;

    buf_init(&bytes, CLOSING_MAX);
    rc = read_signed(dir, CLOSING_NAME, CLOSING_SIGNATURE, policy, &bytes, signer, err);
    if (rc == 0)
        rc = closing_parse(bytes.data, bytes.len, &made, err);
    if (rc == 0 && policy->manifest)
        rc = check_manifest(&made, policy, err);
    if (rc)
        closing_done(&made);
    else
        *c = made;
    buf_done(&bytes);
    return rc;
}
