#include "station/vault/published.h"

#include "base/file.h"
#include "manifests/folder.h"
#include "station/store/whitelist.h"
#include "station/vault/leaves.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int too_old(const char *manifest, struct error *err)
{
    return error_set(err, ERR_ROLLBACK,
                     "this backup is older than %s: with it the station would publish another "
                     "history; take a newer backup, or go on with the spare station",
                     manifest);
}

/* The highest number of a folder in manifests/, 0 for none. */
static int last_published(const struct config *config, int64_t *number, struct error *err)
{
    char path[PATH_MAX];
    const struct dirent *entry;
    DIR *dir;
    int rc = config_path(config, "manifests", path, err);

    *number = 0;
    if (rc || !file_exists(path))
        return rc;
    dir = opendir(path);
    if (!dir)
        return error_set_errno(err, errno, "cannot open folder '%s'", path);
    while ((entry = readdir(dir))) {
        size_t digits = strspn(entry->d_name, "0123456789");
        int64_t found = strtoll(entry->d_name, NULL, 10);

        if (digits > 0 && !entry->d_name[digits] && found > *number)
            *number = found;
    }
    closedir(dir);
    return 0;
}

int published_check_folders(const struct config *config, struct store *store, struct error *err)
{
    char dir[PATH_MAX], name[64];
    struct sealing known;
    struct buf bytes;
    int64_t number;
    bool found = false;
    int rc = last_published(config, &number, err);

    if (rc || number == 0)
        return rc;
    sealing_init(&known);
    buf_init(&bytes, STATEMENT_MAX);
    snprintf(name, sizeof name, "manifests/%06" PRId64, number);
    rc = config_path(config, name, dir, err);
    if (rc == 0)
        rc = folder_read(dir, MANIFEST_NAME, &bytes, err);
    if (rc == 0)
        rc = sealing_get(store, number, &known, &found, err);
    if (rc == 0 && (!found || known.statement.len != bytes.len ||
                    memcmp(known.statement.data, bytes.data, bytes.len)))
        rc = too_old(name, err);
    sealing_done(&known);
    buf_done(&bytes);
    return rc;
}

/* Whether a manifest of the backup ended where the owner's last one did. */
static int was_sealed_at(struct store *store, int64_t size, bool *sealed, struct error *err)
{
    struct sealing s;
    int rc;

    sealing_init(&s);
    rc = sealing_last(store, &s, sealed, err);
    while (rc == 0 && *sealed && s.first + s.count > size)
        rc = sealing_get(store, s.seq - 1, &s, sealed, err);
    *sealed = rc == 0 && *sealed && s.first + s.count == size;
    sealing_done(&s);
    return rc;
}

int published_check_after(const struct config *config, struct store *store, const struct ticket *t,
                          struct error *err)
{
    struct merkle_tree tree = {.size = 0};
    struct merkle_hash root;
    int64_t size;
    bool sealed = false;
    int rc;

    if (!t->has_after)
        return 0;
    if (strcmp(t->after_origin, config->origin))
        return error_set(err, ERR_REFUSED, "ticket '%s' speaks of log '%s' and this one is '%s'",
                         t->id, t->after_origin, config->origin);
    rc = whitelist_size(store, &size, err);
    if (rc == 0 && (uint64_t)size >= t->after_size)
        rc = was_sealed_at(store, (int64_t)t->after_size, &sealed, err);
    if (rc == 0 && sealed)
        rc = leaves_push(store, 0, (int64_t)t->after_size, &tree, err);
    merkle_root(&tree, &root);
    if (rc == 0 && memcmp(&root, &t->after_root, sizeof root))
        rc = too_old("the manifest that the owner accepted last", err);
    return rc;
}
