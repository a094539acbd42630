/*
 * request_files: the requests of a lot, as a hosted CA takes them.
 *
 *   dir   a folder with one PEM file for each, named after the serial: "PUMP-000001.csr"
 *   tar   the same files in an archive (base/tar.h)
 *   csv   a table for portals that take batches: "serial,sha256,csr", the SHA-256 of the request and the
 *         request itself in base64 on one line, without the lines of PEM
 *
 * Names of files, and the column, have the serial as certificates have it (pki/serial_name.h). What is there
 * under its name is whole: a killed command leaves "<path>.making", which the next removes. Requests
 * whose certificate is here are left out.
 */
#ifndef STATION_VAULT_HOSTED_REQUEST_FILES_H
#define STATION_VAULT_HOSTED_REQUEST_FILES_H

#include "station/vault/vault.h"

enum request_form { REQUEST_DIR, REQUEST_TAR, REQUEST_CSV };

/* False for a name that is none of "dir", "tar" and "csv". */
bool request_form_named(const char *name, enum request_form *form);

/*
 * Writes those of the lot that wait for their certificate, in constant memory; *written is how many. stop
 * is asked before each: true ends it, and nothing is left. Errors: ERR_EXISTS when something is at path,
 * ERR_MISSING when none waits, ERR_INTERRUPTED; those of the store and files.
 */
MUST_USE int request_files_write(const struct vault *v, const char *lot, enum request_form form,
                                 const char *path, bool (*stop)(void *context), int64_t *written,
                                 struct error *err);

#endif
