/*
 * program: what the commands of imprint-manifest share: the table of commands, options, output.
 *
 * Results go to stdout, diagnostics and progress to stderr. With --json a result is one line of
 * JSON, and so is a failure: {"error":{"code":"ERR_...","exit":n,"text":"..."}}. The exit status is
 * error_exit_status() of the code.
 */
#ifndef MANIFESTS_PROGRAM_H
#define MANIFESTS_PROGRAM_H

#include "manifests/verify.h"

#include <jansson.h>

#define PROGRAM_NAME "imprint-manifest"
#define PROGRAM_ANY  100000 /* operands of a command that takes any number */

enum program_option {
    OPT_ROOT,
    OPT_DEVICE_ROOT,
    OPT_LOG_KEY,
    OPT_AFTER,
    OPT_MANIFEST,
    OPT_AT,
    OPT_SKIP_PROOFS,
    OPT_REQUIRE_ALG,
    OPT_STATE,
    OPT_ORDER,
    OPT_CERT,
    OPT_LIST,
    OPT_PRODUCT,
    OPT_WHO,
    OPT_WHY,
    OPT_REASON,
    OPT_LIFT,
    OPT_KEY,
    OPT_URI,
    OPT_DAYS,
    OPT_DER,
    OPT_FORMAT,
    OPT_SET,
    OPT_RECEIPT,
    OPT_CLOSING,
    OPT_VENDOR,
    OPT_OUTPUT,
    OPT_JSON,
    OPT_COUNT
};

/* One row for each option of the program; a command names the ones it takes. */
struct program_option_info {
    const char *name;     /* without dashes */
    char letter;          /* a short form, or 0 */
    const char *argument; /* its placeholder, NULL for a switch */
    const char *help;
};

/* What a command line said. */
struct program_args {
    const char *option[OPT_COUNT]; /* the argument; "" for a switch that was given */
    const char **orders;           /* all arguments of --order */
    size_t order_count;
    const char **sets; /* all arguments of --set */
    size_t set_count;
    const char **algorithms; /* all arguments of --require-alg */
    size_t algorithm_count;
    char *const *operand; /* NULL behind the last */
    int operands;
};

struct program_command {
    const char *name;
    /* Prints its result. Returns 0 or a code with err filled. */
    int (*run)(const struct program_args *args, struct error *err);
    const char *operands; /* as the synopsis shows them */
    int min_operands, max_operands;
    unsigned takes, needs; /* bits of enum program_option */
    const char *help;
};

extern const struct program_option_info program_options[OPT_COUNT];
extern const struct program_command program_commands[];
extern const size_t program_command_count;

int program_verify(const struct program_args *args, struct error *err);
int program_show(const struct program_args *args, struct error *err);
int program_prove(const struct program_args *args, struct error *err);
int program_verify_proof(const struct program_args *args, struct error *err);
int program_verify_ledger(const struct program_args *args, struct error *err);
int program_verify_closing(const struct program_args *args, struct error *err);
int program_accept(const struct program_args *args, struct error *err);
int program_check(const struct program_args *args, struct error *err);
int program_release(const struct program_args *args, struct error *err);
int program_hold(const struct program_args *args, struct error *err);
int program_revoke(const struct program_args *args, struct error *err);
int program_crl(const struct program_args *args, struct error *err);
int program_export(const struct program_args *args, struct error *err);
int program_import(const struct program_args *args, struct error *err);
int program_formats(const struct program_args *args, struct error *err);
int program_diff(const struct program_args *args, struct error *err);
int program_merge(const struct program_args *args, struct error *err);
int program_help(const struct program_args *args, struct error *err);
int program_version(const struct program_args *args, struct error *err);

static inline bool program_json(const struct program_args *args)
{
    return args->option[OPT_JSON] != NULL;
}

/*
 * Prints value as one line and frees it. Errors: ERR_IO. A command that prints its result and then
 * fails, because the answer is no, has said all: main prints no second object.
 */
MUST_USE int program_print_json(json_t *value, struct error *err);
bool program_printed_json(void);

/* {"code":..., "exit":..., "text":...} */
json_t *program_json_error(int rc, const struct error *err);

/* Writes a result to the file of --output, or to standard output. */
MUST_USE int program_put(const struct program_args *args, const struct buf *bytes,
                         struct error *err);

/* What --require-alg says. Free with signatures_policy_done in any case. */
MUST_USE int program_signatures(const struct program_args *args, struct signatures_policy *policy,
                                struct error *err);
/* What was found beside manifest.json.p7s: {"verified":[...],"unknown":[...]}, or lines. */
json_t *program_json_signatures(const struct signatures *s);
void program_print_signatures(const struct signatures *s);

/* A time, hash or number as a JSON text or number. */
json_t *program_json_time(int64_t utc);
json_t *program_json_hex(const uint8_t hash[SHA256_SIZE]);
json_t *program_json_root(const struct merkle_hash *root);

/* A progress that shows a line on stderr while it is a terminal. program_progress_end clears it. */
struct folder_progress program_progress(void);
void program_progress_end(void);

#endif
