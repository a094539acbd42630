/*
 * damage_catalogue: every kind of damage to a sealed manifest, by ever more powerful hands, and how
 * it is refused.
 *
 * A kind is done to manifest 2 of the sample, which is then verified after manifest 1. It is the
 * only thing that is wrong: whatever the hands can sign was signed again.
 */
#ifndef TESTS_DAMAGE_CATALOGUE_H
#define TESTS_DAMAGE_CATALOGUE_H

#include "manifest_fixture.h"

struct damage {
    const char *name;
    void (*make)(void); /* or, in this file, put takes the place of find */
    const char *file, *find, *put;
    unsigned repair; /* enum kit_repair, and DAMAGE_NAMED */
    int expected;
    const char *text; /* part of the message */
};

/* Columns of the tables: a function, or a replacement. */
#define D(make)                  #make, make, NULL, NULL, NULL
#define E(name, file, find, put) #name, NULL, file, find, put

#define ALL_FILES    (KIT_SIGNATURE | KIT_FILES)
#define ALL_KEYS     (KIT_SIGNATURE | KIT_FILES | KIT_LOG)
#define DAMAGE_NAMED 64 /* and record 1 first names evidence line 1 as it is now */
#define NAMED_KEYS   (ALL_KEYS | DAMAGE_NAMED)

extern const struct damage damage_basic[], damage_signed[], damage_second[], damage_lines[],
    damage_chain[];
extern const size_t damage_basic_count, damage_signed_count, damage_second_count,
    damage_lines_count, damage_chain_count;

/* Not damage: the issuing CA expired after it signed and before the manifest was made. */
void damage_chain_expired_since(void);

/* All kinds, numbered from 0. */
size_t damage_count(void);
const struct damage *damage_kind(size_t i);

/* Does it to manifest "two" of the fixture. */
void damage_do(const struct damage *d);

#endif
