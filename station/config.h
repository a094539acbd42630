/*
 * config: the station's directory and what its station.yaml says.
 *
 * Everything a station keeps lies in one directory of mode 0700, chosen with --dir, IMPRINT_DIR or
 * by default /var/lib/imprint for root and $XDG_STATE_HOME/imprint for others:
 *
 *   station.yaml       this configuration, written by `imprint init`
 *   station.db         the database (vault only)
 *   station.cert       the compact certificate that the owner's authority signed for this station
 *   order-signers.pem  certificates of those who may sign orders; the ledger's first entry has its hash
 *   station.json       what an owner needs to write an order for this station
 *   ceremony.json      what the ceremony made; the ledger's first entry has its hash
 *   custodians.pem     certificates of those who watched it, if any, and their signatures: ceremony/
 *   station-auth.pub   the key that it certifies, in the form an authority reads
 *   pin                the token's PIN, mode 0600 (unless it is asked for)
 *   softhsm2.conf      and tokens/: the embedded software token; tokens.keep/: vault/token_files.h
 *   ca/                certificates: device root, issuing CA, manifest root and manifest signer
 *   trust/             what a security team pins: device-root.pem, manifest-root.pem, log.vkey, log.pem, and
 *                      second-root.pem where manifests have a second signature
 *   manifests/         sealed manifests, one folder each
 */
#ifndef STATION_CONFIG_H
#define STATION_CONFIG_H

#include "base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_ORDER_SIGNERS "order-signers.pem"
#define CONFIG_STATION_JSON  "station.json"
#define CONFIG_CEREMONY      "ceremony.json"
#define CONFIG_CUSTODIANS    "custodians.pem"

#define CONFIG_SCANNERS_MAX      8
#define CONFIG_SCANNER_SLOTS_MAX 64

#define CONFIG_SCANNER_TERMINAL "terminal" /* the port of one that types at the board */

/* A barcode scanner, and the slots whose units it may scan. */
struct config_scanner {
    char name[33]; /* for people, and in messages */
    char port
        [129]; /* a serial port's name or pattern, "usb:", "usb_path:" or "input:" (line/ports.h), or
                       CONFIG_SCANNER_TERMINAL */
    char slots[CONFIG_SCANNER_SLOTS_MAX][33];
    size_t slot_count; /* 0: every slot */
    int64_t baud;
    char separator[2]; /* what the scanner sends for FNC1, besides GS; or empty */
};

#define CONFIG_SLOT_LIMITS_MAX 64

struct config_slot_limit {
    char slot[33];
    int64_t contacts;
};

/* What slots of the fixtures stand (vault/slots.h). */
struct config_slots {
    int64_t failures; /* in a row that disable a slot; 0: none do */
    int64_t contacts; /* units that every slot's contacts are good for; 0: no limit */
    struct config_slot_limit limits[CONFIG_SLOT_LIMITS_MAX]; /* those of single slots instead */
    size_t limit_count;
};

#define CONFIG_HOOK_ARGUMENTS_MAX 8
#define CONFIG_HOOK_ARGUMENT_MAX  255

/* A program of the plant (docs/hooks.md). */
struct config_hook {
    char program[PATH_MAX]; /* absolute */
    size_t given;           /* 1: there is one */
    char arguments[CONFIG_HOOK_ARGUMENTS_MAX][CONFIG_HOOK_ARGUMENT_MAX + 1];
    size_t argument_count;
    char mode[8]; /* "block" or "warn"; of the outbox empty, for it never blocks */
};

struct config_hooks {
    struct config_hook before_claim, after_result, outbox;
};

#define CONFIG_FIXTURES_MAX      8
#define CONFIG_FIXTURE_SLOTS_MAX 32

/* A fixture (docs/fixture.md), and the slots that it holds. */
struct config_fixture {
    char name[33];  /* for people, and in messages */
    char port[129]; /* as a scanner's, or "tcp:HOST:PORT" or "unix:PATH" */
    char slots[CONFIG_FIXTURE_SLOTS_MAX][33]; /* words: no space; none in two fixtures */
    size_t slot_count;
    int64_t baud;
    bool lid;   /* nothing is said to a slot whose lid is not closed */
    bool start; /* a unit begins when the fixture says so */
    int64_t
        power; /* milliseconds without power between attempts; 0: the fixture cannot switch it */
};

struct config {
    char dir[PATH_MAX]; /* absolute */
    char name[65];
    char environment[17];
    char origin[129];
    char customer[129];
    char module[PATH_MAX];
    char module_arguments[1024]; /* what the module wants said when it starts, or empty */
    char token[257];
    char pin_file[PATH_MAX]; /* relative to dir, or empty: ask */
    char ca_module
        [PATH_MAX]; /* of a token of its own for the CA keys; empty: the station's has them */
    char ca_module_arguments[1024];
    char ca_token[257];
    char ca_pin_file[PATH_MAX];
    char organization[65];
    char people[16]; /* "required": nothing is signed for by a name alone; or empty */
    char tpm[256];   /* TCTI of the TPM that has the station's counter, or empty */
    struct config_scanner scanners[CONFIG_SCANNERS_MAX];
    size_t scanner_count;
    struct config_slots slots;
    struct config_hooks hooks;
    struct config_fixture fixtures[CONFIG_FIXTURES_MAX];
    size_t fixture_count;
    bool ask_pin;  /* not in the file: the option --ask-pin */
    bool compress; /* not in the file: seal compressed */
    bool of_ca;    /* not in the file: config_of_ca made it */
};

/* The directory that --dir, the environment or the default names; chosen may be NULL. */
MUST_USE int config_find_dir(const char *chosen, char out[PATH_MAX], struct error *err);

/*
 * Reads <dir>/station.yaml. Errors: ERR_MISSING that says to run `imprint init`, ERR_INPUT with a
 * position.
 */
MUST_USE int config_read(const char *dir, struct config *config, struct error *err);

/* How many units the contacts of a slot are good for; 0: there is no limit. */
int64_t config_contacts(const struct config *config, const char *slot);

/* Writes <dir>/station.yaml from config, with comments. */
MUST_USE int config_write(const struct config *config, struct error *err);

/* "<dir>/<name>" into out. */
MUST_USE int config_path(const struct config *config, const char *name, char out[PATH_MAX],
                         struct error *err);

/* The configuration with the CA's token in place of the station's own. */
void config_of_ca(const struct config *config, struct config *ca);

/*
 * Points SoftHSM at the station's own token when the directory holds one. Call before the module is
 * loaded, and before any thread starts.
 */
MUST_USE int config_prepare_module(const struct config *config, struct error *err);

#endif
