/* imprint: finds the command in the table, parses its options, opens what it needs, runs it. */
#include "base/file.h"
#include "hsm/keys.h"
#include "station/cli/cli.h"
#include "station/confine/confine.h"
#include "station/schema/schema.h"
#include "station/vault/clock_stop.h"
#include "station/vault/counting.h"
#include "station/vault/transcript.h"
#include "station/vault/vault.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options that every command takes. */
static const struct cli_option common_options[] = {
    {"dir", "DIR", "the station's directory; default: IMPRINT_DIR, or the system's place"},
    {"json", NULL, "results as JSON, one object a line"},
    {"quiet", NULL, "no progress"},
    {"ask-pin", NULL, "ask for the PIN at the terminal, whatever is configured"},
    {"help", NULL, "what the command does"},
    {NULL, NULL, NULL}};

static size_t option_count(const struct cli_option *options)
{
    size_t n = 0;

    while (options[n].name)
        n++;
    return n;
}

const char *cli_value(const struct cli *cli, const char *name)
{
    for (size_t i = 0; cli->command->options[i].name; i++)
        if (strcmp(cli->command->options[i].name, name) == 0)
            return cli->values[i];
    return NULL;
}

int cli_number(const struct cli *cli, const char *name, int64_t least, int64_t most, int64_t *out,
               struct error *err)
{
    const char *text = cli_value(cli, name);
    char *end;
    long long value;

    if (!text)
        return 0;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (!*text || *end || errno || value < least || value > most)
        return error_set(err, ERR_USAGE, "--%s must be a whole number from %" PRId64 " to %" PRId64,
                         name, least, most);
    *out = value;
    return 0;
}

int cli_nv_index(const char *text, uint32_t *index, struct error *err)
{
    char *end;
    unsigned long value = strtoul(text, &end, 16);

    if (*end || value < COUNTER_INDEX_MIN || value > COUNTER_INDEX_MAX)
        return error_set(err, ERR_USAGE,
                         "--counter must be an NV index from 0x%08x to 0x%08x, such as 0x01800100",
                         COUNTER_INDEX_MIN, COUNTER_INDEX_MAX);
    *index = (uint32_t)value;
    return 0;
}

void cli_print_json(struct json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT | JSON_SORT_KEYS);
    putchar('\n');
    fflush(stdout);
    json_decref(object);
}

static void print_options(const struct cli_option *options)
{
    for (; options->name; options++) {
        char left[64];

        snprintf(left, sizeof left, "--%s%s%s", options->name, options->value ? " " : "",
                 options->value ? options->value : "");
        printf("  %-22s %s\n", left, options->meaning);
    }
}

static void print_command_help(const struct cli_command *command)
{
    printf("usage: imprint %s%s%s [options]\n\n%s\n\noptions:\n", command->name,
           *command->arguments ? " " : "", command->arguments,
           *command->details ? command->details : command->summary);
    print_options(command->options);
    print_options(common_options);
}

static void print_overview(void)
{
    printf(
        "usage: imprint COMMAND [options]\n\n"
        "Provisions devices with identities made in an HSM, and seals signed manifests of them.\n"
        "\ncommands:\n");
    for (const struct cli_command *c = cli_commands; c->name; c++)
        printf("  %-10s %s\n", c->name, c->summary);
    printf("\n'imprint help COMMAND' tells more; imprint(1) is the manual.\n");
}

static const struct cli_command *find_command(const char *name, struct error *err)
{
    const char *names[64], *near;
    size_t n = 0;

    for (const struct cli_command *c = cli_commands; c->name; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
        names[n++] = c->name;
    }
    names[n] = NULL;
    near = schema_nearest(name, names);
    if (*name == '-')
        error_set(err, ERR_USAGE, "option '%s' comes after the command: imprint COMMAND %s", name,
                  name);
    else
        error_set(err, ERR_USAGE, "there is no command '%s'%s%s%s 'imprint help' lists them", name,
                  near ? "; did you mean '" : ";", near ? near : "", near ? "'?" : "");
    return NULL;
}

int cmd_help(struct cli *cli, struct error *err)
{
    const struct cli_command *command;

    if (cli->arg_count == 0) {
        print_overview();
        return 0;
    }
    command = find_command(cli->args[0], err);
    if (!command)
        return ERR_USAGE;
    print_command_help(command);
    return 0;
}

/* Fills options from the command's table and the common one; val is the index plus one. */
static void build_options(const struct cli_command *command, struct option *out)
{
    const struct cli_option *tables[] = {command->options, common_options};
    int n = 0;

    for (size_t t = 0; t < 2; t++)
        for (const struct cli_option *o = tables[t]; o->name; o++, n++)
            out[n] =
                (struct option){o->name, o->value ? required_argument : no_argument, NULL, n + 1};
    out[n] = (struct option){NULL, 0, NULL, 0};
}

static int common_option(struct cli *cli, const char *name)
{
    if (strcmp(name, "dir") == 0)
        cli->chosen_dir = optarg;
    else if (strcmp(name, "json") == 0)
        cli->json = true;
    else if (strcmp(name, "quiet") == 0)
        cli->quiet = true;
    else if (strcmp(name, "ask-pin") == 0)
        cli->ask_pin = true;
    else
        return 1; /* --help */
    return 0;
}

/* What getopt_long refused: '?' for an option that is not there, ':' for one without its value. */
static int refuse_option(const struct cli *cli, int found, const char *text,
                         const struct option *options, struct error *err)
{
    const char *names[2 * CLI_OPTIONS_MAX], *near = NULL;
    size_t n = 0;

    if (found == ':')
        return error_set(err, ERR_USAGE, "option '%s' needs a value; see 'imprint help %s'", text,
                         cli->command->name);
    for (; options[n].name; n++)
        names[n] = options[n].name;
    names[n] = NULL;
    if (strncmp(text, "--", 2) == 0)
        near = schema_nearest(text + 2, names);
    return error_set(err, ERR_USAGE, "'imprint %s' has no option '%s'%s%s%s see 'imprint help %s'",
                     cli->command->name, text, near ? "; did you mean '--" : ";", near ? near : "",
                     near ? "'?" : "", cli->command->name);
}

static int refuse_abbreviation(const struct cli *cli, const char *name, struct error *err)
{
    return error_set(err, ERR_USAGE, "options are written out: --%s; see 'imprint help %s'", name,
                     cli->command->name);
}

/* getopt_long takes any beginning of a name; in a script it would change its meaning as soon as
 * another option is added. */
static bool is_whole_name(char **argv, const char *name)
{
    const char *text = argv[optind - 1];

    if (optarg && optarg == text) /* the value is a word of its own */
        text = argv[optind - 2];
    return strcspn(text + 2, "=") == strlen(name);
}

/* Nothing that was said is dropped: of two values one would be. */
static int take_value(struct cli *cli, size_t index, const char *name, struct error *err)
{
    bool again = strcmp(name, "set") == 0;

    if (cli->values[index] && !again)
        return error_set(err, ERR_USAGE, "--%s is given twice, and it can be one of them only",
                         name);
    if (again && cli->set_count == CLI_SETS_MAX)
        return error_set(err, ERR_USAGE, "--%s is given more than %d times", name, CLI_SETS_MAX);
    cli->values[index] = optarg ? optarg : "";
    if (again)
        cli->sets[cli->set_count++] = optarg;
    return 0;
}

/* 1 when help was asked for and printed. */
static int parse_options(struct cli *cli, int argc, char **argv, struct error *err)
{
    struct option options[2 * CLI_OPTIONS_MAX];
    size_t own = option_count(cli->command->options);
    int found;

    build_options(cli->command, options);
    opterr = 0;
    while ((found = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (found == '?' || found == ':')
            return refuse_option(cli, found, argv[optind - 1], options, err);
        if (found == 'h') {
            print_command_help(cli->command);
            return 1;
        }
        if (!is_whole_name(argv, options[found - 1].name))
            return refuse_abbreviation(cli, options[found - 1].name, err);
        if ((size_t)found <= own) {
            int rc = take_value(cli, (size_t)found - 1, options[found - 1].name, err);

            if (rc)
                return rc;
        } else if (common_option(cli, options[found - 1].name)) {
            print_command_help(cli->command);
            return 1;
        }
    }
    cli->args = argv + optind;
    cli->arg_count = argc - optind;
    if (cli->arg_count < cli->command->least || cli->arg_count > cli->command->most)
        return error_set(err, ERR_USAGE, "usage: imprint %s%s%s [options]; see 'imprint help %s'",
                         cli->command->name, *cli->command->arguments ? " " : "",
                         cli->command->arguments, cli->command->name);
    return 0;
}

static void warn_of_token(void *context, enum hsm_finding_kind kind, const char *key,
                          const char *text)
{
    (void)context;
    (void)kind;
    fprintf(stderr, "imprint: %s: %s; see 'imprint audit'\n", key, text);
}

int cli_attach(struct cli *cli, cli_attach_fn attach, struct error *err)
{
    const struct transcript_listener listener = {.finding = warn_of_token};
    int rc = store_set_actor(cli->store, cli_value(cli, "by"), cli_value(cli, "reason"), err);

    (void)confine_lock_memory(); /* where it cannot, what secret.h holds is locked all the same */
    if (rc == 0)
        rc = vault_open_hsm(&cli->config, &cli->hsm, err);
    if (rc)
        return rc;
    if (hsm_pin_was_wrong(cli->hsm))
        fprintf(stderr, "imprint: somebody gave token '%s' a wrong PIN since the last good one\n",
                cli->config.token);
    cli->anchoring = (struct anchoring){.config = &cli->config, .hsm = cli->hsm};
    rc = attach(&cli->anchoring, cli->store, err);
    if (rc == 0)
        rc = transcript_check_token(&cli->config, cli->store, cli->hsm, &listener, err);
    return rc;
}

int cli_open_hsm(struct cli *cli, struct error *err)
{
    int rc = cli_attach(cli, vault_attach_store, err);

    return rc ? rc : clock_stop_check(cli->store, err);
}

static int open_needs(struct cli *cli, struct error *err)
{
    unsigned needs = cli->command->needs;
    int rc = config_find_dir(cli->chosen_dir, cli->dir, err);

    if (rc == 0 && needs & NEED_CONFIG)
        rc = config_read(cli->dir, &cli->config, err);
    cli->config.ask_pin = cli->ask_pin;
    if (rc == 0 && needs & NEED_JOB) {
        cli->has_job = true;
        rc = job_read(cli->args[0], &cli->job, err);
    }
    if (rc == 0 && needs & (NEED_STORE_READ | NEED_STORE_WRITE))
        rc = vault_open_store(&cli->config, needs & NEED_STORE_WRITE ? STORE_WRITE : STORE_READ,
                              &cli->store, err);
    if (rc == 0 && needs & NEED_HSM)
        rc = cli_open_hsm(cli, err);
    return rc;
}

static void close_needs(struct cli *cli)
{
    counting_end(&cli->anchoring);
    store_close(cli->store);
    hsm_close(cli->hsm);
    if (cli->has_job)
        job_done(&cli->job);
}

static int run(struct cli *cli, int argc, char **argv, struct error *err)
{
    const char *name = argc > 1 ? argv[1] : "help";
    int rc;

    if (strcmp(name, "--version") == 0) {
        printf("imprint %s\n", IMPRINT_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    cli->command = find_command(name, err);
    if (!cli->command)
        return ERR_USAGE;
    rc = argc > 1 ? parse_options(cli, argc - 1, argv + 1, err) : 0;
    if (rc)
        return rc == 1 ? 0 : rc;
    rc = open_needs(cli, err);
    if (rc == 0)
        rc = cli->command->run(cli, err);
    close_needs(cli);
    return rc;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct cli cli = {0};
    int rc;

    message_language();
    signal(SIGPIPE, SIG_IGN);
    rc = confine_memory(&err);
    if (rc == 0)
        rc = run(&cli, argc, argv, &err);
    if (rc && err.code && cli.json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:i}", "error", error_name(rc), "message",
                                 err.message, "text", err.text, "exit", error_exit_status(rc)));
    if (rc && err.code)
        error_tell("imprint", &err);
    return error_exit_status(rc);
}
