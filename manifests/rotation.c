#include "manifests/rotation.h"

#include "base/jcs.h"
#include "manifests/canon.h"

#include <inttypes.h>
#include <string.h>

#define LABEL       "imprint rotate v1" /* with its NUL */
#define MESSAGE_MAX 2048
#define EXT_MAX     4096

static const char *const key_names[ROTATION_KEYS] = {NULL, "log-key", "manifest-key"};

const char *rotation_key_name(enum rotation_key key)
{
    return key_names[key];
}

static void put_text(struct buf *out, const char *text)
{
    buf_put_lp(out, text, strlen(text));
}

void rotation_message(const struct rotation *r, const struct rotation_scope *scope, struct buf *out)
{
    buf_put(out, LABEL, sizeof LABEL);
    put_text(out, key_names[r->key]);
    put_text(out, scope->origin);
    put_text(out, scope->environment);
    put_text(out, scope->station);
    buf_put_u64(out, r->leaf);
    buf_put_u64(out, (uint64_t)r->ts);
    buf_put_lp(out, r->old, sizeof r->old);
    buf_put_lp(out, r->new, sizeof r->new);
    put_text(out, r->by);
    put_text(out, r->reason);
}

int rotation_write(const struct rotation *r, const uint8_t n[RECORD_N_SIZE], struct buf *line,
                   struct error *err)
{
    struct record record = {.t = RECORD_ROTATE, .ts = r->ts, .crit = "[\"" ROTATION_MEMBER "\"]"};
    struct buf ext;
    struct jcs j;
    int rc;

    buf_init(&ext, EXT_MAX);
    jcs_init(&j, &ext);
    jcs_object(&j, NULL);
    jcs_object(&j, ROTATION_MEMBER);
    jcs_str(&j, "by", r->by);
    jcs_str(&j, "key", key_names[r->key]);
    jcs_int(&j, "leaf", (int64_t)r->leaf);
    jcs_base64(&j, "new", r->new, sizeof r->new);
    jcs_base64(&j, "old", r->old, sizeof r->old);
    jcs_str(&j, "reason", r->reason);
    jcs_base64(&j, "sig_new", r->sig_new, sizeof r->sig_new);
    jcs_base64(&j, "sig_old", r->sig_old, sizeof r->sig_old);
    jcs_end(&j);
    jcs_end(&j);
    buf_put_u8(&ext, 0);
    memcpy(record.n, n, sizeof record.n);
    record.ext = (const char *)ext.data;
    rc = buf_check(&ext, "a rotation", err);
    if (rc == 0)
        rc = record_write(&record, line, err);
    buf_done(&ext);
    return rc;
}

static void read_members(struct canon *c, struct rotation *r)
{
    int key = 0;

    canon_text(c, "by", r->by, sizeof r->by);
    canon_choice(c, "key", key_names, ROTATION_KEYS, &key);
    canon_u64(c, "leaf", &r->leaf);
    canon_base64(c, "new", r->new, sizeof r->new);
    canon_base64(c, "old", r->old, sizeof r->old);
    canon_text(c, "reason", r->reason, sizeof r->reason);
    canon_base64(c, "sig_new", r->sig_new, sizeof r->sig_new);
    canon_base64(c, "sig_old", r->sig_old, sizeof r->sig_old);
    r->key = (enum rotation_key)key;
}

int rotation_read(const struct record *record, struct rotation *r, struct error *err)
{
    struct canon c, inner;
    int rc;

    *r = (struct rotation){.ts = record->ts};
    if (!record->ext || !record->crit || strcmp(record->crit, "[\"" ROTATION_MEMBER "\"]"))
        return error_set(err, ERR_FORMAT,
                         "a 'rotate' record needs the critical extension '" ROTATION_MEMBER "'");
    rc = canon_open(&c, record->ext, strlen(record->ext), "ext of the rotation", err);
    if (rc == 0) {
        canon_enter(&c, ROTATION_MEMBER, &inner);
        read_members(&inner, r);
        inner.rc = canon_end(&inner);
        canon_leave(&c, &inner);
        rc = canon_end(&c);
    }
    canon_close(&c);
    return rc;
}

static int check_signature(const struct buf *message, const uint8_t spki[EC_SPKI_SIZE],
                           const uint8_t sig[EC_SIG_SIZE], enum rotation_key key, const char *which,
                           struct error *err)
{
    const uint8_t *point = spki + EC_SPKI_SIZE - EC_POINT_SIZE;
    uint8_t again[EC_SPKI_SIZE];

    ec_spki(point, again);
    if (memcmp(again, spki, sizeof again) == 0 &&
        ec_verify(point, message->data, message->len, sig, err) == 0)
        return 0;
    return error_set(
        err, ERR_SIGNATURE,
        "the rotation of the %s is not signed by the %s key: do not accept it, and ask "
        "the factory",
        key_names[key], which);
}

int rotation_verify(const struct rotation *r, const struct rotation_scope *scope, uint64_t leaf,
                    struct error *err)
{
    struct buf message;
    int rc;

    if (r->leaf != leaf)
        return error_set(err, ERR_INTEGRITY,
                         "the rotation of the %s is of record %" PRIu64 " and stands as record "
                         "%" PRIu64,
                         key_names[r->key], r->leaf, leaf);
    if (memcmp(r->old, r->new, sizeof r->old) == 0)
        return error_set(err, ERR_INTEGRITY, "the rotation of the %s names one key twice",
                         key_names[r->key]);
    buf_init(&message, MESSAGE_MAX);
    rotation_message(r, scope, &message);
    rc = buf_check(&message, "a rotation", err);
    if (rc == 0)
        rc = check_signature(&message, r->old, r->sig_old, r->key, "old", err);
    if (rc == 0)
        rc = check_signature(&message, r->new, r->sig_new, r->key, "new", err);
    buf_done(&message);
    return rc;
}
