/* imprint verify: is this device genuine, and whitelisted? For whoever has it on a desk, with no key. */
#include "base/codec.h"
#include "base/file.h"
#include "station/cli/cli.h"
#include "station/cli/device_port.h"
#include "station/vault/spawn.h"
#include "station/verify/accepted.h"
#include "station/verify/verdict.h"
#include "station/wire/channel.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define POLLED_MAX      64
#define TIMEOUT_DEFAULT 1500 /* three tries of it are within five seconds */

/* What is known of one device. */
struct visit {
    struct device_port port;
    char manifests[PATH_MAX], trust[PATH_MAX];
    struct gs1_code label;
    bool labelled;
    struct probe_question question;
    struct probe probe;
    struct buf certificates;
    struct found found;
    struct accepted accepted;
    struct verdict verdict;
};

/* ---- what was said on the command line ---- */

static int read_places(const struct cli *cli, struct visit *v, struct error *err)
{
    const char *manifests = cli_value(cli, "manifests"), *trust = cli_value(cli, "trust");
    int rc;

    if (trust && cli_value(cli, "state"))
        return error_set(err, ERR_USAGE,
                         "--state names what was verified already, and --trust with what to "
                         "verify: give one of them");
    rc = manifests ? file_join(v->manifests, sizeof v->manifests, manifests, "", err)
                   : file_join(v->manifests, sizeof v->manifests, cli->dir, "manifests", err);
    if (rc == 0)
        rc = trust ? file_join(v->trust, sizeof v->trust, trust, "", err)
                   : file_join(v->trust, sizeof v->trust, cli->dir, "trust", err);
    return rc;
}

/* One line, as a scanner that types sends it. */
static int scan_line(char line[GS1_CODE_MAX + 2], struct error *err)
{
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "scan the label of the unit: ");
    if (!fgets(line, GS1_CODE_MAX + 2, stdin))
        return error_set(err, ERR_INPUT, "nothing was scanned");
    line[strcspn(line, "\r\n")] = 0;
    return 0;
}

static int read_label(const struct cli *cli, struct visit *v, struct error *err)
{
    const char *text = cli_value(cli, "label");
    time_t now = time(NULL);
    char line[GS1_CODE_MAX + 2];
    struct tm date;
    int rc = 0;

    if (text && cli_value(cli, "scan"))
        return error_set(err, ERR_USAGE, "give --label or --scan, not both");
    if (cli_value(cli, "scan")) {
        rc = scan_line(line, err);
        text = line;
    }
    if (rc || !text)
        return rc;
    gmtime_r(&now, &date);
    rc = gs1_read(text, strlen(text), GS1_ANY, 0, date.tm_year + 1900, &v->label, err);
    if (rc == 0 && v->label.is_gs1 && !*v->label.serial)
        rc = error_set(err, ERR_INPUT, "the label has no serial, AI (21)");
    v->labelled = rc == 0;
    return rc;
}

/* ---- the device ---- */

static int draw(void *out, size_t len, struct error *err)
{
    return getrandom(out, len, 0) == (ssize_t)len
               ? 0
               : error_set_errno(err, errno, "no random numbers");
}

static int start(int timeout_ms, pid_t *pid, int *control, struct error *err)
{
    char program[PATH_MAX], timeout[24];
    const char *argv[] = {program, timeout, NULL};
    struct spawn spawn = {.argv = argv, .fd_count = 1};
    int fds[2], rc = spawn_find("imprint-verify", program, err);

    snprintf(timeout, sizeof timeout, "%d", timeout_ms);
    if (rc == 0)
        rc = channel_pair(fds, err);
    if (rc)
        return rc;
    spawn.fds[0] = fds[1];
    rc = spawn_start(&spawn, pid, err);
    close(fds[1]);
    if (rc)
        close(fds[0]);
    else
        *control = fds[0];
    return rc;
}

/* The next message of who asks, while the bytes of a USB device are moved. */
static int next_message(struct visit *v, int control, struct buf *m, struct error *err)
{
    struct pollfd polled[POLLED_MAX];

    for (;;) {
        size_t count = 1;

        polled[0] = (struct pollfd){.fd = control, .events = POLLIN};
        if (v->port.hub)
            count += usb_hub_poll(v->port.hub, polled + 1, POLLED_MAX - 1);
        if (poll(polled, count, -1) < 0)
            continue;
        if (v->port.hub)
            usb_hub_work(v->port.hub);
        if (polled[0].revents)
            return channel_receive(control, m, err);
    }
}

static int take_answer(struct visit *v, int control, struct error *err)
{
    struct buf m;
    int rc;

    buf_init(&m, WIRE_MAX);
    rc = next_message(v, control, &m, err);
    if (rc == 0)
        rc = probe_get(m.data, m.len, &v->probe, err);
    if (rc == 0 && v->probe.state == IMPRINT_TX_COMMITTED) {
        rc = next_message(v, control, &m, err);
        if (rc == 0)
            buf_put(&v->certificates, m.data + 1, m.len - 1);
    }
    buf_done(&m);
    return rc;
}

static int send_question(struct visit *v, int control, enum offer_kind kind, int fd,
                         struct error *err)
{
    struct offer offer = {.kind = (uint8_t)kind};
    struct buf m;
    int rc = draw(&v->question, sizeof v->question, err);

    snprintf(offer.name, sizeof offer.name, "%s", v->port.name);
    buf_init(&m, WIRE_MAX);
    probe_question_put(&m, &v->question);
    if (rc == 0)
        rc = offer_send(control, &offer, fd, err);
    if (rc == 0)
        rc = channel_send(control, &m, err);
    buf_done(&m);
    return rc;
}

static int ask(struct visit *v, int timeout_ms, struct error *err)
{
    enum offer_kind kind = OFFER_SERIAL;
    int fd = -1, control = -1, rc = device_port_open(&v->port, &kind, &fd, err);
    bool killed;
    pid_t pid;

    if (rc == 0)
        rc = start(timeout_ms, &pid, &control, err);
    if (rc == 0) {
        rc = send_question(v, control, kind, fd, err);
        if (rc == 0)
            rc = take_answer(v, control, err);
        close(control);
        (void)spawn_end(pid, &killed);
    }
    if (fd >= 0)
        close(fd);
    device_port_close(&v->port);
    return rc;
}

/* ---- the answer ---- */

static json_t *text_or_null(const char *text)
{
    return *text ? json_string(text) : json_null();
}

static json_t *genuine_json(const struct verdict *d)
{
    if (d->answer == VERDICT_NOT_GENUINE)
        return json_false();
    return d->proved ? json_true() : json_null();
}

static json_t *label_json(const struct visit *v)
{
    if (!v->labelled || (v->verdict.answer != VERDICT_OK && v->verdict.answer != VERDICT_LABEL))
        return json_null(); /* it was not compared */
    return json_boolean(v->verdict.answer == VERDICT_OK);
}

static void print_json(const struct visit *v)
{
    const struct verdict *d = &v->verdict;
    const struct record *r = &v->found.record;
    bool placed = d->trust.answer != WHITELIST_UNKNOWN && *d->trust.origin;
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1];
    json_t *o;

    hex_encode(v->probe.chip, v->probe.chip_len, chip);
    o = json_pack("{s:s, s:s, s:s, s:i, s:o, s:s, s:s, s:b, s:o, s:o, s:o, s:b}", "event",
                  "verdict", "answer", verdict_name(d->answer), "why", d->why, "exit",
                  error_exit_status(verdict_code(d->answer)), "genuine", genuine_json(d), "chip",
                  chip, "firmware", v->probe.firmware, "debug", v->probe.debug, "serial",
                  text_or_null(v->probe.serial), "product",
                  text_or_null(v->found.found ? r->prod : ""), "label", label_json(v), "locked",
                  d->proved && v->probe.lifecycle == IMPRINT_LIFE_LOCKED);
    json_object_set_new(o, "origin", placed ? json_string(d->trust.origin) : json_null());
    json_object_set_new(o, "leaf", placed ? json_integer((json_int_t)d->trust.leaf) : json_null());
    cli_print_json(o);
}

/* What it is, in the first words; why follows. */
static const char *headline(enum verdict_answer answer)
{
    static const char *const lines[VERDICT_ANSWERS] = {
        [VERDICT_EMPTY] = "NO IDENTITY",
        [VERDICT_UNKNOWN] = "UNKNOWN: not in the whitelist",
        [VERDICT_UNPROVABLE] = "CANNOT BE VERIFIED HERE",
        [VERDICT_NOT_GENUINE] = "NOT GENUINE: set it aside",
        [VERDICT_REVOKED] = "GENUINE, AND REVOKED: it must not be used",
        [VERDICT_REPLACED] = "GENUINE, AND REPLACED by a newer identity: it must not be used",
        [VERDICT_HELD] = "GENUINE, AND HELD by its owner: it must not be used for now",
        [VERDICT_LABEL] = "WRONG LABEL on a genuine device",
        [VERDICT_OK] = "GENUINE and whitelisted",
    };

    return lines[answer];
}

static void print_words(const struct visit *v)
{
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1];

    hex_encode(v->probe.chip, v->probe.chip_len, chip);
    printf("%s\n  %s\n", headline(v->verdict.answer), v->verdict.why);
    if (v->found.found)
        printf("  serial %s of product %s\n", v->found.record.sn, v->found.record.prod);
    printf("  chip %s, firmware %s%s%s\n", chip, v->probe.firmware,
           v->probe.debug ? ", debug port open" : "",
           !v->verdict.proved                          ? ""
           : v->probe.lifecycle == IMPRINT_LIFE_LOCKED ? ", locked"
                                                       : ", not locked");
}

/* ---- the command ---- */

static int judge(struct visit *v, struct error *err)
{
    struct verdict_question q = {.probe = &v->probe,
                                 .nonce = v->question.prove,
                                 .certificates = &v->certificates,
                                 .found = &v->found,
                                 .trust = v->accepted.trust,
                                 .label = v->labelled ? &v->label : NULL};
    int rc = 0;

    if (v->probe.state == IMPRINT_TX_COMMITTED)
        rc = found_search(v->manifests, v->probe.tx, &v->found, err);
    return rc ? rc : verdict_reach(&q, &v->verdict, err);
}

static int visit_device(const struct cli *cli, struct visit *v, int timeout_ms, struct error *err)
{
    const char *state = cli_value(cli, "state");
    int rc = state ? accepted_open(state, &v->accepted, err)
                   : accepted_verify(v->manifests, v->trust, &v->accepted, err);

    if (rc == 0)
        rc = ask(v, timeout_ms, err);
    if (rc == 0)
        rc = judge(v, err);
    if (rc)
        return rc;
    (cli->json ? print_json : print_words)(v);
    *err = (struct error)ERROR_INIT; /* it is said already */
    return verdict_code(v->verdict.answer);
}

int cmd_verify(struct cli *cli, struct error *err)
{
    int64_t baud = 115200, timeout_ms = TIMEOUT_DEFAULT;
    static struct visit v; /* too large for the stack */
    int rc = cli_number(cli, "baud", 1200, 4000000, &baud, err);

    v.port = (struct device_port){.name = cli->args[0], .baud = (int)baud};
    buf_init(&v.certificates, PROBE_CERTIFICATES_MAX);
    if (rc == 0)
        rc = cli_number(cli, "timeout", 10, 600000, &timeout_ms, err);
    if (rc == 0)
        rc = read_places(cli, &v, err);
    if (rc == 0)
        rc = read_label(cli, &v, err);
    if (rc == 0)
        rc = visit_device(cli, &v, (int)timeout_ms, err);
    accepted_done(&v.accepted);
    found_done(&v.found);
    buf_done(&v.certificates);
    return rc;
}
