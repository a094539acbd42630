#include "station/vault/issue.h"

#include "hsm/credential.h"
#include "hsm/signer.h"
#include "hsm/worker.h"
#include "pki/template.h"
#include "station/store/spares.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WATCH_NS (100 * 1000 * 1000)

/* A thread and what only it uses. */
struct maker {
    struct issue_line *line;
    struct hsm *hsm;
    struct cert_template *template;
    struct ca_signer signer;
    struct buf tbs;
    pthread_t thread;
    bool started;
};

struct issue_line {
    struct issue_params params;
    pthread_mutex_t lock; /* guards what follows, and the private part of the batches */
    pthread_cond_t work, done;
    struct issue_batch *oldest;
    bool closing;
    unsigned threads;
    struct maker makers[ISSUE_THREADS_MAX];
};

/* ---- One credential. ---- */

static int certify(struct maker *w, struct credential *c, const uint8_t random[CERT_RANDOM_SIZE],
                   struct error *err)
{
    char name[SERIAL_NAME_MAX + 1];
    struct cert_subject subject = {.serial = name, .not_before = w->line->params.not_before};
    int rc = serial_to_name(c->serial, name, err);

    if (rc)
        return rc;
    cert_number(random, (uint64_t)c->id, subject.number);
    subject.key = c->key;
    buf_reset(&w->tbs);
    rc = cert_template_tbs(w->template, &subject, &w->tbs, err);
    return rc ? rc : ca_sign_tbs(&w->signer, &w->tbs, &c->cert, err);
}

static int mac_with_hsm(void *context, const void *bytes, size_t len, uint8_t mac[32],
                        struct error *err)
{
    return hsm_hmac(context, bytes, len, mac, err);
}

static int make(struct maker *w, const struct issue_batch *batch, size_t i, struct error *err)
{
    const struct issue_params *p = &w->line->params;
    struct credential *c = &batch->made[i];
    int rc;

    buf_reset(&c->cert);
    buf_reset(&c->wrapped);
    c->id = batch->first_id + (int64_t)i;
    c->mechanism = (int64_t)hsm_wrap_mechanism(w->hsm);
    strcpy(c->product, p->v->order->product);
    strcpy(c->storage, p->storage);
    rc = hsm_credential_make(w->hsm, p->storage, p->v->key, &c->key, &c->wrapped, err);
    if (p->keys_alone)
        return rc ? rc : spare_seal(c, p->v->history.row.hash, mac_with_hsm, w->hsm, err);
    strcpy(c->serial, batch->serials[i]);
    if (rc == 0)
        rc = certify(w, c, batch->random[i], err);
    return rc ? rc : credential_seal(c, p->v->history.row.hash, mac_with_hsm, w->hsm, err);
}

/* ---- The threads. ---- */

/* The next credential to make; false when the line is closing. A batch that failed, and what comes
 * after it, is not worked on. */
static bool take(struct issue_line *line, struct issue_batch **batch, size_t *i)
{
    while (!line->closing) {
        for (struct issue_batch *b = line->oldest; b && b->rc == 0; b = b->next)
            if (b->taken < b->count) {
                *batch = b;
                *i = b->taken++;
                return true;
            }
        pthread_cond_wait(&line->work, &line->lock);
    }
    return false;
}

static void finish(struct issue_line *line, struct issue_batch *batch, int rc,
                   const struct error *err)
{
    if (rc && batch->rc == 0) {
        batch->rc = rc;
        batch->err = *err;
    }
    if (rc || ++batch->finished == batch->count)
        pthread_cond_signal(&line->done);
}

static void *run(void *arg)
{
    struct maker *w = arg;
    struct issue_line *line = w->line;
    struct error err = ERROR_INIT;
    struct issue_batch *batch;
    size_t i;

    pthread_mutex_lock(&line->lock);
    while (take(line, &batch, &i)) {
        int rc;

        pthread_mutex_unlock(&line->lock);
        rc = make(w, batch, i, &err);
        pthread_mutex_lock(&line->lock);
        finish(line, batch, rc, &err);
    }
    pthread_mutex_unlock(&line->lock);
    return NULL;
}

/* Signals are for the thread that opened the line. */
static int start_thread(struct maker *w, struct error *err)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return error_set_errno(err, failed, "cannot start a thread");
    w->started = true;
    return 0;
}

static int start_maker(struct issue_line *line, struct maker *w, struct error *err)
{
    const struct issue_params *p = &line->params;
    const struct job *job = p->v->job;
    struct cert_template_params params = {.profile = &p->v->profile,
                                          .issuer = p->v->issuer->chain.certs[0],
                                          .key = p->v->key,
                                          .scheme = p->v->issuer->scheme};
    int rc = 0;

    job_values(job, p->v->order, params.values);
    w->line = line;
    buf_init(&w->tbs, CERT_DER_MAX);
    if (!p->keys_alone)
        rc = cert_template_new(&params, p->name_len, &w->template, err);
    if (rc == 0)
        rc = hsm_worker_open(p->v->hsm, &w->hsm, err);
    if (rc == 0 && !p->keys_alone)
        rc = issuer_signer(p->v->issuer, w->hsm, &w->signer, err);
    return rc ? rc : start_thread(w, err);
}

/* ---- The line, for its owner. ---- */

int issue_open(const struct issue_params *params, unsigned threads, struct issue_line **out,
               struct error *err)
{
    struct issue_line *line = calloc(1, sizeof *line);
    pthread_condattr_t monotonic;
    int rc = 0;

    if (!line)
        return error_set(err, ERR_INTERNAL, "out of memory");
    line->params = *params;
    pthread_mutex_init(&line->lock, NULL);
    pthread_cond_init(&line->work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&line->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    while (rc == 0 && line->threads < threads)
        rc = start_maker(line, &line->makers[line->threads++], err);
    if (rc)
        issue_close(line);
    else
        *out = line;
    return rc;
}

void issue_dispatch(struct issue_line *line, struct issue_batch *batch)
{
    struct issue_batch **end = &line->oldest;

    batch->taken = batch->finished = 0;
    batch->rc = 0;
    batch->next = NULL;
    pthread_mutex_lock(&line->lock);
    while (*end)
        end = &(*end)->next;
    *end = batch;
    pthread_cond_broadcast(&line->work);
    pthread_mutex_unlock(&line->lock);
}

static struct timespec in_a_moment(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += WATCH_NS;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* Returns how many are made, once that is all of them or one failed, or after a moment. */
static size_t wait_a_moment(struct issue_line *line, const struct issue_batch *batch, bool *over)
{
    struct timespec until = in_a_moment();
    size_t made;

    pthread_mutex_lock(&line->lock);
    while (batch->rc == 0 && batch->finished < batch->count &&
           pthread_cond_timedwait(&line->done, &line->lock, &until) != ETIMEDOUT)
        ;
    made = batch->finished;
    *over = batch->rc || made == batch->count;
    if (batch->rc == 0 && *over)
        line->oldest = batch->next;
    pthread_mutex_unlock(&line->lock);
    return made;
}

int issue_wait(struct issue_line *line, struct issue_batch *batch,
               void (*watch)(void *context, size_t made), void *context, struct error *err)
{
    bool over = false;

    while (!over) {
        size_t made = wait_a_moment(line, batch, &over);

        if (made)
            watch(context, made);
    }
    if (batch->rc)
        *err = batch->err;
    return batch->rc;
}

static void end_maker(struct maker *w)
{
    if (w->started)
        pthread_join(w->thread, NULL);
    hsm_worker_close(w->hsm);
    cert_template_free(w->template);
    buf_done(&w->tbs);
}

void issue_close(struct issue_line *line)
{
    pthread_mutex_lock(&line->lock);
    line->closing = true;
    pthread_cond_broadcast(&line->work);
    pthread_mutex_unlock(&line->lock);
    for (unsigned i = 0; i < line->threads; i++)
        end_maker(&line->makers[i]);
    pthread_cond_destroy(&line->done);
    pthread_cond_destroy(&line->work);
    pthread_mutex_destroy(&line->lock);
    free(line);
}
