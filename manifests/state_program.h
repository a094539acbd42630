/*
 * state_program: what the commands share that work on the state.
 */
#ifndef MANIFESTS_STATE_PROGRAM_H
#define MANIFESTS_STATE_PROGRAM_H

#include "manifests/program.h"
#include "manifests/trust/trust.h"

/* The file of --state. */
MUST_USE int program_open_state(const struct program_args *args, enum trust_mode mode,
                                struct trust **t, struct error *err);

/* A file, or standard input for "-". Errors: those of file_read. */
MUST_USE int program_read_input(const char *path, struct buf *out, struct error *err);

/* The private key of a PEM file; EVP_PKEY_free. Errors: ERR_INPUT, those of file_read. */
MUST_USE int program_read_key(const char *path, EVP_PKEY **key, struct error *err);

/*
 * Prints {"<name>": list}, with the error beside it when rc is one, so that what was done before a
 * failure is told as well. Returns rc, or ERR_IO.
 */
int program_print_list(const char *name, json_t *list, int rc, struct error *err);

#endif
