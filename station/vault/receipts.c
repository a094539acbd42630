#include "station/vault/receipts.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/store/whitelist.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "receipts"

static int open_signed(const struct buf *bytes, STACK_OF(X509) * pins, struct receipt *r,
                       struct error *err)
{
    struct buf content;
    int rc;

    buf_init(&content, RECEIPT_MAX);
    rc = signed_open(bytes->data, bytes->len, pins, &content, err);
    if (rc == 0)
        rc = receipt_parse(content.data, content.len, r, err);
    buf_done(&content);
    return rc == ERR_FORMAT ? error_recode(err, ERR_INPUT) : rc;
}

/* The manifest that it names must be the one that was sealed under that number. */
static int compare(const struct sealing *s, const struct receipt *r, struct error *err)
{
    uint8_t hash[SHA256_SIZE];

    sha256(s->statement.data, s->statement.len, hash);
    if (memcmp(hash, r->sha256, sizeof hash) == 0 && (int64_t)r->size == s->first + s->count &&
        s->root.len == sizeof r->root.bytes &&
        memcmp(s->root.data, r->root.bytes, s->root.len) == 0)
        return 0;
    return error_set(err, ERR_FORK,
                     "the owner accepted another manifest %" PRIu64
                     " than this station sealed: stop, keep the directory as it is and call the "
                     "security team",
                     r->seq);
}

static int check(const struct config *config, struct store *store, const struct receipt *r,
                 struct error *err)
{
    struct sealing s;
    bool found = false;
    int rc;

    if (strcmp(r->origin, config->origin) || strcmp(r->environment, config->environment))
        return error_set(err, ERR_REFUSED,
                         "the receipt is for log '%s' (%s), and this station's is '%s' (%s)",
                         r->origin, r->environment, config->origin, config->environment);
    sealing_init(&s);
    rc = r->seq ? sealing_get(store, (int64_t)r->seq, &s, &found, err) : 0;
    if (rc == 0 && (!found || !s.published))
        rc = error_set(err, ERR_ROLLBACK,
                       "the owner accepted manifest %" PRIu64
                       ", which this station does not have: its database is older than what left "
                       "it; stop and call the security team",
                       r->seq);
    if (rc == 0)
        rc = compare(&s, r, err);
    sealing_done(&s);
    return rc;
}

static int path_of(const struct config *config, int64_t seq, char out[PATH_MAX], struct error *err)
{
    char name[64];

    snprintf(name, sizeof name, FOLDER "/%06" PRId64 ".p7", seq);
    return config_path(config, name, out, err);
}

/* ---- taking one in ---- */

static int tell_ledger(struct store *store, const struct receipt *r, struct error *err)
{
    char accepted[CLOCK_TEXT_SIZE];
    struct buf data;
    struct jcs j;
    int rc;

    clock_text(r->accepted, accepted);
    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_str(&j, "accepted", accepted);
    jcs_int(&j, "closings", (int64_t)r->closing_count);
    jcs_int(&j, "number", (int64_t)r->seq);
    jcs_hex(&j, "sha256", r->sha256, sizeof r->sha256);
    jcs_end(&j);
    rc = ledger_append_alone(store, "receipt", &data, err);
    buf_done(&data);
    return rc;
}

/* Ledger first: killed in between, the same command writes the file. */
static int keep(const struct config *config, struct store *store, const struct buf *bytes,
                const struct receipt *r, struct error *err)
{
    char path[PATH_MAX];
    int rc = tell_ledger(store, r, err);

    if (rc == 0)
        rc = config_path(config, FOLDER, path, err);
    if (rc == 0)
        rc = file_make_dir(path, 0755, err);
    if (rc == 0)
        rc = path_of(config, (int64_t)r->seq, path, err);
    return rc ? rc : file_write(path, bytes->data, bytes->len, 0644, err);
}

static int is_here(const struct config *config, const struct buf *bytes, int64_t seq, bool *here,
                   struct error *err)
{
    char path[PATH_MAX];
    struct buf kept;
    int rc = path_of(config, seq, path, err);

    *here = false;
    if (rc || !file_exists(path))
        return rc;
    buf_init(&kept, RECEIPT_MAX);
    rc = file_read_regular(path, &kept, err);
    *here = rc == 0 && kept.len == bytes->len && memcmp(kept.data, bytes->data, kept.len) == 0;
    buf_done(&kept);
    return rc;
}

int receipts_add(const struct config *config, struct store *store, const char *source,
                 const struct buf *bytes, struct receipt *r, bool *before, struct error *err)
{
    STACK_OF(X509) *pins = NULL;
    int rc = vault_read_signers(config, store, &pins, err);

    if (rc == 0 && (rc = open_signed(bytes, pins, r, err)))
        error_prefix(err, "receipt '%s'", source);
    if (rc == 0)
        rc = check(config, store, r, err);
    if (rc == 0)
        rc = is_here(config, bytes, (int64_t)r->seq, before, err);
    if (rc == 0 && !*before)
        rc = keep(config, store, bytes, r, err);
    signed_pins_free(pins);
    return rc;
}

/* ---- how far the owner answered ---- */

/* The highest number of a file in receipts/, 0 for none. */
static int last_file(const struct config *config, int64_t *number, struct error *err)
{
    char path[PATH_MAX];
    const struct dirent *entry;
    DIR *dir;
    int rc = config_path(config, FOLDER, path, err);

    *number = 0;
    if (rc || !file_exists(path))
        return rc;
    dir = opendir(path);
    if (!dir)
        return error_set_errno(err, errno, "cannot open folder '%s'", path);
    while ((entry = readdir(dir))) {
        size_t digits = strspn(entry->d_name, "0123456789");
        int64_t found = strtoll(entry->d_name, NULL, 10);

        if (digits > 0 && strcmp(entry->d_name + digits, ".p7") == 0 && found > *number)
            *number = found;
    }
    closedir(dir);
    return 0;
}

static int verify_file(const struct config *config, struct store *store, STACK_OF(X509) * pins,
                       int64_t number, struct error *err)
{
    char path[PATH_MAX];
    struct receipt r;
    struct buf bytes;
    int rc = path_of(config, number, path, err);

    if (rc)
        return rc;
    buf_init(&bytes, RECEIPT_MAX);
    rc = file_read_regular(path, &bytes, err);
    if (rc == 0)
        rc = open_signed(&bytes, pins, &r, err);
    if (rc == 0 && (int64_t)r.seq != number)
        rc = error_set(err, ERR_INTEGRITY, "it is for manifest %" PRIu64, r.seq);
    if (rc == 0)
        rc = check(config, store, &r, err);
    buf_done(&bytes);
    if (rc == 0)
        return 0;
    error_prefix(err, "'%s' is not what was taken in: remove it and add the receipt again", path);
    return error_recode(err, ERR_INTEGRITY);
}

/* The last manifest that has its place in manifests/. */
static int last_published(struct store *store, int64_t *seq, struct error *err)
{
    struct sealing last;
    bool found = false;
    int rc;

    sealing_init(&last);
    rc = sealing_last(store, &last, &found, err);
    *seq = rc == 0 && found ? last.seq - !last.published : 0;
    sealing_done(&last);
    return rc;
}

static int created_at(struct store *store, int64_t seq, int64_t *created, struct error *err)
{
    struct sealing s;
    bool found = false;
    int rc;

    sealing_init(&s);
    rc = sealing_get(store, seq, &s, &found, err);
    if (rc == 0 && !found)
        rc = error_set(err, ERR_STORE, "the database lacks manifest %" PRId64, seq);
    *created = s.created;
    sealing_done(&s);
    return rc;
}

int receipts_read(const struct config *config, struct store *store, STACK_OF(X509) * pins,
                  int64_t now, struct receipts_state *out, struct error *err)
{
    struct receipts_state state = {.published = 0};
    int rc = last_published(store, &state.published, err);

    if (rc == 0)
        rc = last_file(config, &state.received, err);
    if (rc == 0 && state.received)
        rc = verify_file(config, store, pins, state.received, err);
    if (rc == 0 && state.received < state.published)
        rc = created_at(store, state.received + 1, &state.since, err);
    state.overdue = state.since && now - state.since > RECEIPTS_WAIT;
    if (rc == 0)
        *out = state;
    return rc;
}
