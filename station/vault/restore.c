#include "station/vault/restore.h"

#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "hsm/anchor.h"
#include "station/store/ledger.h"
#include "station/vault/backup.h"
#include "station/vault/counting.h"
#include "station/vault/lost.h"
#include "station/vault/published.h"
#include "station/vault/recover.h"
#include "station/vault/token_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATABASE  "station.db"
#define RESTORING "station.db.restoring"

/* SQLite's files of one database. */
static const char *const parts[] = {"-wal", "-shm", ""};

struct work {
    const struct config *config;
    struct hsm *hsm;
    const struct restore_request *request;
    struct hsm_anchor anchored;
    struct ticket ticket;
    char database[PATH_MAX], copy_path[PATH_MAX];
    struct store *copy;
    struct anchoring counting; /* of the copy, for its counter alone */
    int64_t ahead;             /* by how much the counter is ahead of the backup */
    struct restore_result result;
};

/* ---- is there anything to restore ---- */

/* Whether the station's own database is the one that the token remembers, and sound. */
static bool is_fine(const struct work *w)
{
    struct error ignored = ERROR_INIT;
    struct store *store = NULL;
    uint8_t head[32];
    int64_t seq;
    bool fine = store_open(w->database, STORE_READ, &store, &ignored) == 0;

    if (fine)
        vault_attach_reader(w->hsm, store);
    fine = fine &&
           ledger_resume(store, (int64_t)w->anchored.sequence, w->anchored.head, &seq, head,
                         &ignored) == 0 &&
           store_check(store, &ignored) == 0;
    store_close(store);
    return fine;
}

/* ---- the copy ---- */

static int drop_copy(const struct work *w, struct error *err)
{
    static const char *const all[] = {"-wal", "-shm", ".lock", ""};
    char path[PATH_MAX + 8];

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        snprintf(path, sizeof path, "%s%s", w->copy_path, all[i]);
        if (unlink(path) && errno != ENOENT)
            return error_set_errno(err, errno, "cannot remove '%s'", path);
    }
    return 0;
}

static int open_copy(struct work *w, struct error *err)
{
    int rc = store_open(w->copy_path, STORE_WRITE, &w->copy, err);

    if (rc == 0)
        vault_attach_reader(w->hsm, w->copy);
    return rc;
}

static int make_copy(struct work *w, struct error *err)
{
    struct store *backup = NULL;
    char path[PATH_MAX];
    int rc = drop_copy(w, err);

    if (rc == 0)
        rc = backup_check(w->config, w->request->backup, err);
    if (rc == 0)
        rc = file_join(path, sizeof path, w->request->backup, DATABASE, err);
    if (rc == 0)
        rc = store_open(path, STORE_READ, &backup, err);
    if (rc == 0)
        rc = store_copy(backup, w->copy_path, w->request->progress, w->request->context, err);
    store_close(backup);
    return rc ? rc : open_copy(w, err);
}

/* Where the token was copied as well, the counter knows of more than the token. */
static int64_t lost_entries(const struct work *w, const struct ledger_head *head)
{
    int64_t lost = (int64_t)w->anchored.sequence - head->seq;

    return lost > w->ahead ? lost : w->ahead;
}

/* Orders that the token has worked for and the backup does not know: their counts are lost. */
static int put_lost_orders(struct work *w, struct jcs *j, struct error *err)
{
    uint8_t(*hashes)[SHA256_SIZE] = NULL;
    size_t count = 0;
    int rc = hsm_storage_list(w->hsm, &hashes, &count, err);

    jcs_array(j, "lost_orders");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        int64_t first;

        rc = ledger_first_of_order(w->copy, hashes[i], &first, err);
        if (rc == 0 && first == 0)
            jcs_hex(j, NULL, hashes[i], SHA256_SIZE);
    }
    jcs_end(j);
    free(hashes);
    return rc;
}

static int append_restored(struct work *w, const struct ledger_head *head, struct error *err)
{
    int64_t anchored = (int64_t)w->anchored.sequence;
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, LEDGER_BODY_MAX);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "anchored", anchored);
    jcs_hex(&j, "anchored_head", w->anchored.head, sizeof w->anchored.head);
    jcs_int(&j, "backup", head->seq);
    jcs_int(&j, "lost", lost_entries(w, head));
    rc = put_lost_orders(w, &j, err);
    jcs_hex(&j, "ticket", w->ticket.hash, sizeof w->ticket.hash);
    jcs_end(&j);
    if (rc == 0)
        rc = ledger_append_restored(w->copy, anchored, &data, err);
    buf_done(&data);
    return rc;
}

/* One transaction: a copy either knows that it was restored, and is safe, or it does not. */
static int make_safe(struct work *w, const struct ledger_head *head, struct error *err)
{
    int rc = store_set_actor(w->copy, w->request->operator, w->request->reason, err);

    if (rc == 0)
        rc = store_begin(w->copy, err);
    if (rc == 0)
        rc = append_restored(w, head, err);
    if (rc == 0)
        rc = lost_burn(w->config, w->copy, lost_entries(w, head), err);
    if (rc == 0)
        rc = store_commit(w->copy, err);
    if (rc)
        store_rollback(w->copy);
    return rc;
}

/* At or behind the token, and of its history as far as that can be seen. */
static int check_history(const struct work *w, const struct ledger_head *head, struct error *err)
{
    uint8_t ignored_head[32];
    int64_t ignored;

    if (head->seq < (int64_t)w->anchored.sequence)
        return 0;
    return ledger_resume(w->copy, (int64_t)w->anchored.sequence, w->anchored.head, &ignored,
                         ignored_head, err);
}

static int prepare(struct work *w, struct error *err)
{
    struct ledger_head head;
    int64_t entries;
    int rc;

    if (is_fine(w))
        return error_set(err, ERR_REFUSED,
                         "the station's database is sound and the one that the token remembers: "
                         "nothing is restored over it");
    rc = make_copy(w, err);
    if (rc == 0)
        rc = ledger_verify(w->copy, &entries, err);
    if (rc == 0)
        rc = recover_ticket(w->config, w->copy, w->hsm, w->request->ticket, TICKET_RESTORE,
                            &w->ticket, err);
    if (rc == 0)
        rc = recover_check_restore(w->hsm, &w->ticket, &w->anchored, err);
    if (rc == 0)
        rc = ledger_head(w->copy, &head, err);
    if (rc == 0)
        rc = check_history(w, &head, err);
    if (rc == 0)
        rc = published_check_folders(w->config, w->copy, err);
    if (rc == 0)
        rc = published_check_after(w->config, w->copy, &w->ticket, err);
    if (rc == 0)
        rc = counting_catch_up(&w->counting, w->copy, &w->ahead, err);
    return rc ? rc : make_safe(w, &head, err);
}

/* ---- going on after a kill ---- */

/* Nothing comes after a restore but what it lost: such a copy was made with a ticket. */
static bool ends_with_restore(const struct work *w, const struct ledger_head *head)
{
    struct error ignored = ERROR_INIT;
    struct ledger_restored r;
    int64_t lost;

    return ledger_last_restored(w->copy, 0, &r, &ignored) == 0 && r.seq > 0 &&
           ledger_count_lost(w->copy, r.seq, &lost, &ignored) == 0 && head->seq == r.seq + lost;
}

/*
 * A copy of before that the token remembers already is the station's database, and nobody's leave is
 * needed. What a file says of itself is nothing: its whole ledger must lead to that very entry. Any
 * other copy is made anew. Errors: those of the HSM, for then the copy must stay.
 */
static int find_anchored(struct work *w, bool *anchored, struct error *err)
{
    struct error ignored = ERROR_INIT;
    struct ledger_head head;
    int64_t entries;
    int rc;

    *anchored = false;
    if (!file_exists(w->copy_path) || open_copy(w, &ignored) ||
        ledger_head(w->copy, &head, &ignored) || head.seq != (int64_t)w->anchored.sequence ||
        memcmp(head.hash, w->anchored.head, sizeof head.hash) || !ends_with_restore(w, &head))
        return 0;
    rc = ledger_verify(w->copy, &entries, err);
    if (rc == ERR_INTEGRITY || rc == ERR_STORE)
        return 0;
    *anchored = rc == 0;
    return rc;
}

/* The ticket is used before the token remembers the copy: with that the restore is done. */
static int prepare_or_resume(struct work *w, struct error *err)
{
    bool anchored;
    int rc = find_anchored(w, &anchored, err);

    if (rc || anchored)
        return rc;
    store_close(w->copy);
    w->copy = NULL;
    rc = prepare(w, err);
    return rc ? rc : recover_begin_restore(w->config, w->hsm, &w->ticket, &w->anchored, err);
}

/* ---- into its place ---- */

static int anchor_copy(struct work *w, struct error *err)
{
    struct hsm_anchor next;
    struct ledger_restored r;
    struct ledger_head head;
    int rc = ledger_head(w->copy, &head, err);

    if (rc == 0)
        rc = ledger_last_restored(w->copy, 0, &r, err);
    if (rc)
        return rc;
    rc = ledger_count_lost(w->copy, r.seq, &w->result.burned, err);
    if (rc)
        return rc;
    w->result.seq = head.seq;
    w->result.lost = r.lost;
    next.sequence = (uint64_t)head.seq;
    memcpy(next.head, head.hash, sizeof next.head);
    rc = hsm_anchor_write(w->hsm, &next, err);
    return rc ? rc : token_files_sync(w->config, err);
}

/* The log beside a database goes first: it must never stand beside another one. */
static int keep_aside(const struct work *w, struct error *err)
{
    char from[PATH_MAX + 8], to[PATH_MAX + 64];

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(from, sizeof from, "%s%s", w->database, parts[i]);
        snprintf(to, sizeof to, "%s.before-%" PRId64 "%s", w->database, w->result.seq, parts[i]);
        if (rename(from, to) && errno != ENOENT)
            return error_set_errno(err, errno, "cannot rename '%s'", from);
    }
    return 0;
}

static int put_in_place(struct work *w, struct error *err)
{
    char path[PATH_MAX + 8];
    int rc;

    store_close(w->copy);
    w->copy = NULL;
    snprintf(path, sizeof path, "%s-wal", w->copy_path);
    if (file_exists(path))
        return error_set(err, ERR_STORE,
                         "'%s' was not written into its database: run the command "
                         "again",
                         path);
    snprintf(path, sizeof path, "%s.lock", w->copy_path);
    (void)unlink(path); /* the station's own lock is held */
    rc = keep_aside(w, err);
    if (rc == 0 && rename(w->copy_path, w->database))
        rc = error_set_errno(err, errno, "cannot rename '%s'", w->copy_path);
    if (rc == 0)
        rc = file_sync_dir(w->config->dir, err);
    return rc;
}

static int find_places(struct work *w, struct error *err)
{
    int rc = config_path(w->config, DATABASE, w->database, err);

    return rc ? rc : config_path(w->config, RESTORING, w->copy_path, err);
}

int restore_run(const struct config *config, struct hsm *hsm, const struct restore_request *request,
                struct restore_result *result, struct error *err)
{
    struct work w = {.config = config,
                     .hsm = hsm,
                     .request = request,
                     .counting = {.config = config, .hsm = hsm}};
    int lock = -1, rc = find_places(&w, err);

    if (rc == 0)
        rc = store_lock(w.database, &lock, err);
    if (rc == 0)
        rc = hsm_anchor_read(hsm, &w.anchored, err);
    if (rc == 0)
        rc = prepare_or_resume(&w, err);
    if (rc == 0)
        rc = anchor_copy(&w, err);
    if (rc == 0)
        rc = put_in_place(&w, err);
    if (rc == 0)
        *result = w.result;
    counting_end(&w.counting);
    store_close(w.copy);
    if (lock >= 0)
        close(lock);
    return rc;
}

/* ---- afterwards ---- */

/* A list is in force by its hash, and the job has it. */
static bool list_meets(const struct vault *v, const struct order_serials *before)
{
    const struct serial_list *list = &v->job->serials.list;

    if (v->share->serials.kind != ORDER_SERIALS_LIST)
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (order_serials_hold(before, list->at[i]))
            return true;
    return false;
}

static bool shares_serials(const struct vault *v, const struct order_serials *before)
{
    return order_serials_overlap(before, &v->share->serials) || list_meets(v, before);
}

/* What is in force shares serials with no version but those of this ticket; so it is one itself. */
static bool is_amended_for(const struct vault *v, const uint8_t ticket[SHA256_SIZE])
{
    for (size_t i = 0; i < v->history.count; i++) {
        const struct order *before = &v->history.versions[i];
        const struct order_share *share = order_share_of(before, v->key_hash);

        if ((!before->has_recovery || memcmp(before->recovery, ticket, SHA256_SIZE)) && share &&
            shares_serials(v, &share->serials))
            return false;
    }
    return true;
}

int restore_check_order(const struct vault *v, struct error *err)
{
    const uint8_t *order = v->history.row.hash;
    char ticket[2 * SHA256_SIZE + 1];
    struct ledger_restored r;
    int64_t first;
    bool lost;
    int rc = ledger_last_restored(v->store, 1, &r, err);

    if (rc || r.seq == 0)
        return rc;
    rc = ledger_first_of_order(v->store, order, &first, err);
    if (rc == 0)
        rc = ledger_lost_order(v->store, order, &lost, err);
    if (rc || (first > r.seq && !lost) || is_amended_for(v, r.ticket))
        return rc;
    hex_encode(r.ticket, sizeof r.ticket, ticket);
    return error_set(err, ERR_REFUSED,
                     "the station was restored since order '%s' began, and what was made meanwhile "
                     "is unknown: nothing more is made before an amendment with other serials and "
                     "\"recovery\": \"%s\"",
                     v->order->id, ticket);
}
