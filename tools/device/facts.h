/*
 * facts: what a device that runs on Linux says of itself in HELLO, and the authority that it pins, from
 * the texts of a command line.
 */
#ifndef DEVICE_FACTS_H
#define DEVICE_FACTS_H

#include "agent/agent.h"
#include "base/error.h"

/* NULL for what is not said; chip_id and firmware are required. */
struct fact_texts {
    const char *chip_id;    /* 1 to IMPRINT_CHIP_ID_MAX bytes in hexadecimal */
    const char *firmware;   /* 1 to IMPRINT_FIRMWARE_MAX printable characters */
    const char *image_hash; /* 64 hexadecimal digits */
    const char *authority;  /* a file: "p256 " and a point of 130 hexadecimal digits */
    bool debug;
};

/* The bytes that the platform points to. */
struct facts {
    uint8_t chip_id[IMPRINT_CHIP_ID_MAX];
    uint8_t image_hash[IMPRINT_HASH_SIZE];
    uint8_t authority[IMPRINT_P256_POINT_SIZE];
};

/*
 * Fills in the platform's facts; facts and texts must outlive it. Errors: ERR_USAGE for a text that does
 * not fit, ERR_INPUT for a file that holds no authority, and those of the file.
 */
MUST_USE int facts_set(const struct fact_texts *texts, struct facts *facts,
                       struct imprint_agent_platform *platform, struct error *err);

#endif
