/*
 * imprint-manifest: the security team's program for whitelist manifests.
 *
 * The table below is the only place that says which commands there are and what they take: it
 * drives the parsing, the help and, through `help --json`, the test of the manual page.
 */
#include "manifests/program.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define BIT(option) (1u << (option))

const struct program_option_info program_options[OPT_COUNT] = {
    [OPT_ROOT] = {"root", 0, "FILE", "certificate (PEM) of the root of manifest signers"},
    [OPT_DEVICE_ROOT] = {"device-root", 0, "FILE",
                         "certificate (PEM) of the root of device certificates"},
    [OPT_LOG_KEY] = {"log-key", 0, "FILE", "verifier key of the log"},
    [OPT_AFTER] = {"after", 0, "DIR", "what was accepted last, which this one must extend"},
    [OPT_MANIFEST] = {"manifest", 0, "DIR", "the manifest that the statement names"},
    [OPT_AT] = {"at", 0, "TIME", "judge the signer's certificate as of this time (default: now)"},
    [OPT_SKIP_PROOFS] = {"skip-proofs", 0, NULL,
                         "do not verify again that each device proved its key"},
    [OPT_REQUIRE_ALG] = {"require-alg", 0, "NAME[=FILE]",
                         "a signature that must be there too, below FILE or --root"},
    [OPT_STATE] = {"state", 0, "FILE", "what was accepted so far"},
    [OPT_ORDER] = {"order", 0, "FILE", "an order that may stand in records; any number of times"},
    [OPT_CERT] = {"cert", 0, "FILE", "certificate (PEM or DER), - for standard input"},
    [OPT_LIST] = {"list", 0, "FILE", "serials, one a line, - for standard input"},
    [OPT_PRODUCT] = {"product", 0, "PRODUCT", "the product, where several have the serial"},
    [OPT_WHO] = {"who", 0, "NAME", "who decides (default: the user)"},
    [OPT_WHY] = {"why", 0, "TEXT", "why"},
    [OPT_REASON] = {"reason", 0, "REASON", "reason for the CRL (default: unspecified)"},
    [OPT_LIFT] = {"lift", 0, NULL, "end a hold"},
    [OPT_KEY] = {"key", 0, "FILE", "private key (PEM) of --cert"},
    [OPT_URI] = {"uri", 0, "URI", "where certificates say that the list lies"},
    [OPT_DAYS] = {"days", 0, "N", "days until the next list is due (default: 30)"},
    [OPT_DER] = {"der", 0, NULL, "write DER instead of PEM"},
    [OPT_FORMAT] = {"format", 0, "FORMAT", "csv (the default), json, or one that 'formats' lists"},
    [OPT_SET] = {"set", 0, "NAME=VALUE", "a setting of the format; any number of times"},
    [OPT_RECEIPT] = {"receipt", 0, "FILE", "write a receipt for the station, signed by --key"},
    [OPT_CLOSING] = {"closing", 0, "DIR",
                     "check the statement with which the station closed an order"},
    [OPT_VENDOR] = {"vendor", 0, "FILE", "certificates (PEM) of those who sign the maker's lists"},
    [OPT_OUTPUT] = {"output", 'o', "FILE", "write to a file instead of standard output"},
    [OPT_JSON] = {"json", 0, NULL, "print one line of JSON"},
};

const struct program_command program_commands[] = {
    {"verify", program_verify, "DIR", 1, 1,
     BIT(OPT_ROOT) | BIT(OPT_DEVICE_ROOT) | BIT(OPT_LOG_KEY) | BIT(OPT_AFTER) | BIT(OPT_AT) |
         BIT(OPT_SKIP_PROOFS) | BIT(OPT_REQUIRE_ALG) | BIT(OPT_JSON),
     BIT(OPT_ROOT) | BIT(OPT_DEVICE_ROOT) | BIT(OPT_LOG_KEY),
     "decide whether a manifest may be imported"},
    {"show", program_show, "DIR", 1, 1, BIT(OPT_JSON), 0,
     "print what a manifest says, verifying nothing"},
    {"prove", program_prove, "DIR SERIAL", 2, 2, BIT(OPT_PRODUCT) | BIT(OPT_OUTPUT) | BIT(OPT_JSON),
     0, "make a proof that the record of one device is in the log"},
    {"verify-proof", program_verify_proof, "FILE", 1, 1, BIT(OPT_LOG_KEY) | BIT(OPT_JSON),
     BIT(OPT_LOG_KEY), "verify such a proof"},
    {"verify-ledger", program_verify_ledger, "DIR", 1, 1,
     BIT(OPT_ROOT) | BIT(OPT_AFTER) | BIT(OPT_AT) | BIT(OPT_JSON), BIT(OPT_ROOT),
     "verify an export of a station's ledger"},
    {"verify-closing", program_verify_closing, "DIR", 1, 1,
     BIT(OPT_ROOT) | BIT(OPT_MANIFEST) | BIT(OPT_AT) | BIT(OPT_JSON), BIT(OPT_ROOT),
     "verify the statement with which a station closed an order"},
    {"accept", program_accept, "DIR...", 1, PROGRAM_ANY,
     BIT(OPT_STATE) | BIT(OPT_ROOT) | BIT(OPT_DEVICE_ROOT) | BIT(OPT_LOG_KEY) | BIT(OPT_AT) |
         BIT(OPT_ORDER) | BIT(OPT_SKIP_PROOFS) | BIT(OPT_REQUIRE_ALG) | BIT(OPT_CLOSING) |
         BIT(OPT_RECEIPT) | BIT(OPT_KEY) | BIT(OPT_CERT) | BIT(OPT_JSON),
     BIT(OPT_STATE) | BIT(OPT_ROOT) | BIT(OPT_DEVICE_ROOT) | BIT(OPT_LOG_KEY),
     "verify manifests as the next ones, and enter them into the whitelist"},
    {"check", program_check, "[SERIAL]", 0, 1,
     BIT(OPT_STATE) | BIT(OPT_CERT) | BIT(OPT_PRODUCT) | BIT(OPT_JSON), BIT(OPT_STATE),
     "say whether one device may be trusted"},
    {"release", program_release, "", 0, 0,
     BIT(OPT_STATE) | BIT(OPT_LIST) | BIT(OPT_PRODUCT) | BIT(OPT_JSON),
     BIT(OPT_STATE) | BIT(OPT_LIST), "say of each serial in a list whether it may be released"},
    {"hold", program_hold, "[SERIAL...]", 0, PROGRAM_ANY,
     BIT(OPT_STATE) | BIT(OPT_LIST) | BIT(OPT_PRODUCT) | BIT(OPT_WHO) | BIT(OPT_WHY) |
         BIT(OPT_LIFT) | BIT(OPT_JSON),
     BIT(OPT_STATE) | BIT(OPT_WHY), "hold devices back, or end that"},
    {"revoke", program_revoke, "[SERIAL...]", 0, PROGRAM_ANY,
     BIT(OPT_STATE) | BIT(OPT_LIST) | BIT(OPT_PRODUCT) | BIT(OPT_WHO) | BIT(OPT_WHY) |
         BIT(OPT_REASON) | BIT(OPT_JSON),
     BIT(OPT_STATE) | BIT(OPT_WHY), "revoke identities of devices, for ever"},
    {"crl", program_crl, "", 0, 0,
     BIT(OPT_STATE) | BIT(OPT_KEY) | BIT(OPT_CERT) | BIT(OPT_URI) | BIT(OPT_DAYS) | BIT(OPT_DER) |
         BIT(OPT_OUTPUT) | BIT(OPT_JSON),
     BIT(OPT_STATE) | BIT(OPT_KEY) | BIT(OPT_CERT), "make the owner's revocation list"},
    {"export", program_export, "[DIR...]", 0, PROGRAM_ANY,
     BIT(OPT_STATE) | BIT(OPT_FORMAT) | BIT(OPT_SET) | BIT(OPT_PRODUCT) | BIT(OPT_KEY) |
         BIT(OPT_CERT) | BIT(OPT_OUTPUT) | BIT(OPT_JSON),
     BIT(OPT_STATE), "print the whitelist, or write manifests' devices for a platform"},
    {"import", program_import, "FILE...", 1, PROGRAM_ANY,
     BIT(OPT_STATE) | BIT(OPT_FORMAT) | BIT(OPT_VENDOR) | BIT(OPT_PRODUCT) | BIT(OPT_ORDER) |
         BIT(OPT_OUTPUT) | BIT(OPT_JSON),
     BIT(OPT_STATE) | BIT(OPT_FORMAT) | BIT(OPT_VENDOR) | BIT(OPT_PRODUCT),
     "enter parts that their maker provisioned into the whitelist"},
    {"formats", program_formats, "", 0, 0, BIT(OPT_JSON), 0,
     "list the platforms that 'export' writes for, and their settings"},
    {"diff", program_diff, "OLDER NEWER", 2, 2, BIT(OPT_JSON), 0,
     "say what changed from one state to another"},
    {"merge", program_merge, "FILE...", 1, PROGRAM_ANY, BIT(OPT_STATE) | BIT(OPT_JSON),
     BIT(OPT_STATE), "take what other states accepted, and find clones"},
    {"help", program_help, "[COMMAND]", 0, 1, BIT(OPT_JSON), 0, "explain the commands"},
    {"version", program_version, "", 0, 0, BIT(OPT_JSON), 0, "print the version"},
};

const size_t program_command_count = sizeof program_commands / sizeof *program_commands;

static const struct program_command *find_command(const char *name)
{
    for (size_t i = 0; i < program_command_count; i++)
        if (strcmp(program_commands[i].name, name) == 0)
            return &program_commands[i];
    return NULL;
}

static void print_options(const struct program_command *c)
{
    for (int o = 0; o < OPT_COUNT; o++) {
        const struct program_option_info *info = &program_options[o];
        char left[64];

        if (!(c->takes & BIT(o)))
            continue;
        snprintf(left, sizeof left, "%c%c%s--%s%s%s", info->letter ? '-' : ' ',
                 info->letter ? info->letter : ' ', info->letter ? ", " : "  ", info->name,
                 info->argument ? " " : "", info->argument ? info->argument : "");
        printf("  %-27s %s%s\n", left, info->help, c->needs & BIT(o) ? " (required)" : "");
    }
}

static void print_command(const struct program_command *c)
{
    printf("usage: " PROGRAM_NAME " %s [OPTION]...%s%s\n%s\n\n", c->name, *c->operands ? " " : "",
           c->operands, c->help);
    print_options(c);
}

static void print_commands(void)
{
    printf("usage: " PROGRAM_NAME " COMMAND [OPTION]... [OPERAND]...\n\n");
    for (size_t i = 0; i < program_command_count; i++)
        printf("  %-13s %s\n", program_commands[i].name, program_commands[i].help);
    printf("\n'" PROGRAM_NAME " help COMMAND' lists its options; exit codes are in " PROGRAM_NAME
           "(1)\n");
}

static json_t *json_command(const struct program_command *c)
{
    json_t *options = json_array();

    for (int o = 0; o < OPT_COUNT; o++)
        if (c->takes & BIT(o))
            json_array_append_new(options, json_pack("{s:s, s:b}", "name", program_options[o].name,
                                                     "required", (c->needs & BIT(o)) != 0));
    return json_pack("{s:s, s:s, s:s, s:o}", "name", c->name, "operands", c->operands, "help",
                     c->help, "options", options);
}

static json_t *json_exit_codes(void)
{
    json_t *codes = json_array();

#define EXIT_CODE(name, status, meaning)                                                           \
    json_array_append_new(                                                                         \
        codes, json_pack("{s:s, s:i, s:s}", "code", #name, "exit", status, "meaning", meaning));
    ERROR_LIST(EXIT_CODE)
#undef EXIT_CODE
    return codes;
}

static int help_json(struct error *err)
{
    json_t *commands = json_array();

    for (size_t i = 0; i < program_command_count; i++)
        json_array_append_new(commands, json_command(&program_commands[i]));
    return program_print_json(
        json_pack("{s:o, s:o}", "commands", commands, "exit", json_exit_codes()), err);
}

int program_help(const struct program_args *args, struct error *err)
{
    const struct program_command *c;

    if (program_json(args))
        return help_json(err);
    if (!args->operand[0]) {
        print_commands();
        return 0;
    }
    c = find_command(args->operand[0]);
    if (!c)
        return error_set(err, ERR_USAGE, "there is no command '%s'", args->operand[0]);
    print_command(c);
    return 0;
}

int program_version(const struct program_args *args, struct error *err)
{
    if (program_json(args))
        return program_print_json(
            json_pack("{s:s, s:s}", "program", PROGRAM_NAME, "version", IMPRINT_VERSION), err);
    printf(PROGRAM_NAME " " IMPRINT_VERSION "\n");
    return 0;
}

/* The table of a command's options for getopt_long; val is 256 + option, or the letter. */
static void make_options(const struct program_command *c, struct option *longs, char *shorts)
{
    *shorts++ = ':';
    for (int o = 0; o < OPT_COUNT; o++) {
        const struct program_option_info *info = &program_options[o];

        if (!(c->takes & BIT(o)))
            continue;
        *longs++ = (struct option){info->name, info->argument ? required_argument : no_argument,
                                   NULL, 256 + o};
        if (info->letter) {
            *shorts++ = info->letter;
            if (info->argument)
                *shorts++ = ':';
        }
    }
    *longs = (struct option){0};
    *shorts = 0;
}

static int option_of(int value)
{
    for (int o = 0; value < 256 && o < OPT_COUNT; o++)
        if (program_options[o].letter == value)
            return o;
    return value - 256;
}

static int parse_options(const struct program_command *c, int argc, char **argv,
                         struct program_args *args, struct error *err)
{
    struct option longs[OPT_COUNT + 1];
    char shorts[2 * OPT_COUNT + 2];
    int value;

    make_options(c, longs, shorts);
    opterr = 0;
    while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (value == ':')
            return error_set(err, ERR_USAGE, "option '%s' needs an argument", argv[optind - 1]);
        if (value == '?')
            return error_set(err, ERR_USAGE, "'%s' has no option '%s'", c->name, argv[optind - 1]);
        if (option_of(value) == OPT_ORDER)
            args->orders[args->order_count++] = optarg;
        if (option_of(value) == OPT_SET)
            args->sets[args->set_count++] = optarg;
        if (option_of(value) == OPT_REQUIRE_ALG)
            args->algorithms[args->algorithm_count++] = optarg;
        args->option[option_of(value)] = optarg ? optarg : "";
    }
    return 0;
}

static int parse_args(const struct program_command *c, int argc, char **argv,
                      struct program_args *args, struct error *err)
{
    int rc = parse_options(c, argc, argv, args, err), operands = argc - optind;

    if (rc)
        return rc;
    if (operands < c->min_operands || operands > c->max_operands)
        return error_set(err, ERR_USAGE, "expected '" PROGRAM_NAME " %s %s'", c->name, c->operands);
    args->operand = argv + optind;
    args->operands = operands;
    for (int o = 0; o < OPT_COUNT; o++)
        if ((c->needs & BIT(o)) && !args->option[o])
            return error_set(err, ERR_USAGE, "'%s' needs the option --%s: %s", c->name,
                             program_options[o].name, program_options[o].help);
    return 0;
}

/* Results that could not be written are a failure, not a success with an empty file. */
static int flush_output(int rc, struct error *err)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return rc;
    return rc ? rc : error_set(err, ERR_IO, "cannot write to standard output");
}

static void report_failure(bool json, int rc, const struct error *err)
{
    struct error ignored;

    error_tell(PROGRAM_NAME, err);
    if (json && !program_printed_json() &&
        program_print_json(json_pack("{s:o}", "error", program_json_error(rc, err)), &ignored) == 0)
        fflush(stdout);
}

int main(int argc, char **argv)
{
    const struct program_command *c = argc > 1 ? find_command(argv[1]) : NULL;
    struct program_args args = {0};
    struct error err = ERROR_INIT;
    int rc;

    message_language();
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        c = find_command("help");
    else if (argc > 1 && strcmp(argv[1], "--version") == 0)
        c = find_command("version");
    if (!c) {
        if (argc > 1)
            fprintf(stderr,
                    PROGRAM_NAME ": there is no command '%s': see '" PROGRAM_NAME " help'\n",
                    argv[1]);
        else
            fprintf(stderr, PROGRAM_NAME ": name a command: see '" PROGRAM_NAME " help'\n");
        return error_exit_status(ERR_USAGE);
    }
    args.orders = calloc((size_t)argc, sizeof *args.orders);
    args.sets = calloc((size_t)argc, sizeof *args.sets);
    args.algorithms = calloc((size_t)argc, sizeof *args.algorithms);
    rc = args.orders && args.sets && args.algorithms
             ? parse_args(c, argc - 1, argv + 1, &args, &err)
             : error_set(&err, ERR_INTERNAL, "out of memory");
    if (rc == 0)
        rc = c->run(&args, &err);
    rc = flush_output(rc, &err);
    if (rc)
        report_failure(program_json(&args), rc, &err);
    free(args.orders);
    free(args.sets);
    free(args.algorithms);
    return error_exit_status(rc);
}
