/*
 * damage_corpus DIR: writes the sample, and once for each kind of damage the damaged one, for other
 * verifiers: DIR/<number>-<name> holds the pins, manifest 1 and manifest 2, which is damaged. Those
 * that begin with "good" are not.
 */
#include "damage_catalogue.h"
#include "second_signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *target;

static void keep(size_t number, const char *name)
{
    char command[2 * PATH_MAX];

    snprintf(command, sizeof command, "cp -a --sparse=always '%s' '%s/%03zu-%s'", top, target,
             number, name);
    ck_assert_int_eq(system(command), 0);
    end();
}

/* The fixture's assertions want a test around them. */
START_TEST(write_all)
{
    begin();
    keep(0, "good");
    begin();
    kit_compress(&kit, two);
    keep(1, "good-compressed");
    begin();
    second_sign_all(two);
    keep(2, "good-signed-with-all");
    begin();
    damage_chain_expired_since();
    keep(3, "good-issuer-expired-since");
    for (size_t i = 0; i < damage_count(); i++) {
        begin();
        damage_do(damage_kind(i));
        keep(i + 4, damage_kind(i)->name);
    }
}
END_TEST

int main(int argc, char **argv)
{
    TCase *tcase = tcase_create("corpus");

    if (argc != 2) {
        fprintf(stderr, "usage: damage_corpus DIR\n");
        return 2;
    }
    target = argv[1];
    tcase_add_test(tcase, write_all);
    return check_run_case("corpus", tcase, 600);
}
