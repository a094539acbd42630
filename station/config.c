#include "station/config.h"

#include "base/buf.h"
#include "base/file.h"
#include "station/connector/address.h"
#include "station/schema/schema.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTACTS_MAX     1000000000
#define FAILURES_DEFAULT 3

#define TEXT(member, is_required, least, most, what)                                               \
    {                                                                                              \
        .name = #member, .type = SCHEMA_TEXT, .required = is_required,                             \
        .offset = offsetof(struct config, member), .min = least, .max = most, .meaning = what      \
    }

static const struct schema_field scanner_fields[] = {
    {.name = "name",
     .type = SCHEMA_TEXT,
     .required = true,
     .offset = offsetof(struct config_scanner, name),
     .min = 1,
     .max = 32,
     .meaning = "what people call the scanner"},
    {.name = "port",
     .type = SCHEMA_TEXT,
     .required = true,
     .offset = offsetof(struct config_scanner, port),
     .min = 1,
     .max = 128,
     .meaning =
         "serial port of the scanner: its name, usb:VID:PID or usb_path:PLACE; of one that types "
         "input: and the path of its device, or terminal, which is the board"},
    {.name = "slots",
     .type = SCHEMA_TEXTS,
     .offset = offsetof(struct config_scanner, slots),
     .item_size = sizeof(char[33]),
     .count_offset = offsetof(struct config_scanner, slot_count),
     .min = 1,
     .max = CONFIG_SCANNER_SLOTS_MAX,
     .meaning = "labels of the slots that it may scan for; without it, all"},
    {.name = "baud",
     .type = SCHEMA_INT,
     .offset = offsetof(struct config_scanner, baud),
     .min = 300,
     .max = 12000000,
     .meaning = "bits per second of a serial port; without it, 9600"},
    {.name = "separator",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct config_scanner, separator),
     .min = 1,
     .max = 1,
     .meaning = "character that the scanner sends for FNC1, where that is not GS"},
    {.name = NULL}};

static const struct schema_field slot_limit_fields[] = {
    {.name = "slot",
     .type = SCHEMA_TEXT,
     .required = true,
     .offset = offsetof(struct config_slot_limit, slot),
     .min = 1,
     .max = 32,
     .meaning = "label of the slot"},
    {.name = "contacts",
     .type = SCHEMA_INT,
     .required = true,
     .offset = offsetof(struct config_slot_limit, contacts),
     .min = 1,
     .max = CONTACTS_MAX,
     .meaning = "units that this slot's contacts are good for"},
    {.name = NULL}};

static const struct schema_field slots_fields[] = {
    {.name = "failures",
     .type = SCHEMA_INT,
     .offset = offsetof(struct config_slots, failures),
     .min = 0,
     .max = 1000,
     .meaning = "failures in a row that disable a slot; 0: none do; without it, 3"},
    {.name = "contacts",
     .type = SCHEMA_INT,
     .offset = offsetof(struct config_slots, contacts),
     .min = 1,
     .max = CONTACTS_MAX,
     .meaning = "units that the contacts of a slot are good for; without it, no limit"},
    {.name = "limits",
     .type = SCHEMA_LIST,
     .fields = slot_limit_fields,
     .offset = offsetof(struct config_slots, limits),
     .item_size = sizeof(struct config_slot_limit),
     .count_offset = offsetof(struct config_slots, limit_count),
     .min = 1,
     .max = CONFIG_SLOT_LIMITS_MAX,
     .meaning = "limits of single slots"},
    {.name = NULL}};

/* An absolute path, so that nobody's PATH chooses the program. */
static int check_program(const void *value, const char **member, struct error *err)
{
    (void)member;
    if (*(const char *)value == '/')
        return 0;
    return error_set(err, ERR_INPUT, "'%s' is no absolute path", (const char *)value);
}

static int check_mode(const void *value, const char **member, struct error *err)
{
    (void)member;
    if (strcmp(value, "block") == 0 || strcmp(value, "warn") == 0)
        return 0;
    return error_set(err, ERR_INPUT, "'mode' is block or warn, not '%s'", (const char *)value);
}

#define HOOK_PROGRAM                                                                               \
    {                                                                                              \
        .name = "program", .type = SCHEMA_TEXT, .required = true,                                  \
        .offset = offsetof(struct config_hook, program), .min = 2, .max = PATH_MAX - 1,            \
        .meaning = "absolute path of the program", .check = check_program                          \
    }
#define HOOK_ARGUMENTS                                                                             \
    {                                                                                              \
        .name = "arguments", .type = SCHEMA_TEXTS,                                                 \
        .offset = offsetof(struct config_hook, arguments),                                         \
        .item_size = CONFIG_HOOK_ARGUMENT_MAX + 1,                                                 \
        .count_offset = offsetof(struct config_hook, argument_count), .min = 1,                    \
        .max = CONFIG_HOOK_ARGUMENTS_MAX, .meaning = "its arguments"                               \
    }

static const struct schema_field hook_fields[] = {
    HOOK_PROGRAM,
    HOOK_ARGUMENTS,
    {.name = "mode",
     .type = SCHEMA_TEXT,
     .required = true,
     .offset = offsetof(struct config_hook, mode),
     .min = 1,
     .max = 7,
     .meaning = "without a yes of it: block, or warn and go on",
     .check = check_mode},
    {.name = NULL}};

static const struct schema_field outbox_fields[] = {HOOK_PROGRAM, HOOK_ARGUMENTS, {.name = NULL}};

#define HOOK(member, table, what)                                                                  \
    {                                                                                              \
        .name = #member, .type = SCHEMA_MAP, .fields = table,                                      \
        .offset = offsetof(struct config_hooks, member),                                           \
        .count_offset =                                                                            \
            offsetof(struct config_hooks, member) + offsetof(struct config_hook, given),           \
        .meaning = what                                                                            \
    }

static const struct schema_field hooks_fields[] = {
    HOOK(before_claim, hook_fields, "asked before a unit gets anything"),
    HOOK(after_result, hook_fields, "asked after a unit passed or failed"),
    HOOK(outbox, outbox_fields, "gets every result, later if need be"),
    {.name = NULL}};

static const struct schema_field fixture_fields[] = {
    {.name = "name",
     .type = SCHEMA_TEXT,
     .required = true,
     .offset = offsetof(struct config_fixture, name),
     .min = 1,
     .max = 32,
     .meaning = "what people call the fixture"},
    {.name = "port",
     .type = SCHEMA_TEXT,
     .required = true,
     .offset = offsetof(struct config_fixture, port),
     .min = 1,
     .max = 128,
     .meaning = "where it is: name of a serial port, usb:VID:PID, usb_path:PLACE, tcp:HOST:PORT or "
                "unix:PATH"},
    {.name = "slots",
     .type = SCHEMA_TEXTS,
     .required = true,
     .offset = offsetof(struct config_fixture, slots),
     .item_size = sizeof(char[33]),
     .count_offset = offsetof(struct config_fixture, slot_count),
     .min = 1,
     .max = CONFIG_FIXTURE_SLOTS_MAX,
     .meaning = "labels of its slots"},
    {.name = "baud",
     .type = SCHEMA_INT,
     .offset = offsetof(struct config_fixture, baud),
     .min = 300,
     .max = 12000000,
     .meaning = "bits per second of a serial port; without it, 115200"},
    {.name = "lid",
     .type = SCHEMA_BOOL,
     .offset = offsetof(struct config_fixture, lid),
     .meaning =
         "true: it has a lid for each slot, and nothing is said to a device below an open one"},
    {.name = "start",
     .type = SCHEMA_BOOL,
     .offset = offsetof(struct config_fixture, start),
     .meaning = "true: a unit begins when the fixture says START, and not by itself"},
    {.name = "power",
     .type = SCHEMA_INT,
     .offset = offsetof(struct config_fixture, power),
     .min = 1,
     .max = 60000,
     .meaning =
         "milliseconds for which it takes a device's power away between attempts; without it, "
         "it switches no power"},
    {.name = NULL}};

static const struct schema_field config_fields[] = {
    TEXT(name, true, 1, 64, "the station's name, as its certificate says it"),
    TEXT(environment, true, 1, 16, "development, staging or production: never mixed"),
    TEXT(origin, true, 1, 128, "name of the manifest log, such as acme.example/wl/line1"),
    TEXT(customer, true, 1, 128, "for whom the manifests are"),
    TEXT(organization, true, 1, 64, "organization in the names of the station's authorities"),
    TEXT(module, true, 1, PATH_MAX - 1, "path of the PKCS#11 module"),
    TEXT(module_arguments, false, 0, 1023, "what the module wants said when it starts (NSS)"),
    TEXT(token, true, 1, 256, "label of the token, or an RFC 7512 pkcs11: URI"),
    TEXT(pin_file, false, 0, PATH_MAX - 1, "file of mode 0600 with the PIN; without it, ask"),
    TEXT(ca_module, false, 0, PATH_MAX - 1,
         "PKCS#11 module of a token for the CA keys alone (a TPM)"),
    TEXT(ca_module_arguments, false, 0, 1023, "what that module wants said when it starts"),
    TEXT(ca_token, false, 0, 256, "label or pkcs11: URI of that token"),
    TEXT(ca_pin_file, false, 0, PATH_MAX - 1, "file of mode 0600 with its PIN; without it, ask"),
    TEXT(people, false, 0, 15,
         "required: void, rework and the like need people with badge and PIN"),
    TEXT(tpm, false, 0, 255, "where the TPM with the station's counter is, if it has one (a TCTI)"),
    {.name = "scanners",
     .type = SCHEMA_LIST,
     .fields = scanner_fields,
     .offset = offsetof(struct config, scanners),
     .item_size = sizeof(struct config_scanner),
     .count_offset = offsetof(struct config, scanner_count),
     .min = 1,
     .max = CONFIG_SCANNERS_MAX,
     .meaning = "barcode scanners, and the slots of each"},
    {.name = "slots",
     .type = SCHEMA_MAP,
     .fields = slots_fields,
     .offset = offsetof(struct config, slots),
     .meaning = "what disables slots of the fixtures"},
    {.name = "hooks",
     .type = SCHEMA_MAP,
     .fields = hooks_fields,
     .offset = offsetof(struct config, hooks),
     .meaning = "programs of the plant: docs/hooks.md"},
    {.name = "fixtures",
     .type = SCHEMA_LIST,
     .fields = fixture_fields,
     .offset = offsetof(struct config, fixtures),
     .item_size = sizeof(struct config_fixture),
     .count_offset = offsetof(struct config, fixture_count),
     .min = 1,
     .max = CONFIG_FIXTURES_MAX,
     .meaning = "fixtures around slots: lid, power, lamp, start (docs/fixture.md)"},
    {.name = NULL}};

int config_find_dir(const char *chosen, char out[PATH_MAX], struct error *err)
{
    const char *env = getenv("IMPRINT_DIR"), *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char path[PATH_MAX];
    int n;

    if (!chosen && env && *env)
        chosen = env;
    if (chosen)
        n = snprintf(path, sizeof path, "%s", chosen);
    else if (geteuid() == 0)
        n = snprintf(path, sizeof path, "/var/lib/imprint");
    else if (state && *state)
        n = snprintf(path, sizeof path, "%s/imprint", state);
    else
        n = snprintf(path, sizeof path, "%s/.local/state/imprint", home ? home : "");
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, ERR_USAGE, "the name of the station's directory is too long");
    if (path[0] == '/') {
        strcpy(out, path);
        return 0;
    }
    char cwd[PATH_MAX];
    if (!getcwd(cwd, sizeof cwd))
        return error_set(err, ERR_IO, "the current folder has no name");
    return file_join(out, PATH_MAX, cwd, path, err);
}

/* The plant's programs do not see the folder (confine/hide.h): they would not be found there. */
static int check_hooks(const char *path, const struct config *config, struct error *err)
{
    const struct config_hook *all[] = {&config->hooks.before_claim, &config->hooks.after_result,
                                       &config->hooks.outbox};
    size_t len = strlen(config->dir);

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strncmp(all[i]->program, config->dir, len) == 0 && all[i]->program[len] == '/')
            return error_set(
                err, ERR_INPUT,
                "%s: the program '%s' of 'hooks' lies in the station's directory, which "
                "such programs do not see: put it elsewhere",
                path, all[i]->program);
    return 0;
}

/* ---- fixtures ---- */

/* How often a slot is named by fixtures. */
static size_t count_named(const struct config *config, const char *slot)
{
    size_t count = 0;

    for (size_t i = 0; i < config->fixture_count; i++)
        for (size_t n = 0; n < config->fixtures[i].slot_count; n++)
            count += strcmp(config->fixtures[i].slots[n], slot) == 0;
    return count;
}

/* The lines of the protocol are words. */
static int check_fixture_slot(const struct config *config, const char *slot, struct error *err)
{
    for (const char *p = slot; *p; p++)
        if (*p <= 0x20 || *p > 0x7e)
            return error_set(err, ERR_INPUT,
                             "slot '%s' has a fixture, and so its label must be one word", slot);
    if (!*slot || count_named(config, slot) > 1)
        return error_set(err, ERR_INPUT, "slot '%s' is named by fixtures twice, or is empty", slot);
    return 0;
}

static int check_fixture(const struct config *config, const struct config_fixture *fixture,
                         struct error *err)
{
    int rc = address_is(fixture->port) ? address_check(fixture->port, err) : 0;

    for (size_t i = 0; rc == 0 && i < fixture->slot_count; i++)
        rc = check_fixture_slot(config, fixture->slots[i], err);
    return rc ? error_prefix(err, "fixture '%s'", fixture->name) : 0;
}

static int check_fixtures(const struct config *config, const char *path, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < config->fixture_count; i++)
        rc = check_fixture(config, &config->fixtures[i], err);
    return rc ? error_prefix(err, "%s", path) : 0;
}

int config_read(const char *dir, struct config *config, struct error *err)
{
    char path[PATH_MAX];
    int rc;

    memset(config, 0, sizeof *config);
    rc = file_join(path, sizeof path, dir, "station.yaml", err);
    if (rc)
        return rc;
    if (access(path, F_OK) && errno != ENOENT && errno != ENOTDIR)
        return error_set_native(err, ERR_READONLY, errno,
                                "cannot look into the station's directory '%s': %s; work as the "
                                "user who owns it, or name another with --dir",
                                dir, strerror(errno));
    if (!file_exists(path))
        return error_set(err, ERR_MISSING,
                         "there is no station in '%s': run 'imprint init', or name another "
                         "directory with --dir",
                         dir);
    config->slots.failures = FAILURES_DEFAULT;
    rc = schema_read(path, config_fields, config, err);
    if (rc == 0 && *config->people && strcmp(config->people, "required"))
        rc = error_set(err, ERR_INPUT, "%s: 'people' is 'required' or not there, not '%s'", path,
                       config->people);
    if (rc == 0)
        rc = check_fixtures(config, path, err);
    if (rc == 0)
        snprintf(config->dir, sizeof config->dir, "%s", dir);
    return rc ? rc : check_hooks(path, config, err);
}

int64_t config_contacts(const struct config *config, const char *slot)
{
    const struct config_slots *slots = &config->slots;

    for (size_t i = 0; i < slots->limit_count; i++)
        if (strcmp(slots->limits[i].slot, slot) == 0)
            return slots->limits[i].contacts;
    return slots->contacts;
}

/* A double-quoted YAML scalar. */
static void put_quoted(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s: \"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buf_put_u8(out, '\\');
        buf_put_u8(out, (uint8_t)*value);
    }
    buf_put_str(out, "\"\n");
}

int config_write(const struct config *config, struct error *err)
{
    char path[PATH_MAX];
    struct buf text;
    int rc;

    buf_init(&text, 65536);
    buf_put_str(&text, "# The station's configuration, written by 'imprint init'.\n");
    for (const struct schema_field *f = config_fields; f->name; f++) {
        if (f->type != SCHEMA_TEXT)
            continue; /* scanners, fixtures and hooks are written by people */
        buf_printf(&text, "# %s\n", f->meaning);
        put_quoted(&text, f->name, (const char *)config + f->offset);
    }
    rc = buf_check(&text, "the configuration", err);
    if (rc == 0)
        rc = config_path(config, "station.yaml", path, err);
    if (rc == 0)
        rc = file_write(path, text.data, text.len, 0600, err);
    buf_done(&text);
    return rc;
}

int config_path(const struct config *config, const char *name, char out[PATH_MAX],
                struct error *err)
{
    if (name[0] == '/') {
        snprintf(out, PATH_MAX, "%s", name);
        return 0;
    }
    return file_join(out, PATH_MAX, config->dir, name, err);
}

void config_of_ca(const struct config *config, struct config *ca)
{
    *ca = *config;
    strcpy(ca->module, config->ca_module);
    strcpy(ca->module_arguments, config->ca_module_arguments);
    strcpy(ca->token, config->ca_token);
    strcpy(ca->pin_file, config->ca_pin_file);
    ca->ca_module[0] = 0;
    ca->of_ca = true;
}

int config_prepare_module(const struct config *config, struct error *err)
{
    char path[PATH_MAX];
    int rc = config_path(config, "softhsm2.conf", path, err);

    if (rc == 0 && file_exists(path) && setenv("SOFTHSM2_CONF", path, 1))
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    return rc;
}
