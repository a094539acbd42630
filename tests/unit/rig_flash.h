/*
 * rig_flash: NOR flash in memory that can lose power in the middle of any write or erase.
 */
#ifndef TESTS_RIG_FLASH_H
#define TESTS_RIG_FLASH_H

#include "agent/agent.h"

#define RIG_REGION_SIZE IMPRINT_AGENT_SLOT_SIZE
#define RIG_TORN_FRONT  5 /* in place of quarters: the first 16 bytes are done, of an erase too */

/* NOR flash: 0xff when erased, each byte written once. A write that breaks this rule aborts. */
struct rig_flash {
    uint8_t bytes[3][RIG_REGION_SIZE];
    bool written[3][RIG_REGION_SIZE];
    unsigned operations; /* writes and erases so far */
    unsigned cut_at;     /* power fails during this one; 0: never */
    unsigned torn;       /* then so many quarters of it are done, or RIG_TORN_FRONT */
    unsigned reads;      /* so far */
    unsigned fail_read;  /* this one fails, and no other; 0: none */
    bool dead;           /* power is off: nothing works */
    bool failing;        /* flash is worn out: writes report failure and do nothing */
};

void rig_flash_init(struct rig_flash *flash);

/* Whether nothing is written in a region. */
bool rig_flash_blank(const struct rig_flash *flash, enum imprint_agent_region region);

/* Whether these bytes are anywhere in it. */
bool rig_flash_holds(const struct rig_flash *flash, const void *bytes, size_t len);

struct imprint_agent_store rig_flash_functions(struct rig_flash *flash);

#endif
