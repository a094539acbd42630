/* imprint conform: judges somebody's device by the specification of the link. */
#include "station/cli/cli.h"
#include "station/cli/device_port.h"
#include "station/conform/pass.h"
#include "station/vault/spawn.h"
#include "station/wire/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLLED_MAX      64
#define COMMAND_MAX     4096
#define TIMEOUT_DEFAULT 3000

/* The judge that was started, and what it may ask for. */
struct trial {
    struct device_port port;
    const char *restart; /* a command of the shell, or NULL */
    pid_t pid;
    int control;
};

static int make_pass(const struct cli *cli, struct buf *pass, struct error *err)
{
    const char *authority = cli_value(cli, "authority-key");
    const char *key = cli_value(cli, "station-key"), *cert = cli_value(cli, "station-cert");

    if (!key != !cert || (key && authority))
        return error_set(err, ERR_USAGE,
                         "--station-key and --station-cert go together, and without "
                         "--authority-key");
    return key ? pass_read(key, cert, pass, err) : pass_make(authority, pass, err);
}

/* ---- the judge's process ---- */

static const char *output_of(const struct cli *cli)
{
    return cli->json ? "json" : cli_value(cli, "hex") ? "hex" : "words";
}

static int start(struct trial *t, const char *const *argv, struct error *err)
{
    struct spawn spawn = {.argv = argv, .screen = true};
    int fds[2], rc = channel_pair(fds, err);

    if (rc)
        return rc;
    spawn.fds[0] = fds[1];
    spawn.fd_count = 1;
    rc = spawn_start(&spawn, &t->pid, err);
    close(fds[1]);
    if (rc)
        close(fds[0]);
    t->control = rc ? -1 : fds[0];
    return rc;
}

static void flags_of(const struct cli *cli, char flags[8])
{
    size_t n = 0;

    if (cli_value(cli, "replace"))
        flags[n++] = 'r';
    if (cli_value(cli, "lock"))
        flags[n++] = 'l';
    if (cli_value(cli, "restart"))
        flags[n++] = 'p';
    if (cli_value(cli, "authority-key") || cli_value(cli, "station-key"))
        flags[n++] = 'c';
    flags[n] = 0;
}

/* Its exit status is the error; what it was, it said itself. */
static int wait_for_end(const struct trial *t)
{
    bool killed;
    int status = spawn_end(t->pid, &killed);

    return WIFEXITED(status) ? -WEXITSTATUS(status) : ERR_INTERNAL;
}

/* ---- the port ---- */

static int send_port(const struct trial *t, enum offer_kind kind, int fd, const struct error *why,
                     struct error *err)
{
    struct offer offer = {.kind = (uint8_t)kind};

    snprintf(offer.name, sizeof offer.name, "%s", t->port.name);
    if (fd < 0)
        offer_put_error(&offer, why);
    return offer_send(t->control, &offer, fd, err);
}

/* What the command prints is no result of ours. */
static int run_restart(const char *command, struct error *err)
{
    char line[COMMAND_MAX];
    int status;

    if (snprintf(line, sizeof line, "{ %s\n} </dev/null >&2", command) >= (int)sizeof line)
        return error_set(err, ERR_USAGE, "the command of --restart is too long");
    status = system(line); /* the user's own command, by the user's shell */
    if (status == -1)
        return error_set_errno(err, errno, "cannot run the command of --restart");
    return status ? error_set(err, ERR_IO, "the command of --restart ended with %d",
                              WIFEXITED(status) ? WEXITSTATUS(status) : status)
                  : 0;
}

static int serve_restart(struct trial *t, struct error *err)
{
    struct error why = ERROR_INIT;
    enum offer_kind kind = OFFER_SERIAL;
    int fd = -1, rc;

    device_port_close(&t->port);
    rc = run_restart(t->restart, &why);
    if (rc == 0)
        rc = device_port_wait(&t->port, &kind, &fd, &why);
    rc = send_port(t, kind, rc ? -1 : fd, &why, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Moves the bytes of a USB device, and restarts the device when the judge asks, until that ends. */
static void serve(struct trial *t)
{
    struct pollfd polled[POLLED_MAX];
    struct error err = ERROR_INIT;
    enum offer_ask ask;
    uint16_t port;

    for (;;) {
        size_t count = 1;

        polled[0] = (struct pollfd){.fd = t->control, .events = POLLIN};
        if (t->port.hub)
            count += usb_hub_poll(t->port.hub, polled + 1, POLLED_MAX - 1);
        if (poll(polled, count, -1) < 0)
            continue;
        if (t->port.hub)
            usb_hub_work(t->port.hub);
        if (!polled[0].revents)
            continue;
        if (offer_asked(t->control, &ask, &port, &err) || !t->restart || serve_restart(t, &err))
            return;
    }
}

/* ---- the command ---- */

/* The judge, once the port is open: without one there is nothing to judge. */
static int judge_port(struct trial *t, const char *const *argv, enum offer_kind kind, int fd,
                      const struct buf *pass, struct error *err)
{
    int rc = start(t, argv, err);

    if (rc) {
        close(fd);
        return rc;
    }
    rc = send_port(t, kind, fd, NULL, err);
    close(fd); /* a device that is turned off is gone for good */
    if (rc == 0)
        rc = channel_send(t->control, pass, err);
    if (rc == 0)
        serve(t);
    close(t->control);
    *err = (struct error)ERROR_INIT; /* the judge says why it ended */
    return wait_for_end(t);
}

static int judge(struct cli *cli, struct trial *t, const char *program, const char *timeout,
                 struct error *err)
{
    const char *cases = cli_value(cli, "case");
    char flags[8];
    const char *argv[] = {program, output_of(cli), timeout, flags, cases ? cases : "", NULL};
    enum offer_kind kind = OFFER_SERIAL;
    struct buf pass;
    int fd, rc;

    flags_of(cli, flags);
    buf_init(&pass, PASS_MAX);
    rc = make_pass(cli, &pass, err);
    if (rc == 0)
        rc = device_port_open(&t->port, &kind, &fd, err);
    if (rc == 0)
        rc = judge_port(t, argv, kind, fd, &pass, err);
    device_port_close(&t->port);
    buf_wipe(&pass);
    return rc;
}

static int list(const struct cli *cli, const char *program, struct error *err)
{
    const char *argv[] = {program, output_of(cli), "list", NULL};
    struct trial t = {0};
    int rc = start(&t, argv, err);

    if (rc)
        return rc;
    close(t.control);
    return wait_for_end(&t);
}

int cmd_conform(struct cli *cli, struct error *err)
{
    struct trial t = {.restart = cli_value(cli, "restart")};
    int64_t baud = 115200, timeout_ms = TIMEOUT_DEFAULT;
    char program[PATH_MAX], timeout[24];
    int rc = spawn_find("imprint-conform", program, err);

    if (rc == 0)
        rc = cli_number(cli, "baud", 1200, 4000000, &baud, err);
    if (rc == 0)
        rc = cli_number(cli, "timeout", 10, 600000, &timeout_ms, err);
    if (rc)
        return rc;
    if (cli_value(cli, "list"))
        return list(cli, program, err);
    if (cli->arg_count == 0)
        return error_set(err, ERR_USAGE,
                         "usage: imprint conform PORT [options]; see 'imprint help conform'");
    snprintf(timeout, sizeof timeout, "%d", (int)timeout_ms);
    t.port = (struct device_port){.name = cli->args[0], .baud = (int)baud};
    return judge(cli, &t, program, timeout, err);
}
