/*
 * cli: the command table of `imprint`, and what every command shares.
 *
 * The table is the one place that knows the commands: it prints the help, parses the options, opens
 * what a command needs before it runs, and a test compares it with the manual page. Results go to
 * stdout, diagnostics and progress to stderr; the exit status is the error's class (base/error.h).
 */
#ifndef STATION_CLI_H
#define STATION_CLI_H

#include "base/error.h"
#include "station/config.h"
#include "station/job.h"
#include "station/store/people.h"
#include "station/store/store.h"
#include "station/vault/signing.h"
#include "station/vault/vault.h"

#include <stdbool.h>
#include <stddef.h>

struct json_t;

#define CLI_OPTIONS_MAX 24
#define CLI_SETS_MAX    16

/* What is opened before a command runs. */
enum cli_needs {
    NEED_CONFIG = 1 << 0,      /* an existing station */
    NEED_JOB = 1 << 1,         /* the first argument is a job file */
    NEED_STORE_READ = 1 << 2,  /* the database, read-only */
    NEED_STORE_WRITE = 1 << 3, /* the database and the station's lock */
    NEED_HSM = 1 << 4          /* the token, logged in, and the store attached to it */
};

struct cli_option {
    const char *name;    /* without the dashes; NULL ends a table */
    const char *value;   /* what the value is called in the help, NULL for a switch */
    const char *meaning; /* one line */
};

struct cli;

struct cli_command {
    const char *name; /* NULL ends the table */
    const char *arguments;
    const char *summary;
    const char *details; /* a paragraph or two for `imprint help NAME` */
    const struct cli_option *options;
    unsigned needs;
    int least, most; /* arguments */
    int (*run)(struct cli *cli, struct error *err);
};

struct cli {
    const struct cli_command *command;
    const char *values[CLI_OPTIONS_MAX]; /* by the option's place in the command's table */
    const char *sets[CLI_SETS_MAX];      /* every value of --set, which may come again */
    size_t set_count;
    char **args;
    int arg_count;
    const char *chosen_dir;
    bool json;
    bool quiet;
    bool ask_pin;

    char dir[PATH_MAX];
    struct config config;
    struct job job;
    bool has_job;
    struct store *store;
    struct hsm *hsm;
    struct anchoring anchoring;
    struct store_signature signature; /* person 0: nobody signed */
};

extern const struct cli_command cli_commands[];

/*
 * Opens the token and attaches the store, which is open for writing, with vault_attach_store or
 * vault_attach_anchor; what --by and --reason said goes into its entries. cli_open_hsm also refuses when
 * the clock is in doubt, as everything that issues or signs has to (vault/clock_stop.h).
 */
typedef int (*cli_attach_fn)(struct anchoring *a, struct store *store, struct error *err);
MUST_USE int cli_attach(struct cli *cli, cli_attach_fn attach, struct error *err);
MUST_USE int cli_open_hsm(struct cli *cli, struct error *err);

/*
 * Somebody signs for what the command does from here on: asks for badge and PIN, or reads them from the
 * file of --signer. The store is attached, no transaction open. Where nobody signs yet, it asks
 * for nothing, and requires --by and --reason where the rule says so. cli_sign_as has the people
 * loaded. Errors: those of signing_check; ERR_USAGE; ERR_REFUSED where station.yaml requires people.
 */
MUST_USE int cli_sign(struct cli *cli, enum signing_action action, struct error *err);
MUST_USE int cli_sign_as(struct cli *cli, const struct people *people, enum signing_action action,
                         struct error *err);

/* Who signed, else what --by says; NULL for nobody. */
const char *cli_who(const struct cli *cli);

/*
 * Says that 95% of an order's good or max_issued are reached, or that it ends within 72 hours: on
 * stderr, and with --json as an event of its own. warnings: bits of enum order_warning.
 */
void cli_warn_order(const struct cli *cli, const struct order *order, unsigned warnings);

/*
 * What PIN-less commands know of an order: its version in force, verified with the pins, this
 * station's share (NULL when it has none), and what was made. cli_order_done in any case.
 */
struct cli_order {
    struct order_history history;
    const struct order *order;
    const struct order_share *share;
    struct inventory_counts counts;
    unsigned warnings;
    const char *state; /* "open", "closing", "closed", "ended" or "not begun" */
};
MUST_USE int cli_order_open(const struct cli *cli, const char *id, struct cli_order *out,
                            struct error *err);
void cli_order_done(struct cli_order *o);

/* The members that every listing of an order has. */
struct json_t *cli_order_json(const struct cli_order *o);
/* The same in words, more lines for what needs attention. */
void cli_order_print(const struct cli_order *o);

/*
 * Says that a manifest was sealed more than a day ago and the owner's receipt did not come, or why that
 * cannot be told: on stderr, and with --json as an event of its own. The store is open.
 */
void cli_warn_receipts(const struct cli *cli);

/* Says which issuing CAs end within a year, or have less than a third of their life left: on stderr,
 * and with --json as an event of its own. The store is open. */
void cli_warn_issuers(const struct cli *cli);
bool cli_issuers_end_soon(const struct cli *cli);

/* The same for the job's CA, where the last day comes sooner on which it can sign certificates of the
 * job's profile. */
void cli_warn_issuing(const struct cli *cli, const struct vault *v);

/* How far the owner answered (vault/receipts.h). */
struct receipts_state;
MUST_USE int cli_read_receipts(const struct cli *cli, struct receipts_state *state,
                               struct error *err);

/* The value of an option of the running command; NULL when it was not given. "" for a switch. */
const char *cli_value(const struct cli *cli, const char *name);

/* An option's value as a whole number in a range; *out keeps its default when it was not given. */
MUST_USE int cli_number(const struct cli *cli, const char *name, int64_t least, int64_t most,
                        int64_t *out, struct error *err);

/* Serves the devices in the slots: provisions them, or takes their identities away as the statements in
 * the folder farewells say (vault/farewell.h). */
MUST_USE int cli_run(struct cli *cli, const char *farewells, struct error *err);

/* The number of an NV index of a TPM, hexadecimal. Errors: ERR_USAGE. */
MUST_USE int cli_nv_index(const char *text, uint32_t *index, struct error *err);

/* Prints an object on stdout as one line of JSON; takes the reference. */
void cli_print_json(struct json_t *object);

/* The commands, one file each: cmd_<name>.c. */
int cmd_init(struct cli *cli, struct error *err);
int cmd_generate(struct cli *cli, struct error *err);
int cmd_csr(struct cli *cli, struct error *err);
int cmd_rotate(struct cli *cli, struct error *err);
int cmd_ca(struct cli *cli, struct error *err);
int cmd_crl(struct cli *cli, struct error *err);
int cmd_recover(struct cli *cli, struct error *err);
int cmd_run(struct cli *cli, struct error *err);
int cmd_decommission(struct cli *cli, struct error *err);
int cmd_backup(struct cli *cli, struct error *err);
int cmd_status(struct cli *cli, struct error *err);
int cmd_seal(struct cli *cli, struct error *err);
int cmd_order(struct cli *cli, struct error *err);
int cmd_order_close(struct cli *cli, struct error *err);
int cmd_receipt(struct cli *cli, struct error *err);
int cmd_rework(struct cli *cli, struct error *err);
int cmd_reconcile(struct cli *cli, struct error *err);
int cmd_void(struct cli *cli, struct error *err);

/* --reason-code, where it was given; *reason has the default. Errors: ERR_USAGE for no such reason. */
MUST_USE int cli_reason_code(const struct cli *cli, enum record_reason *reason, struct error *err);

/*
 * Makes the revocation list anew after something may have been revoked, if the station has one, and
 * says so on stderr.
 */
MUST_USE int cli_keep_revocations(struct cli *cli, struct error *err);

/* Names every unresolved device of an order; *count receives how many there are. */
MUST_USE int cli_report_unresolved(const struct cli *cli, int64_t order_id, const char *order,
                                   int64_t *count, struct error *err);
int cmd_slots(struct cli *cli, struct error *err);
int cmd_devices(struct cli *cli, struct error *err);
int cmd_audit(struct cli *cli, struct error *err);
int cmd_outbox(struct cli *cli, struct error *err);
int cmd_people(struct cli *cli, struct error *err);
int cmd_ledger(struct cli *cli, struct error *err);
int cmd_profile(struct cli *cli, struct error *err);
int cmd_conform(struct cli *cli, struct error *err);
int cmd_verify(struct cli *cli, struct error *err);
int cmd_report(struct cli *cli, struct error *err);
int cmd_help(struct cli *cli, struct error *err);

#endif
