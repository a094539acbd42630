/*
 * manifest_fixture: a fresh sample of three manifests for each test, and how it is verified.
 */
#ifndef TESTS_MANIFEST_FIXTURE_H
#define TESTS_MANIFEST_FIXTURE_H

#include "check_util.h"
#include "manifest_damage.h"

extern struct error err;
extern struct kit kit;
extern char top[64];                                       /* the kit's folder */
extern char one[PATH_MAX], two[PATH_MAX], three[PATH_MAX]; /* the manifests in it */

/* Makes the sample in a new folder, and removes it. */
void begin(void);
void end(void);

/* Another second manifest than the sample's, and a third after it. */
void make_fork(char fork_two[PATH_MAX], char fork_three[PATH_MAX]);

/* manifest_verify with the kit's pins; after may be NULL. The text is in err. */
int verify(const char *dir, const char *after);

#endif
