/* imprint generate: makes credentials ahead of time. */
#include "base/plural.h"
#include "station/cli/cli.h"
#include "station/cli/progress.h"
#include "station/vault/generate.h"
#include "station/vault/issue.h"
#include "station/vault/quota.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define COUNT_MAX      INT64_C(100000000)
#define THREADS_USEFUL 2

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static bool stop(void *context)
{
    (void)context;
    return interrupted != 0;
}

static void show(void *context, int64_t done)
{
    progress_show(context, done);
}

/* How many to make: --count, or what is missing to --up-to. */
static int wanted(const struct cli *cli, const struct vault *v, int64_t *count,
                  int64_t *made_before, struct error *err)
{
    int64_t up_to = -1, add = -1;
    int rc = cli_number(cli, "count", 1, COUNT_MAX, &add, err);

    if (rc == 0)
        rc = cli_number(cli, "up-to", 1, COUNT_MAX, &up_to, err);
    if (rc)
        return rc;
    if ((add < 0) == (up_to < 0))
        return error_set(err, ERR_USAGE,
                         "say how many with either --count N (so many more) or --up-to N (so many "
                         "in all)");
    if (add > 0) {
        *count = add;
        return 0;
    }
    *made_before = quota_issued(&v->counts) + v->counts.spares;
    *count = up_to > *made_before ? up_to - *made_before : 0;
    return rc;
}

/* One for each processor and no more than two: one more thread writes the database. */
static int threads_wanted(const struct cli *cli, int64_t *threads, struct error *err)
{
    *threads = sysconf(_SC_NPROCESSORS_ONLN) < THREADS_USEFUL ? 1 : THREADS_USEFUL;
    return cli_number(cli, "threads", 1, ISSUE_THREADS_MAX, threads, err);
}

static void report(const struct cli *cli, int64_t count, int64_t made, int64_t made_before)
{
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I}", "event", "generated", "count", (json_int_t)made));
    else if (count > 0 && !job_serials_ahead(&cli->job.serials))
        printf("generated %" PRId64
               " key%s for order '%s': the certificate is signed when a device takes the key\n",
               made, PLURAL(made), cli->job.order);
    else if (count == 0)
        printf("nothing to generate: order '%s' has %" PRId64 " credential%s already\n",
               cli->job.order, made_before, PLURAL(made_before));
    else
        printf("generated %" PRId64 " credential%s for order '%s'\n", made, PLURAL(made),
               cli->job.order);
    fflush(stdout);
}

/* The same command with --count would make as many again. */
static int say_how_to_go_on(const struct cli *cli, int64_t left, struct error *err)
{
    if (cli_value(cli, "up-to"))
        return error_set(err, ERR_INTERRUPTED,
                         "stopped on request: what was made is kept, the same command goes on");
    return error_set(err, ERR_INTERRUPTED,
                     "stopped on request: what was made is kept; to make the rest run it with "
                     "--count %" PRId64,
                     left);
}

int cmd_generate(struct cli *cli, struct error *err)
{
    struct progress progress;
    struct generate_watch watch = {show, stop, &progress};
    struct vault v;
    int64_t count = 0, made = 0, made_before = 0, threads;
    int rc = vault_init(&v, &cli->config, &cli->job, cli->store, cli->hsm, err);

    if (rc == 0)
        rc = threads_wanted(cli, &threads, err);
    if (rc == 0)
        rc = wanted(cli, &v, &count, &made_before, err);
    if (rc == 0) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        progress_start(&progress, "credentials", count, cli->quiet);
        rc = generate_credentials(&v, count, (unsigned)threads, &watch, &made, err);
        progress_end(&progress);
        if (rc == 0 || made > 0) /* what is refused made nothing */
            report(cli, count, made, made_before);
        if (rc == ERR_INTERRUPTED)
            rc = say_how_to_go_on(cli, count - made, err);
        cli_warn_order(cli, v.order, quota_warnings(&v));
        cli_warn_issuing(cli, &v);
    }
    vault_done(&v);
    return rc;
}
