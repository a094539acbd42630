/*
 * imprint-device: a device to provision, without hardware.
 *
 * It runs the agent that firmware runs, keeps its flash in a folder, and shows a serial port. See
 * imprint-device(1).
 */
#include "device.h"
#include "export.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void print_help(FILE *out)
{
    fputs("usage: imprint-device --store DIR --port PATH [option ...]\n"
          "       imprint-device export --store DIR --out DIR\n"
          "\n"
          "    --store DIR        the device's flash; created if need be\n"
          "    --port PATH        the symbolic link to the device's serial port\n"
          "    --chip-id HEX      1 to 32 bytes; 0001020304050607 if not given\n"
          "    --firmware TEXT    its version; 1.0.0 if not given\n"
          "    --image-hash HEX   SHA-256 of its image\n"
          "    --debug            its debug port is open\n"
          "    --only-p256        it has no keys of other types\n"
          "    --authority FILE   pins the authority in FILE: 'p256 ' and 130 hex digits\n"
          "    --enrol-key FILE   attests with the private key in this PEM file\n"
          "    --enrol-chain FILE with --enrol-key: its vendor's certificates, the key's first\n"
          "    --capture FILE     appends every byte of both directions to FILE\n"
          "    --baud-pace N      hears and answers as slowly as a line of N bits a second\n"
          "    --fault KIND       misbehaves:\n",
          out);
    fault_print_kinds(out);
    fputs("\n"
          "export writes what the device holds into --out: key.pem, certificates.pem,\n"
          "trust-anchors.pem, serial, transaction, state. Its exit status is 7 when the\n"
          "device holds no identity.\n",
          out);
}

/* The one place that prints a failure. */
static int report(const struct error *err)
{
    error_tell("imprint-device", err);
    return error_exit_status(err->code);
}

struct arguments {
    struct device_options device;
    const char *out;
    bool help;
};

/* One option of the command line: where its argument goes. */
static int take_option(struct arguments *a, int option, char *value, struct error *err)
{
    struct device_options *o = &a->device;
    struct fact_texts *f = &o->facts;
    const char **texts[] = {['s'] = &o->store,       ['p'] = &o->port,       ['c'] = &f->chip_id,
                            ['f'] = &f->firmware,    ['i'] = &f->image_hash, ['a'] = &f->authority,
                            ['e'] = &o->enrol_key,   ['C'] = &o->capture,    ['F'] = &o->fault,
                            ['E'] = &o->enrol_chain, ['o'] = &a->out};
    char *end;

    switch (option) {
    case 'h':
        a->help = true;
        return 0;
    case 'P':
        a->device.only_p256 = true;
        return 0;
    case 'd':
        f->debug = true;
        return 0;
    case 'b':
        o->baud_pace = strtol(value, &end, 10);
        if (*end || o->baud_pace <= 0)
            return error_set(err, ERR_USAGE, "'--baud-pace %s' is not a number of bits a second",
                             value);
        return 0;
    case '?':
        return error_set(err, ERR_USAGE, "see 'imprint-device --help'");
    default:
        *texts[option] = value;
        return 0;
    }
}

static int parse(int argc, char **argv, struct arguments *a, struct error *err)
{
    static const struct option options[] = {{"store", required_argument, NULL, 's'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"chip-id", required_argument, NULL, 'c'},
                                            {"firmware", required_argument, NULL, 'f'},
                                            {"image-hash", required_argument, NULL, 'i'},
                                            {"debug", no_argument, NULL, 'd'},
                                            {"only-p256", no_argument, NULL, 'P'},
                                            {"authority", required_argument, NULL, 'a'},
                                            {"enrol-key", required_argument, NULL, 'e'},
                                            {"enrol-chain", required_argument, NULL, 'E'},
                                            {"capture", required_argument, NULL, 'C'},
                                            {"baud-pace", required_argument, NULL, 'b'},
                                            {"fault", required_argument, NULL, 'F'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option, rc = 0;

    *a = (struct arguments){.device.facts = {.chip_id = "0001020304050607", .firmware = "1.0.0"}};
    while (rc == 0 && (option = getopt_long(argc, argv, "", options, NULL)) >= 0)
        rc = take_option(a, option, optarg, err);
    if (rc == 0 && optind < argc)
        rc = error_set(err, ERR_USAGE, "unexpected argument '%s'", argv[optind]);
    return rc;
}

static int run(const struct device_options *o, struct error *err)
{
    static struct device device;
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked, waiting;
    int rc;

    /* Signals are let in only while the device waits, so that a request is never cut by one. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &waiting);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    rc = device_open(&device, o, err);
    if (rc == 0)
        rc = device_run(&device, &stop, &waiting, err);
    device_close(&device);
    return rc;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct arguments a;
    bool export = argc > 1 && strcmp(argv[1], "export") == 0;
    int rc = parse(argc - export, argv + export, &a, &err);

    if (rc == 0 && a.help) {
        print_help(stdout);
        return 0;
    }
    if (rc == 0 && (!a.device.store || !(export ? a.out : a.device.port)))
        rc = error_set(&err, ERR_USAGE, "%s: see 'imprint-device --help'",
                       export ? "export needs --store and --out" : "--store and --port are needed");
    if (rc == 0)
        rc = export ? export_identity(a.device.store, a.out, &err) : run(&a.device, &err);
    return rc ? report(&err) : 0;
}
