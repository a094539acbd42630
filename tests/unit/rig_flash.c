#include "rig_flash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not an assertion of Check: the fuzz targets use this flash as well. */
static void rule(bool kept, const char *what, size_t at)
{
    if (kept)
        return;
    fprintf(stderr, "flash: %s: byte %zu\n", what, at);
    abort();
}

/* Counts an operation; returns how many of its len bytes are done before power fails. */
static size_t flash_step(struct rig_flash *f, size_t len)
{
    f->operations++;
    if (f->operations != f->cut_at)
        return len;
    f->dead = true;
    return f->torn == RIG_TORN_FRONT ? 16 : len * f->torn / 4;
}

static bool flash_read(void *context, enum imprint_agent_region region, uint32_t offset, void *out,
                       size_t len)
{
    struct rig_flash *f = context;

    rule(offset + len <= RIG_REGION_SIZE, "outside of the region", offset);
    memcpy(out, f->bytes[region] + offset, len);
    return !f->dead && ++f->reads != f->fail_read;
}

static bool flash_write(void *context, enum imprint_agent_region region, uint32_t offset,
                        const void *bytes, size_t len)
{
    struct rig_flash *f = context;

    rule(offset + len <= RIG_REGION_SIZE, "outside of the region", offset);
    rule(offset % 16 == 0, "a write that is not aligned", offset);
    if (f->dead || f->failing)
        return false;
    len = flash_step(f, len);
    for (size_t i = 0; i < len; i++) {
        rule(!f->written[region][offset + i], "written twice", offset + i);
        f->written[region][offset + i] = true;
        f->bytes[region][offset + i] = ((const uint8_t *)bytes)[i];
    }
    return !f->dead;
}

static bool flash_erase(void *context, enum imprint_agent_region region)
{
    struct rig_flash *f = context;
    size_t len, from;

    if (f->dead || f->failing)
        return false;
    len = flash_step(f, RIG_REGION_SIZE);
    /* A torn erase: the end goes first, which is worse for whoever trusts what comes first. Or the
     * front alone: then no record tells any more what the rest is. */
    from = f->torn == RIG_TORN_FRONT ? 0 : RIG_REGION_SIZE - len;
    memset(f->bytes[region] + from, 0xff, len);
    memset(f->written[region] + from, 0, len);
    return !f->dead;
}

void rig_flash_init(struct rig_flash *f)
{
    memset(f, 0, sizeof *f);
    memset(f->bytes, 0xff, sizeof f->bytes);
}

struct imprint_agent_store rig_flash_functions(struct rig_flash *f)
{
    return (struct imprint_agent_store){f, flash_read, flash_write, flash_erase};
}

bool rig_flash_blank(const struct rig_flash *flash, enum imprint_agent_region region)
{
    const uint8_t *bytes = flash->bytes[region];

    return bytes[0] == 0xff && memcmp(bytes, bytes + 1, RIG_REGION_SIZE - 1) == 0;
}

bool rig_flash_holds(const struct rig_flash *flash, const void *bytes, size_t len)
{
    const uint8_t *all = flash->bytes[0];

    for (size_t at = 0; at + len <= sizeof flash->bytes; at++)
        if (memcmp(all + at, bytes, len) == 0)
            return true;
    return false;
}
