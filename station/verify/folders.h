/*
 * folders: the manifests in a folder: one for each, as a station keeps them in `manifests`.
 */
#ifndef STATION_VERIFY_FOLDERS_H
#define STATION_VERIFY_FOLDERS_H

#include "base/error.h"

/*
 * Calls each manifest's folder, in the order of their names; dir may be a single one. What holds no
 * manifest.json is left out. each returns 0 to go on, 1 to end the walk well, or an error. Errors:
 * ERR_MISSING when there is no manifest at all; those of error_set_errno.
 */
MUST_USE int folders_each(const char *dir,
                          int (*each)(void *context, const char *folder, struct error *err),
                          void *context, struct error *err);

#endif
