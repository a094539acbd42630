/* Every kind of damage of the catalogue is refused as what it is, with words of its own. */
#include "damage_catalogue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define KINDS_MAX  512
#define MEMORY_MAX (256 * 1024) /* KiB, of which an importer that is attacked needs a fraction */

START_TEST(what_is_not_damaged_is_accepted)
{
    begin();
    ASSERT_OK(verify(two, one), err);
    kit_compress(&kit, two);
    ASSERT_OK(verify(two, one), err);
    end();
}
END_TEST

/* Or what was signed in the last days of a CA could never be imported. */
START_TEST(what_an_issuer_signed_before_it_expired_is_accepted)
{
    begin();
    damage_chain_expired_since();
    ASSERT_OK(verify(two, one), err);
    end();
}
END_TEST

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether it is refused as the catalogue says; tells if not, so that one run shows all. */
static bool is_as_expected(const struct damage *d, int rc)
{
    if (rc == d->expected && strstr(err.text, d->text))
        return true;
    printf("%s (repair %u): %s, not %s with '%s': %s\n", d->name, d->repair, error_name(rc),
           error_name(d->expected), d->text, err.text);
    return false;
}

/* What is said, without the name of the folder, which is another each time. */
static char *said_of(const struct damage *d, size_t *wrong)
{
    char *said, *at;

    begin();
    damage_do(d);
    *wrong += !is_as_expected(d, verify(two, one));
    said = strdup(err.text);
    while ((at = strstr(said, top)))
        memmove(at, at + strlen(top), strlen(at + strlen(top)) + 1);
    end();
    return said;
}

static size_t count_distinct(char **texts, size_t count)
{
    size_t distinct = 0;

    qsort(texts, count, sizeof *texts, by_text);
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || strcmp(texts[i], texts[i - 1]) != 0;
    return distinct;
}

/* The same words for two kinds are the same refusal: of a file that is not the listed one, what
 * became of it cannot be told. */
START_TEST(every_kind_of_damage_is_refused_as_what_it_is)
{
    char *texts[KINDS_MAX];
    size_t count = damage_count(), distinct, wrong = 0;
    struct rusage used;

    ck_assert_uint_le(count, KINDS_MAX);
    for (size_t i = 0; i < count; i++)
        texts[i] = said_of(damage_kind(i), &wrong);
    distinct = count_distinct(texts, count);
    getrusage(RUSAGE_SELF, &used);
    printf("%zu kinds of damage, refused in %zu different sentences, in %ld MiB\n", count, distinct,
           used.ru_maxrss / 1024);
    if (getenv("IMPRINT_DAMAGE_SHOW"))
        for (size_t i = 0; i < count; i++)
            printf("  %s\n", texts[i]);
    fflush(stdout);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_ge(distinct, 100);
#ifndef __SANITIZE_ADDRESS__
    ck_assert_int_le(used.ru_maxrss, MEMORY_MAX);
#endif
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("damage");

    tcase_add_test(tcase, what_is_not_damaged_is_accepted);
    tcase_add_test(tcase, what_an_issuer_signed_before_it_expired_is_accepted);
    tcase_add_test(tcase, every_kind_of_damage_is_refused_as_what_it_is);
    return check_run_case("damage", tcase, 600);
}
