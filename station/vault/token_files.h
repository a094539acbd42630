/*
 * token_files: keeps the embedded software token alive through kills and power cuts.
 *
 * SoftHSM 2.6.1 rewrites a token's token.object at every login, in place: it truncates the file,
 * writes it later, and never syncs. A process that is killed in between leaves an empty file, and
 * without it every key of the token is lost. So the station keeps a copy, made after a login that
 * worked, and puts it back where the original is torn. The copy holds what the original holds: the
 * token's key, encrypted under the PIN.
 *
 * Nothing here happens for a station with another module: it has no softhsm2.conf of its own.
 */
#ifndef STATION_VAULT_TOKEN_FILES_H
#define STATION_VAULT_TOKEN_FILES_H

#include "station/config.h"

/* Before the module is loaded: puts back what is torn. Errors: those of files. */
MUST_USE int token_files_restore(const struct config *config, struct error *err);

/* After a login: refreshes the copies. */
MUST_USE int token_files_keep(const struct config *config, struct error *err);

/* After a key was made: everything that the token wrote is on disk when this returns. */
MUST_USE int token_files_sync(const struct config *config, struct error *err);

#endif
