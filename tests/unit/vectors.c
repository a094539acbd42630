#include "vectors.h"

#include "base/file.h"

#include <check.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool vectors_present(void)
{
    if (getenv("IMPRINT_VECTORS"))
        return true;
    ck_assert_msg(!getenv("CI"), "in CI IMPRINT_VECTORS must name the third-party vectors");
    printf("skipped: IMPRINT_VECTORS does not name the folder of third-party vectors\n");
    return false;
}

static void path_of(const char *name, char path[PATH_MAX])
{
    struct error err = ERROR_INIT;

    ck_assert_int_eq(file_join(path, PATH_MAX, getenv("IMPRINT_VECTORS"), name, &err), 0);
}

void vectors_read(const char *name, struct buf *out)
{
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    path_of(name, path);
    ck_assert_msg(file_read(path, out, &err) == 0, "%s", err.text);
}

size_t vectors_each(const char *folder, void (*check)(const char *path, const json_t *vector))
{
    char path[PATH_MAX], *roots[] = {path, NULL};
    size_t count = 0;
    FTSENT *entry;
    FTS *walk;

    path_of(folder, path);
    walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    ck_assert_ptr_nonnull(walk);
    while ((entry = fts_read(walk))) {
        json_t *vector;

        if (entry->fts_info != FTS_F || !strstr(entry->fts_name, ".json"))
            continue;
        vector = json_load_file(entry->fts_path, JSON_DECODE_INT_AS_REAL, NULL);
        if (!vector)
            ck_abort_msg("cannot read %s", entry->fts_path);
        check(entry->fts_path, vector);
        json_decref(vector);
        count++;
    }
    fts_close(walk);
    return count;
}
