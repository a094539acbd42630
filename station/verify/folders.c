#include "station/verify/folders.h"

#include "base/file.h"
#include "manifests/statement.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

static bool is_manifest(const char *folder)
{
    char path[PATH_MAX];

    return file_join(path, sizeof path, folder, MANIFEST_NAME, NULL) == 0 && file_exists(path);
}

/* What is hidden was not finished. */
static int is_candidate(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int visit(const char *dir, const char *name, size_t *count,
                 int (*each)(void *context, const char *folder, struct error *err), void *context,
                 struct error *err)
{
    char folder[PATH_MAX];
    int rc = file_join(folder, sizeof folder, dir, name, err);

    if (rc || !is_manifest(folder))
        return rc;
    *count += 1;
    return each(context, folder, err);
}

int folders_each(const char *dir, int (*each)(void *context, const char *folder, struct error *err),
                 void *context, struct error *err)
{
    struct dirent **list = NULL;
    size_t count = 0;
    int n, rc = 0;

    if (is_manifest(dir)) {
        rc = each(context, dir, err);
        return rc > 0 ? 0 : rc;
    }
    n = scandir(dir, &list, is_candidate, alphasort);
    if (n < 0)
        return error_set_errno(err, errno, "cannot read the folder of manifests '%s'", dir);
    for (int i = 0; rc == 0 && i < n; i++)
        rc = visit(dir, list[i]->d_name, &count, each, context, err);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    if (rc == 0 && count == 0)
        rc = error_set(err, ERR_MISSING, "there is no manifest in '%s'", dir);
    return rc > 0 ? 0 : rc;
}
