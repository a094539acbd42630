#include "station/vault/backup.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "manifests/canon.h"
#include "pki/digest.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SMALL_FILE_MAX (1024 * 1024)
#define LIST_MAX       65536
#define DATABASE       "station.db"

/* What is copied beside the database. What is optional comes from others, perhaps later. */
static const struct {
    const char *name;
    bool optional;
} files[] = {
    {"station.yaml", false},      {CONFIG_ORDER_SIGNERS, false}, {"station-auth.pub", false},
    {CONFIG_STATION_JSON, false}, {CONFIG_CEREMONY, false},      {CONFIG_CUSTODIANS, true},
    {"station.cert", true},
};

/* And every file in these; one that is not there has none. */
static const char *const folders[] = {"ca", "ceremony", "trust"};

struct work {
    const struct config *config;
    char dir[PATH_MAX]; /* under construction */
    struct buf list;
    struct jcs json;
};

static int hash_file(const char *dir, const char *name, int64_t *bytes, uint8_t hash[SHA256_SIZE],
                     struct error *err)
{
    struct sha256 *digest = sha256_new();
    uint8_t block[65536];
    char path[PATH_MAX];
    FILE *in = NULL;
    size_t n;
    int rc = file_join(path, sizeof path, dir, name, err);

    *bytes = 0;
    if (rc == 0 && !(in = fopen(path, "re")))
        rc = error_set_errno(err, errno, "cannot open '%s'", path);
    while (in && (n = fread(block, 1, sizeof block, in)) > 0) {
        sha256_update(digest, block, n);
        *bytes += (int64_t)n;
    }
    if (in && ferror(in))
        rc = error_set_errno(err, errno, "cannot read '%s'", path);
    if (in)
        fclose(in);
    sha256_final(digest, hash);
    return rc;
}

static int list_file(struct work *w, const char *name, struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    int64_t bytes;
    int rc = hash_file(w->dir, name, &bytes, hash, err);

    jcs_object(&w->json, NULL);
    jcs_int(&w->json, "bytes", bytes);
    jcs_str(&w->json, "name", name);
    jcs_hex(&w->json, "sha256", hash, sizeof hash);
    jcs_end(&w->json);
    return rc;
}

static int copy_file(const struct work *w, const char *name, struct error *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct buf bytes;
    int rc = config_path(w->config, name, from, err);

    buf_init(&bytes, SMALL_FILE_MAX);
    if (rc == 0)
        rc = file_join(to, sizeof to, w->dir, name, err);
    if (rc == 0)
        rc = file_read(from, &bytes, err);
    if (rc == 0)
        rc = file_write(to, bytes.data, bytes.len, 0600, err);
    buf_done(&bytes);
    return rc;
}

static int copy_and_list(struct work *w, const char *name, struct error *err)
{
    int rc = copy_file(w, name, err);

    return rc ? rc : list_file(w, name, err);
}

static int is_plain(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type != DT_DIR;
}

static int copy_folder(struct work *w, const char *folder, struct error *err)
{
    char path[PATH_MAX], name[512];
    struct dirent **entries = NULL;
    int count = 0, rc = config_path(w->config, folder, path, err);

    if (rc == 0 && file_exists(path)) {
        count = scandir(path, &entries, is_plain, alphasort);
        if (count < 0)
            return error_set_errno(err, errno, "cannot read folder '%s'", path);
        rc = file_join(path, sizeof path, w->dir, folder, err);
        if (rc == 0)
            rc = file_make_dir(path, 0700, err);
    }
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, entries[i]->d_name);
        if (rc == 0)
            rc = copy_and_list(w, name, err);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int copy_all(struct work *w, struct error *err)
{
    char path[PATH_MAX];
    int rc;

    jcs_array(&w->json, "files");
    rc = list_file(w, DATABASE, err);
    for (size_t i = 0; rc == 0 && i < sizeof files / sizeof *files; i++) {
        rc = config_path(w->config, files[i].name, path, err);
        if (rc == 0 && (!files[i].optional || file_exists(path)))
            rc = copy_and_list(w, files[i].name, err);
    }
    for (size_t i = 0; rc == 0 && i < sizeof folders / sizeof *folders; i++)
        rc = copy_folder(w, folders[i], err);
    jcs_end(&w->json);
    return rc;
}

/* The copy is opened as the station opens it: what does not open now would not open when needed. */
static int copy_database(const struct work *w, struct store *store,
                         const struct backup_watch *watch, struct ledger_head *head,
                         struct error *err)
{
    struct store *copy = NULL;
    char path[PATH_MAX];
    int rc = file_join(path, sizeof path, w->dir, DATABASE, err);

    if (rc == 0)
        rc = store_copy(store, path, watch->progress, watch->context, err);
    if (rc == 0)
        rc = store_open(path, STORE_READ, &copy, err);
    if (rc == 0)
        rc = ledger_head(copy, head, err);
    store_close(copy);
    return rc;
}

static int put_list(struct work *w, const struct ledger_head *head, struct error *err)
{
    char path[PATH_MAX];
    int rc;

    jcs_str(&w->json, "format", BACKUP_FORMAT);
    jcs_hex(&w->json, "head", head->hash, sizeof head->hash);
    jcs_int(&w->json, "seq", head->seq);
    jcs_str(&w->json, "station", w->config->name);
    jcs_end(&w->json);
    buf_put_u8(&w->list, '\n');
    rc = buf_check(&w->list, BACKUP_LIST, err);
    if (rc == 0)
        rc = file_join(path, sizeof path, w->dir, BACKUP_LIST, err);
    return rc ? rc : file_write(path, w->list.data, w->list.len, 0600, err);
}

static int fill(struct work *w, struct store *store, const struct backup_watch *watch,
                struct ledger_head *head, struct error *err)
{
    char created[CLOCK_TEXT_SIZE];
    int rc = copy_database(w, store, watch, head, err);

    if (rc)
        return rc;
    clock_text(clock_utc(), created);
    jcs_init(&w->json, &w->list);
    jcs_object(&w->json, NULL);
    jcs_str(&w->json, "created", created);
    jcs_str(&w->json, "environment", w->config->environment);
    rc = copy_all(w, err);
    return rc ? rc : put_list(w, head, err);
}

int backup_make(const struct config *config, struct store *store, const char *dir,
                const struct backup_watch *watch, struct ledger_head *head, struct error *err)
{
    struct error ignored = ERROR_INIT;
    struct work w = {.config = config};
    int rc = file_dir_begin(dir, w.dir, err);

    if (rc)
        return rc;
    buf_init(&w.list, LIST_MAX);
    rc = fill(&w, store, watch, head, err);
    if (rc == 0)
        rc = file_dir_finish(w.dir, dir, err);
    if (rc && file_remove_tree(w.dir, &ignored))
        error_prefix(err, "'%s' could not be removed", w.dir);
    buf_done(&w.list);
    return rc;
}

/* ---- and back ---- */

/* The hash that the list gives the database. */
static void read_files(struct canon *c, uint8_t hash[SHA256_SIZE])
{
    const json_t *list = canon_array(c, "files");
    bool found = false;

    for (size_t i = 0; c->rc == 0 && i < json_array_size(list); i++) {
        const json_t *file = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(file, "name"));
        const char *hex = json_string_value(json_object_get(file, "sha256"));

        if (name && hex && strcmp(name, DATABASE) == 0)
            found = hex_decode(hex, hash, SHA256_SIZE) == 0;
    }
    if (!found)
        canon_fail(c, "the list names no " DATABASE);
}

static int read_list(const char *dir, char station[65], char environment[17],
                     uint8_t hash[SHA256_SIZE], struct error *err)
{
    char path[PATH_MAX], format[64] = "";
    struct canon c = {.value = NULL};
    struct buf bytes;
    int rc = file_join(path, sizeof path, dir, BACKUP_LIST, err);

    buf_init(&bytes, LIST_MAX);
    if (rc == 0)
        rc = file_read(path, &bytes, err);
    if (rc == 0 && canon_open(&c, bytes.data, bytes.len, BACKUP_LIST, err) == 0) {
        canon_text(&c, "format", format, sizeof format);
        if (c.rc == 0 && strcmp(format, BACKUP_FORMAT))
            canon_fail(&c, "it has the format '%s', and this program knows " BACKUP_FORMAT, format);
        canon_text(&c, "station", station, 65);
        canon_text(&c, "environment", environment, 17);
        read_files(&c, hash);
    }
    if (rc == 0 && c.rc) {
        error_prefix(err, "'%s'", path);
        rc = error_recode(err, ERR_INPUT);
    }
    canon_close(&c);
    buf_done(&bytes);
    return rc;
}

int backup_check(const struct config *config, const char *dir, struct error *err)
{
    char station[65] = "", environment[17] = "";
    uint8_t listed[SHA256_SIZE], hash[SHA256_SIZE];
    int64_t bytes;
    int rc = read_list(dir, station, environment, listed, err);

    if (rc == 0 && (strcmp(station, config->name) || strcmp(environment, config->environment)))
        rc = error_set(err, ERR_REFUSED, "'%s' is a backup of station '%s' (%s), not of this one",
                       dir, station, environment);
    if (rc == 0)
        rc = hash_file(dir, DATABASE, &bytes, hash, err);
    if (rc == 0 && memcmp(hash, listed, sizeof hash))
        rc = error_set(err, ERR_INTEGRITY,
                       "'%s/" DATABASE "' is not the file that " BACKUP_LIST " lists: copy the "
                       "backup again",
                       dir);
    return rc;
}
