#include "rig_flash.h"

#include <check.h>
#include <string.h>

/* Counts an operation; returns how many of its len bytes are done before power fails. */
static size_t flash_step(struct rig_flash *f, size_t len)
{
    f->operations++;
    if (f->operations != f->cut_at)
        return len;
    f->dead = true;
    return len * f->torn / 4;
}

static bool flash_read(void *context, enum imprint_agent_region region, uint32_t offset, void *out,
                       size_t len)
{
    struct rig_flash *f = context;

    ck_assert_uint_le(offset + len, RIG_REGION_SIZE);
    memcpy(out, f->bytes[region] + offset, len);
    return !f->dead;
}

static bool flash_write(void *context, enum imprint_agent_region region, uint32_t offset,
                        const void *bytes, size_t len)
{
    struct rig_flash *f = context;

    ck_assert_uint_le(offset + len, RIG_REGION_SIZE);
    ck_assert_uint_eq(offset % 16, 0);
    if (f->dead || f->failing)
        return false;
    len = flash_step(f, len);
    for (size_t i = 0; i < len; i++) {
        ck_assert_msg(!f->written[region][offset + i], "byte %zu of region %d is written twice",
                      offset + i, (int)region);
        f->written[region][offset + i] = true;
        f->bytes[region][offset + i] = ((const uint8_t *)bytes)[i];
    }
    return !f->dead;
}

static bool flash_erase(void *context, enum imprint_agent_region region)
{
    struct rig_flash *f = context;
    size_t len;

    if (f->dead || f->failing)
        return false;
    len = flash_step(f, RIG_REGION_SIZE);
    /* A torn erase: the end goes first, which is worse for whoever trusts what comes first. */
    memset(f->bytes[region] + RIG_REGION_SIZE - len, 0xff, len);
    memset(f->written[region] + RIG_REGION_SIZE - len, 0, len);
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
