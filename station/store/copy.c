#include "station/store/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PAGES_AT_ONCE 256

/* A failure on the side of the copy, in the words of its own connection. */
static int copy_error(struct sql *copy, int rc, const char *path, struct error *err)
{
    int code = sql_error(copy, rc, "copy the database", err);

    error_prefix(err, "'%s'", path);
    return code;
}

/* One read transaction holds the state still while pages are copied: whoever writes meanwhile adds
 * to the log, and the copy never starts over. */
static int hold_state(struct store *store, struct error *err)
{
    int64_t ignored = 0;
    int rc = sql_exec(&store->sql, "BEGIN", "read the database", err);

    if (rc)
        return rc;
    return sql_integer(&store->sql, err, &ignored, "SELECT count(*) FROM sqlite_schema", "");
}

static int copy_pages(struct store *store, struct sql *copy, const char *path,
                      store_progress_fn progress, void *context, struct error *err)
{
    sqlite3_backup *b = sqlite3_backup_init(copy->db, "main", store->sql.db, "main");
    int rc;

    if (!b)
        return copy_error(copy, sqlite3_errcode(copy->db), path, err);
    while ((rc = sqlite3_backup_step(b, PAGES_AT_ONCE)) == SQLITE_OK) {
        int64_t total = sqlite3_backup_pagecount(b);

        progress(context, total - sqlite3_backup_remaining(b), total);
    }
    (void)sqlite3_backup_finish(b);
    return rc == SQLITE_DONE ? 0 : copy_error(copy, rc, path, err);
}

static int check(struct sql *sql, struct error *err)
{
    const char *answer = NULL;
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(sql->db, "PRAGMA quick_check(1)", -1, &s, NULL);

    if (rc == 0)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        answer = (const char *)sqlite3_column_text(s, 0);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        rc = sql_error(sql, rc, "check the database", err);
    else if (!answer || strcmp(answer, "ok"))
        rc = error_set(err, ERR_STORE,
                       "the database is damaged: %s; keep the directory as it is and call the "
                       "security team",
                       answer ? answer : "it cannot be read");
    else
        rc = 0;
    sqlite3_finalize(s);
    return rc;
}

int store_check(struct store *store, struct error *err)
{
    return check(&store->sql, err);
}

/* Whole without a log beside it, and without damage that was copied along. */
static int finish_copy(struct sql *copy, const char *path, struct error *err)
{
    int rc = sqlite3_exec(copy->db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);

    if (rc)
        return copy_error(copy, rc, path, err);
    return check(copy, err);
}

/* Made here so that nobody else may read it. */
static int create_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_set_errno(err, errno, "cannot create '%s'", path);
    close(fd);
    return 0;
}

int store_copy(struct store *store, const char *path, store_progress_fn progress, void *context,
               struct error *err)
{
    struct sql copy = {.terms = &store_terms};
    int rc = create_file(path, err), opened;

    if (rc)
        return rc;
    opened = sqlite3_open_v2(path, &copy.db, SQLITE_OPEN_READWRITE, NULL);
    rc = opened ? copy_error(&copy, opened, path, err) : hold_state(store, err);
    if (rc == 0)
        rc = copy_pages(store, &copy, path, progress, context, err);
    store_rollback(store);
    if (rc == 0)
        rc = finish_copy(&copy, path, err);
    sqlite3_close(copy.db);
    return rc;
}
