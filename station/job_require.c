#include "station/job_require.h"

#include "base/codec.h"

#include <stddef.h>
#include <string.h>

#define HASH_DIGITS 64

_Static_assert(HASH_DIGITS == 2 * IMPRINT_HASH_SIZE, "two digits for each byte");

const struct schema_field job_require_fields[] = {
    {.name = "firmware",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_require, firmware),
     .min = 1,
     .max = IMPRINT_FIRMWARE_MAX,
     .meaning = "version of the firmware"},
    {.name = "image_hash",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_require, image_hash),
     .min = HASH_DIGITS,
     .max = HASH_DIGITS,
     .meaning = "SHA-256 of the firmware's image, 64 lower-case hexadecimal digits"},
    {.name = "debug",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_require, debug),
     .min = 6,
     .max = 6,
     .meaning = "closed: no debug port is open, and only signed firmware runs"},
    {.name = "lifecycle",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_require, lifecycle),
     .min = 6,
     .max = 7,
     .meaning = "factory or locked"},
    {.name = NULL}};

static const char *const lifecycles[] = {
    [IMPRINT_LIFE_FACTORY] = "factory", [IMPRINT_LIFE_LOCKED] = "locked"};

static bool is_lifecycle(const char *name)
{
    return strcmp(name, lifecycles[IMPRINT_LIFE_FACTORY]) == 0 ||
           strcmp(name, lifecycles[IMPRINT_LIFE_LOCKED]) == 0;
}

int job_require_check(const void *require, const char **member, struct error *err)
{
    const struct job_require *r = require;
    uint8_t hash[IMPRINT_HASH_SIZE];

    *member = "image_hash";
    if (*r->image_hash && hex_decode(r->image_hash, hash, sizeof hash))
        return error_set(err, ERR_INPUT, "'image_hash' must be 64 lower-case hexadecimal digits");
    *member = "debug";
    if (*r->debug && strcmp(r->debug, "closed"))
        return error_set(err, ERR_INPUT, "'debug' must be closed");
    *member = "lifecycle";
    if (*r->lifecycle && !is_lifecycle(r->lifecycle))
        return error_set(err, ERR_INPUT, "'lifecycle' must be factory or locked");
    return 0;
}

static int check_firmware(const struct job_require *r, const struct job_unit *u, struct error *err)
{
    if (!*r->firmware || strcmp(r->firmware, u->firmware) == 0)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "this unit has firmware '%s' and the job requires '%s': send it back to be "
                     "flashed",
                     u->firmware, r->firmware);
}

static int check_image(const struct job_require *r, const struct job_unit *u, struct error *err)
{
    char said[2 * IMPRINT_HASH_SIZE + 1];

    if (!*r->image_hash)
        return 0;
    if (!u->image_hash)
        return error_set(err, ERR_REFUSED,
                         "this unit does not say the hash of its firmware's image and the job "
                         "requires one: send it back to be flashed");
    hex_encode(u->image_hash, IMPRINT_HASH_SIZE, said);
    if (strcmp(said, r->image_hash) == 0)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "this unit's firmware '%s' has the image hash %.16s... and the job requires "
                     "%.16s...: send it back to be flashed",
                     u->firmware, said, r->image_hash);
}

static int check_debug(const struct job_require *r, const struct job_unit *u, struct error *err)
{
    if (!*r->debug || !u->debug)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "this unit's debug port is open, or it would run unsigned firmware, and the "
                     "job requires it closed: send it back to the step that closes it");
}

static int check_lifecycle(const struct job_require *r, const struct job_unit *u, struct error *err)
{
    bool locked = u->lifecycle == IMPRINT_LIFE_LOCKED;

    if (!*r->lifecycle ||
        strcmp(r->lifecycle, lifecycles[locked ? IMPRINT_LIFE_LOCKED : IMPRINT_LIFE_FACTORY]) == 0)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "this unit is %s and the job requires one that is %s: send it back to the "
                     "step that it comes from",
                     locked ? "locked" : "not locked", locked ? "not" : "locked already");
}

int job_require_unit(const struct job_require *require, const struct job_unit *unit,
                     struct error *err)
{
    int rc = check_firmware(require, unit, err);

    if (rc == 0)
        rc = check_image(require, unit, err);
    if (rc == 0)
        rc = check_debug(require, unit, err);
    if (rc == 0)
        rc = check_lifecycle(require, unit, err);
    return rc ? error_next(err, NEXT_SEND_BACK, rc) : 0;
}
