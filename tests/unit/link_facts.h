/*
 * link_facts: what a good device says of itself, to be changed.
 */
#ifndef TESTS_LINK_FACTS_H
#define TESTS_LINK_FACTS_H

#include "link/transcript.h"

static inline struct link_facts good_facts(void)
{
    struct link_facts f = {.suites = {2, 1},
                           .suite_count = 2,
                           .modes = 1,
                           .chip_id = "chip",
                           .chip_id_len = 4,
                           .firmware = "1.0",
                           .lifecycle = IMPRINT_LIFE_FACTORY,
                           .frame_max = 1024};

    f.dev_pub.alg = IMPRINT_ALG_P256;
    f.dev_pub.len = 65;
    return f;
}

#endif
