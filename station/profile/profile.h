/*
 * profile: certificate profiles as YAML files, and those that come with the program.
 *
 * Invariants
 *  1. A profile that was read can be compiled for some device: whatever is wrong with it alone is
 *     said here, with file:line:column, and not on the line.
 *  2. The shipped profiles are part of the program: nobody changes one by changing a file of the
 *     station. A name means a shipped profile, and nothing else does; a text with '/' or ending in
 *     ".yaml" is a file.
 */
#ifndef STATION_PROFILE_PROFILE_H
#define STATION_PROFILE_PROFILE_H

#include "pki/cert_profile.h"

#define PROFILE_FILE_MAX (64 * 1024)

/* Errors: ERR_INPUT with source:line:column and what to write instead. */
MUST_USE int profile_parse(const char *source, const void *text, size_t len,
                           struct cert_profile *out, struct error *err);

/* The file, or the shipped profile of this name. Errors: as profile_parse; ERR_MISSING with the
 * nearest name, those of file_read. */
MUST_USE int profile_find(const char *name_or_file, struct cert_profile *out, struct error *err);

/* What comes with the program. */
struct shipped_profile {
    const char *name;
    const char *text; /* the file */
};
extern const struct shipped_profile shipped_profiles[]; /* ends with name NULL */

#endif
