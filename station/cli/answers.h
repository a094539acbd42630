/*
 * answers: what a ceremony has to be told, the same in three ways: options of `imprint init`, a file
 * (imprint-ceremony(5)), and a person at a terminal.
 *
 * An option wins over the file. When something that is required is in neither, the person is asked
 * for everything that was not given, with the default shown; without a terminal that is an error.
 * Nothing here is secret: PINs are named by the files that hold them, or asked for later.
 */
#ifndef STATION_CLI_ANSWERS_H
#define STATION_CLI_ANSWERS_H

#include "station/cli/cli.h"

struct answers {
    char name[65];
    char environment[17];
    char origin[129];
    char customer[129];
    char organization[65];
    char root[8];                 /* "own" or "company"; empty: own */
    char order_signers[PATH_MAX]; /* paths are absolute, or relative to the current folder */
    char custodians[PATH_MAX];    /* empty, as all below: none, or the default */
    char pin_file[PATH_MAX];
    char so_pin_file[PATH_MAX];
    char module[PATH_MAX];
    char module_arguments[1024];
    char token[257];
    char ca_module[PATH_MAX]; /* empty: the CA's keys are on the station's token */
    char ca_module_arguments[1024];
    char ca_token[257];
    char ca_pin_file[PATH_MAX];
    char ca_algorithm[16]; /* of root and issuing CA */
    char counter[16];      /* an NV index */
    char tpm[256];
};

/* Errors: ERR_USAGE for an option, ERR_INPUT with a position in the file, ERR_INTERRUPTED when the
 * person ends the questions. */
MUST_USE int answers_collect(const struct cli *cli, struct answers *out, struct error *err);

#endif
