#include "station/conform/case.h"

#include <string.h>

/* First what changes nothing, then what leaves no identity, then identities; LOCK last. */
static const struct conform_case *const tables[] = {
    cases_frame, cases_cbor,   cases_hello,  cases_station, cases_begin,    cases_keygen,
    cases_put,   cases_commit, cases_resume, cases_restart, cases_identity, cases_lock};

const struct conform_case *case_at(size_t i)
{
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct conform_case *c = tables[t]; c->name; c++, i--)
            if (i == 0)
                return c;
    return NULL;
}

const struct conform_case *case_find(const char *name, size_t len)
{
    const struct conform_case *c;

    for (size_t i = 0; (c = case_at(i)); i++)
        if (strlen(c->name) == len && memcmp(c->name, name, len) == 0)
            return c;
    return NULL;
}
