#include "manifests/trust/whitelist_check.h"

#include "manifests/trust/lookup.h"

#include <stdio.h>
#include <stdlib.h>

struct whitelist {
    struct trust *trust;
    struct trust_verdict verdict;
};

struct whitelist *whitelist_open(const char *state, char *why, size_t why_size)
{
    struct whitelist *w = calloc(1, sizeof *w);
    struct error err = ERROR_INIT;

    if (w && trust_open(state, TRUST_READ, &w->trust, &err) == 0)
        return w;
    snprintf(why, why_size, "%s", w ? err.text : "out of memory");
    free(w);
    return NULL;
}

void whitelist_close(struct whitelist *w)
{
    if (!w)
        return;
    trust_close(w->trust);
    free(w);
}

static enum whitelist_answer answer(struct whitelist *w, int rc, const struct error *err)
{
    if (rc) {
        w->verdict.answer = WHITELIST_FAILED;
        snprintf(w->verdict.why, sizeof w->verdict.why, "%.*s", (int)sizeof w->verdict.why - 1,
                 err->text);
    }
    return w->verdict.answer;
}

enum whitelist_answer whitelist_check(struct whitelist *w, const unsigned char *der, size_t len)
{
    struct error err = ERROR_INIT;

    return answer(w, trust_lookup_cert(w->trust, der, len, &w->verdict, &err), &err);
}

enum whitelist_answer whitelist_check_serial(struct whitelist *w, const char *serial,
                                             const char *product)
{
    struct error err = ERROR_INIT;

    return answer(w, trust_lookup_serial(w->trust, serial, product, &w->verdict, &err), &err);
}

const char *whitelist_why(const struct whitelist *w)
{
    return w->verdict.why;
}

const char *whitelist_answer_name(enum whitelist_answer answer)
{
    static const char *const names[] = {"ok", "held", "revoked", "replaced", "unknown", "failed"};

    return answer <= WHITELIST_FAILED ? names[answer] : "failed";
}
