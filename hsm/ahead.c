#include "hsm/ahead_work.h"

#include "hsm/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum entry_state { FREE, WAITING, AT_HAND, BEGUN };

struct entry {
    enum entry_state state;
    unsigned long turn; /* the lowest is begun first */
    char storage[HSM_STORAGE_NAME_SIZE];
    struct public_key key;
    uint8_t wrapped[HSM_WRAPPED_MAX], station_pub[EC_POINT_SIZE];
    size_t len;
    struct hsm_rewrap *rewrap;
};

struct ahead {
    pthread_mutex_t lock; /* of all below but worker and thread */
    pthread_cond_t changed;
    struct entry entries[HSM_AHEAD_MAX];
    unsigned long turns;
    bool ending;
    bool failed;        /* for good */
    struct hsm *worker; /* NULL: the thread does not run */
    pthread_t thread;
};

/* ---- the thread ---- */

static struct entry *first_waiting(struct ahead *a)
{
    struct entry *first = NULL;

    for (size_t i = 0; i < HSM_AHEAD_MAX; i++)
        if (a->entries[i].state == WAITING && (!first || a->entries[i].turn < first->turn))
            first = &a->entries[i];
    return first;
}

/* The lock is held, but not while the token works. */
static void begin(struct ahead *a, struct entry *e)
{
    int rc;

    e->state = AT_HAND;
    pthread_mutex_unlock(&a->lock);
    rc = rewrap_begin(a->worker, e->storage, e->wrapped, e->len, &e->key, &e->rewrap,
                      e->station_pub, NULL);
    pthread_mutex_lock(&a->lock);
    e->state = rc ? FREE : BEGUN;
    a->failed = a->failed || rc;
    pthread_cond_broadcast(&a->changed);
}

static void *run(void *arg)
{
    struct ahead *a = arg;

    pthread_mutex_lock(&a->lock);
    while (!a->ending && !a->failed) {
        struct entry *e = first_waiting(a);

        if (e)
            begin(a, e);
        else
            pthread_cond_wait(&a->changed, &a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* ---- its life ---- */

static struct ahead *ahead_new(void)
{
    struct ahead *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    return a;
}

/* Signals are for the thread of h. */
static bool start(struct hsm *h, struct ahead *a)
{
    sigset_t all, before;
    bool started;

    a->ending = false;
    a->failed = worker_open(h, &a->worker, NULL) != 0;
    if (a->failed)
        return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&a->thread, NULL, run, a) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        return true;
    a->failed = true;
    hsm_worker_close(a->worker);
    a->worker = NULL;
    return false;
}

/* The rewrap becomes one of h, in whose session it is used and ended. */
static struct hsm_rewrap *hand_over(struct hsm *h, struct entry *e)
{
    e->state = FREE;
    e->rewrap->h = h;
    h->rewraps++;
    return e->rewrap;
}

void hsm_ahead_end(struct hsm *h)
{
    struct ahead *a = h->ahead;

    if (!a || !a->worker)
        return;
    pthread_mutex_lock(&a->lock);
    a->ending = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    for (size_t i = 0; i < HSM_AHEAD_MAX; i++) {
        if (a->entries[i].state == BEGUN)
            hsm_credential_rewrap_abort(hand_over(h, &a->entries[i]));
        a->entries[i].state = FREE;
    }
    hsm_worker_close(a->worker);
    a->worker = NULL;
}

void ahead_free(struct hsm *h)
{
    if (!h->ahead)
        return;
    hsm_ahead_end(h);
    pthread_cond_destroy(&h->ahead->changed);
    pthread_mutex_destroy(&h->ahead->lock);
    free(h->ahead);
    h->ahead = NULL;
}

bool ahead_is_open(const struct hsm *h)
{
    return h->ahead && h->ahead->worker;
}

/* ---- for the thread of h ---- */

static struct entry *find(struct ahead *a, enum entry_state state)
{
    for (size_t i = 0; i < HSM_AHEAD_MAX; i++)
        if (a->entries[i].state == state)
            return &a->entries[i];
    return NULL;
}

bool hsm_ahead_wants(struct hsm *h)
{
    struct ahead *a = h->ahead;
    bool failed, wants;

    if (!a)
        return true;
    pthread_mutex_lock(&a->lock);
    failed = a->failed;
    wants = !failed && find(a, FREE);
    pthread_mutex_unlock(&a->lock);
    if (failed)
        hsm_ahead_end(h);
    return wants;
}

void hsm_ahead_put(struct hsm *h, const char *storage, const void *wrapped, size_t len,
                   const struct public_key *key)
{
    struct ahead *a = h->ahead ? h->ahead : (h->ahead = ahead_new());
    struct entry *e;

    if (!a || len > HSM_WRAPPED_MAX || strlen(storage) >= HSM_STORAGE_NAME_SIZE ||
        !hsm_ahead_wants(h) || (!a->worker && !start(h, a)))
        return;
    pthread_mutex_lock(&a->lock);
    e = find(a, FREE);
    *e = (struct entry){.state = WAITING, .turn = a->turns++, .len = len};
    strcpy(e->storage, storage);
    memcpy(e->wrapped, wrapped, len);
    e->key = *key;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static struct entry *find_key(struct ahead *a, const char *storage, const void *wrapped, size_t len,
                              const struct public_key *key)
{
    for (size_t i = 0; i < HSM_AHEAD_MAX; i++) {
        struct entry *e = &a->entries[i];

        if (e->state != FREE && e->len == len && memcmp(e->wrapped, wrapped, len) == 0 &&
            key_same(&e->key, key) && strcmp(e->storage, storage) == 0)
            return e;
    }
    return NULL;
}

/* One that waits is faster begun here than waited for. */
struct hsm_rewrap *ahead_take(struct hsm *h, const char *storage, const void *wrapped, size_t len,
                              const struct public_key *key, uint8_t station_pub[EC_POINT_SIZE])
{
    struct ahead *a = h->ahead;
    struct hsm_rewrap *taken = NULL;
    struct entry *e;

    if (!ahead_is_open(h))
        return NULL;
    pthread_mutex_lock(&a->lock);
    e = find_key(a, storage, wrapped, len, key);
    while (e && e->state == AT_HAND)
        pthread_cond_wait(&a->changed, &a->lock);
    if (e && e->state == WAITING)
        e->state = FREE;
    if (e && e->state == BEGUN) {
        memcpy(station_pub, e->station_pub, EC_POINT_SIZE);
        taken = hand_over(h, e);
    }
    pthread_mutex_unlock(&a->lock);
    return taken;
}
