/*
 * receipt_command: what `imprint-manifest accept` does after the manifests: it checks a closing
 * statement and answers the station.
 */
#ifndef MANIFESTS_RECEIPT_COMMAND_H
#define MANIFESTS_RECEIPT_COMMAND_H

#include "manifests/program.h"
#include "manifests/trust/receipts.h"

/* --receipt needs --key and --cert, and they need it. Errors: ERR_USAGE. */
MUST_USE int program_check_receipt(const struct program_args *args, struct error *err);

/*
 * Checks the statement of --closing (against orders, if not NULL), and writes the receipt of
 * --receipt for the log origin; out, if not NULL, receives what was done. Errors: those of
 * closing_verify, trust_closing, trust_receipt and of writing; ERR_REFUSED when the statement is of
 * another log.
 */
MUST_USE int program_answer(const struct program_args *args, struct trust *t, const char *origin,
                            int64_t at, const struct trust_orders *orders, json_t *out,
                            struct error *err);

#endif
