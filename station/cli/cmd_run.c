/* imprint run: provisions the devices that are put into the slots. */
#include "station/cli/cli.h"
#include "station/vault/farewell.h"
#include "station/vault/hooks.h"
#include "station/vault/quota.h"
#include "station/vault/scan.h"
#include "station/vault/scanning.h"
#include "station/vault/screen.h"
#include "station/vault/server.h"
#include "station/vault/spawn.h"

#include <errno.h>
#include <unistd.h>

/* The job's pipe, or standard input; whoever types there is asked. */
static int read_labels(const struct cli *cli, const struct vault *v, struct scans *scans,
                       struct error *err)
{
    const char *path = cli->job.serials.input;
    FILE *in;
    int rc;

    if (!*path)
        return scans_read(scans, v, stdin, "standard input", isatty(STDIN_FILENO) != 0, err);
    in = fopen(path, "re");
    if (!in)
        return error_set_errno(err, errno, "cannot open '%s' to read labels", path);
    rc = scans_read(scans, v, in, path, false, err);
    fclose(in);
    return rc;
}

/* Labels are known, and judged, before a device is spoken to. */
static int find_labels(const struct cli *cli, struct vault *v, struct error *err)
{
    static struct scans scans;
    const char *given = cli_value(cli, "scan");
    int rc = 0;

    if (given)
        rc = scans_add(&scans, v, given, err);
    else if (cli->job.serials.source == SOURCE_SCANNED && (*cli->job.serials.input || !v->scanning))
        rc = read_labels(cli, v, &scans, err);
    v->scans = &scans;
    return rc;
}

/* What a run needs before the line may begin. */
static int prepare(struct cli *cli, struct vault *v, struct error *err)
{
    int rc = 0;

    if (v->farewells)
        rc = farewell_check(v, err);
    else if (v->job->step != JOB_STEP_LOCK) /* which takes nothing from the order */
        rc = quota_check_run(v, err);

    if (rc == 0 && v->job->label.check && !v->scanning && !v->farewells)
        rc = error_set(err, ERR_REFUSED,
                       "job '%s' checks labels, and this station has no scanner: add 'scanners' to "
                       "station.yaml",
                       v->job->name);
    if (rc == 0)
        rc = vault_load_certificate(v, err);
    if (rc == 0 && !v->farewells)
        rc = find_labels(cli, v, err);
    return rc;
}

/* How many identities of the order came to an end. */
static int64_t ended(const struct vault *v)
{
    return v->counts.by_state[CREDENTIAL_BURNED] + v->counts.by_state[CREDENTIAL_REVOKED];
}

/* Also where another slot failed with rc, which stays the result. */
static int keep_revocations(struct cli *cli, int rc, struct error *err)
{
    struct error later = ERROR_INIT;
    int kept = cli_keep_revocations(cli, rc ? &later : err);

    return rc ? rc : kept;
}

/* The programs that started before the token was opened. */
struct beside {
    struct attest attest;
    struct hooks *hooks;
    struct server server;
    struct screen screen;
};

static int serve(struct cli *cli, const char *farewells, struct beside *beside, struct error *err)
{
    struct server *server = &beside->server;
    struct vault v;
    int64_t before;
    int rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);

    if (rc == 0)
        rc = cli_open_hsm(cli, err);
    if (rc) {
        server_stop_line(server);
        return rc;
    }
    rc = vault_init(&v, &cli->config, &cli->job, cli->store, cli->hsm, err);
    v.attest = beside->attest.pid ? &beside->attest : NULL;
    v.hooks = beside->hooks;
    v.farewells = farewells;
    if (rc == 0 && server->reads_scanners && !(v.scanning = scanning_new()))
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    if (rc == 0)
        rc = prepare(cli, &v, err);
    if (rc) {
        server_stop_line(server);
    } else {
        before = ended(&v);
        rc = server_run(server, &v, err);
        screen_end(&beside->screen); /* what follows is to be read */
        cli_warn_order(cli, v.order, quota_warnings(&v));
        cli_warn_issuing(cli, &v);
        cli_warn_receipts(cli);
        rc = ended(&v) > before ? keep_revocations(cli, rc, err) : rc;
    }
    scanning_free(v.scanning);
    vault_done(&v);
    return rc;
}

static int start_checker(struct cli *cli, struct attest *attest, struct error *err)
{
    char program[PATH_MAX];
    int rc;

    if (cli->job.vendor_root_count == 0)
        return 0;
    rc = spawn_find("imprint-checker", program, err);
    return rc ? rc : attest_start(attest, program, &cli->job, err);
}

/* A line that goes on, for a person. */
static bool wants_board(const struct cli *cli)
{
    return !cli->json && !cli->quiet && !cli_value(cli, "once") && !cli_value(cli, "lines");
}

/* The other programs start first: they must not inherit a module, a PIN or a database. */
int cli_run(struct cli *cli, const char *farewells, struct error *err)
{
    struct beside beside = {.attest = {.fd = -1},
                            .server = {.control = -1, .scanners = -1, .typed = -1},
                            .screen = {.line = -1, .errors = -1, .typed = -1}};
    const struct server_run run = {.screen = &beside.screen,
                                   .config = farewells ? NULL : &cli->config,
                                   .fixtures = &cli->config,
                                   .output = cli->json    ? "json"
                                             : cli->quiet ? "quiet"
                                                          : "words",
                                   .once = farewells || cli_value(cli, "once")};
    int rc = start_checker(cli, &beside.attest, err);

    if (rc == 0 && !farewells) /* whose units the plant has no say in */
        rc = hooks_start(&cli->config, NULL, &beside.hooks, err);
    if (rc == 0 && !farewells && wants_board(cli))
        rc = screen_start(&beside.screen, err);
    if (rc == 0)
        rc = server_start_line(&beside.server, &cli->job, &run, err);
    if (rc == 0)
        rc = serve(cli, farewells, &beside, err);
    screen_end(&beside.screen);
    hooks_stop(beside.hooks);
    attest_stop(&beside.attest);
    return rc;
}

int cmd_run(struct cli *cli, struct error *err)
{
    return cli_run(cli, NULL, err);
}
