#include "hsm/worker.h"

#include "hsm/session.h"

#include <stdlib.h>

#define OBJECTS_PER_KEY 2 /* the halves of its pair */

static int open_work(struct hsm *h, void *call, struct error *err)
{
    return session_open(h, call, err);
}

int worker_open(struct hsm *h, struct hsm **out, struct error *err)
{
    struct hsm *w = calloc(1, sizeof *w);
    int rc;

    if (!w)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = session_run(h, open_work, &w->session, err);
    if (rc) {
        free(w);
        return rc;
    }
    w->main = h;
    w->module = h->module;
    w->path = h->path;
    w->token = h->token;
    w->slot = h->slot;
    w->started = true;
    w->generation = h->generation;
    w->can = h->can;
    h->workers++;
    *out = w;
    return 0;
}

int hsm_worker_open(struct hsm *h, struct hsm **out, struct error *err)
{
    struct hsm *w;
    int rc = worker_open(h, &w, err);

    if (rc)
        return rc;
    if (h->ca)
        rc = hsm_worker_open(h->ca, &w->ca, err);
    if (rc)
        hsm_worker_close(w);
    else
        *out = w;
    return rc;
}

void hsm_worker_close(struct hsm *w)
{
    struct hsm *h;

    if (!w)
        return;
    h = w->main;
    hsm_worker_close(w->ca);
    session_note(w, w->module.p11->C_CloseSession(w->session));
    h->leak += w->leak;
    h->stale = h->stale || w->stale;
    h->lost = h->lost || w->lost;
    h->workers--;
    free(w);
}

size_t hsm_worker_budget(const struct hsm *h)
{
    size_t left = h->leak < h->leak_limit ? h->leak_limit - h->leak : 0;

    return left / (OBJECTS_PER_KEY * SESSION_LEAK);
}

bool hsm_is_lost(const struct hsm *h)
{
    return h->lost || (h->ca && h->ca->lost);
}
