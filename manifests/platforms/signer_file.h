/*
 * signer_file: the certificate of who signs an export, and its issuers, in one PEM file.
 */
#ifndef MANIFESTS_PLATFORM_SIGNER_FILE_H
#define MANIFESTS_PLATFORM_SIGNER_FILE_H

#include "base/error.h"
#include "pki/signer.h"

/*
 * Fills cert and chain from a file whose first certificate is the signer's; key is set before and
 * must be its P-256 key. Errors: ERR_INPUT, those of file_read.
 */
MUST_USE int signer_file_read(const char *path, struct signer *signer, struct error *err);

/* Frees cert and chain, not key. */
void signer_file_done(struct signer *signer);

#endif
