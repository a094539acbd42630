#include "station/vault/export.h"

#include "base/clock.h"
#include "base/file.h"
#include "station/store/ledger.h"
#include "station/vault/manifest_signer.h"
#include "station/vault/rotating.h"

#include <string.h>

#define FILE_MAX 65536

struct work {
    struct ledger_writer writer;
    const struct export_watch *watch;
    int64_t written, total;
};

static int add_entry(void *context, const struct ledger_entry *entry, struct error *err)
{
    struct work *w = context;
    int rc = ledger_writer_add(&w->writer, entry->body, strlen(entry->body), entry->hash, err);

    if (rc == 0 && ++w->written % 1000 == 0)
        w->watch->progress(w->watch->context, w->written, w->total);
    return rc;
}

static int write_entries(struct store *store, const char *dir, const struct export_watch *watch,
                         struct ledger_statement *s, struct error *err)
{
    struct work w = {.watch = watch, .total = (int64_t)s->count};
    struct error closing = ERROR_INIT;
    int rc = ledger_writer_open(&w.writer, dir, err), closed;

    if (rc == 0)
        rc = ledger_each(store, (int64_t)s->first - 1, add_entry, &w, err);
    closed = ledger_writer_close(&w.writer, s->entries, &closing);
    if (rc == 0 && closed)
        *err = closing;
    return rc ? rc : closed;
}

static int put_file(const char *dir, const char *name, const struct buf *bytes, struct error *err)
{
    char path[PATH_MAX];
    int rc = file_join(path, sizeof path, dir, name, err);

    return rc ? rc : file_write(path, bytes->data, bytes->len, 0644, err);
}

static int sign_statement(const struct config *config, struct store *store, struct hsm *hsm,
                          const char *dir, const struct ledger_statement *s, struct error *err)
{
    struct buf bytes, pem;
    int rc;

    buf_init(&bytes, FILE_MAX);
    buf_init(&pem, FILE_MAX);
    rc = ledger_statement_write(s, &bytes, err);
    if (rc == 0)
        rc = manifest_signer_sign(config, store, hsm, ROTATING_NOW, &bytes, &pem, err);
    if (rc == 0)
        rc = put_file(dir, LEDGER_EXPORT_STATEMENT, &bytes, err);
    if (rc == 0)
        rc = put_file(dir, LEDGER_EXPORT_SIGNATURE, &pem, err);
    buf_done(&bytes);
    buf_done(&pem);
    return rc;
}

static void fill(struct ledger_statement *s, const struct config *config,
                 const struct ledger_part *part)
{
    int64_t now = clock_utc();

    memset(s, 0, sizeof *s);
    strcpy(s->station, config->name);
    strcpy(s->environment, config->environment);
    strcpy(s->origin, config->origin);
    s->first = (uint64_t)part->first;
    s->last = (uint64_t)part->last;
    s->count = (uint64_t)part->count;
    memcpy(s->prev, part->prev, sizeof s->prev);
    memcpy(s->head, part->head, sizeof s->head);
    s->created = now > part->at ? now : part->at;
}

int export_ledger(const struct config *config, struct store *store, struct hsm *hsm, int64_t first,
                  const char *dir, const struct export_watch *watch,
                  struct ledger_statement *statement, struct error *err)
{
    struct error ignored = ERROR_INIT;
    char making[PATH_MAX];
    struct ledger_part part;
    int rc = ledger_verify_part(store, first, &part, err);

    if (rc == 0)
        rc = file_dir_begin(dir, making, err);
    if (rc)
        return rc;
    fill(statement, config, &part);
    rc = write_entries(store, making, watch, statement, err);
    if (rc == 0)
        rc = sign_statement(config, store, hsm, making, statement, err);
    if (rc == 0)
        rc = file_dir_finish(making, dir, err);
    if (rc && file_remove_tree(making, &ignored))
        error_prefix(err, "'%s' could not be removed", making);
    return rc;
}
