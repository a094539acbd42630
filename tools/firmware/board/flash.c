/* SIMULATION: NOR flash in memory that QEMU keeps in a file, and a power supply that tests cut. */
#include "board.h"

#define MEMORY ((volatile uint8_t *)0x21000000)
#define CUT    ((volatile const uint32_t *)0x21010000) /* operation, quarters */

static const struct {
    uint32_t at, size;
} regions[] = {{0x1000, 0x1000}, {0x2000, 0x2000}, {0x4000, 0x2000}};

static uint32_t operations;

/* Counts an operation on len bytes: how many of them are done before power fails. */
static size_t powered(size_t len)
{
    operations++;
    return operations == CUT[0] ? len * CUT[1] / 4 : len;
}

/* Nothing runs after the operation in which power fails. */
static void check_power(void)
{
    if (operations == CUT[0])
        board_power_off(BOARD_EXIT_POWER_CUT);
}

static bool inside(enum imprint_agent_region region, uint32_t offset, size_t len)
{
    return offset <= regions[region].size && len <= regions[region].size - offset;
}

static bool flash_read(void *context, enum imprint_agent_region region, uint32_t offset, void *out,
                       size_t len)
{
    volatile const uint8_t *from = MEMORY + regions[region].at + offset;
    uint8_t *to = out;

    (void)context;
    if (!inside(region, offset, len))
        return false;
    while (len-- > 0)
        *to++ = *from++;
    return true;
}

static bool flash_write(void *context, enum imprint_agent_region region, uint32_t offset,
                        const void *bytes, size_t len)
{
    volatile uint8_t *to = MEMORY + regions[region].at + offset;
    const uint8_t *from = bytes;
    bool ok = inside(region, offset, len);
    size_t left;

    (void)context;
    for (left = ok ? powered(len) : 0; left > 0; left--) {
        *to = (uint8_t)(*to & *from);
        ok = *to++ == *from++ && ok; /* a bit that should be 1 again shows here */
    }
    check_power();
    return ok;
}

/* The end goes first: a torn erase is then worse for whoever trusts what comes first. */
static bool flash_erase(void *context, enum imprint_agent_region region)
{
    volatile uint8_t *end = MEMORY + regions[region].at + regions[region].size;
    size_t left;

    (void)context;
    for (left = powered(regions[region].size); left > 0; left--)
        *--end = 0xff;
    check_power();
    return true;
}

struct imprint_agent_store board_flash(void)
{
    return (struct imprint_agent_store){NULL, flash_read, flash_write, flash_erase};
}
