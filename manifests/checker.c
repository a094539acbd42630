#include "manifests/checker.h"

#include "manifests/evidence.h"
#include "manifests/folder.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_RECORDS 64 /* handed to a thread at once */
#define THREADS_MAX   16
#define BLOCKS_MAX    (2 * THREADS_MAX + 1)

struct item {
    struct record record;
    struct cert cert;
    struct buf evidence;
    bool has_evidence, proof;
    uint64_t line, evidence_line;
};

enum stage { EMPTY, READY, TAKEN, DONE };

struct block {
    enum stage stage;
    struct item items[BLOCK_RECORDS];
    size_t count;
    size_t good; /* items before the first failure */
    int rc;
    struct error err;
};

/* What a thread needs of its own. */
struct worker {
    struct checker *checker;
    struct chain_checker *chain;
    struct ec_verifier *verifier;
    pthread_t thread;
};

struct checker {
    const struct checker_policy *policy;
    struct block *blocks[BLOCKS_MAX];
    size_t block_count;
    uint64_t filling, oldest; /* numbers of blocks; their places are modulo block_count */
    uint64_t records, evidence_lines;
    bool failed;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t next; /* block to be taken by a thread */
    bool stop;
    struct worker workers[THREADS_MAX];
    unsigned started;
};

/* The failure of an evidence line, with the place where it stands. */
static int fail_evidence(const struct item *i, struct error *err)
{
    char where[128];

    folder_position("evidence", i->evidence_line, where, sizeof where);
    return error_prefix(err, "%s", where);
}

static int check_evidence(const struct worker *w, struct item *i, struct error *err)
{
    const struct checker_policy *policy = w->checker->policy;
    struct evidence e;
    uint8_t digest[SHA256_SIZE];
    int rc;

    sha256(i->evidence.data, i->evidence.len, digest);
    if (!sha256_equal(digest, i->record.ev)) {
        error_set(err, ERR_INCOMPLETE,
                  "not the evidence that the record of '%s' names: evidence is missing, repeated "
                  "or out of order",
                  i->record.sn);
        return fail_evidence(i, err);
    }
    if (evidence_parse(i->evidence.data, i->evidence.len, &e, err))
        return fail_evidence(i, err);
    rc = evidence_verify(&e, &i->record, policy->environment,
                         policy->skip_proofs ? NULL : w->verifier, &i->proof, err);
    evidence_done(&e);
    return rc ? fail_evidence(i, err) : 0;
}

static int check_item(const struct worker *w, struct item *i, struct error *err)
{
    int rc = 0;

    if (i->record.cert.p)
        rc = chain_check(w->chain, &i->record, &i->cert, err);
    if (rc == 0 && i->has_evidence)
        rc = check_evidence(w, i, err);
    return rc;
}

static void check_block(const struct worker *w, struct block *b)
{
    b->rc = 0;
    for (b->good = 0; b->good < b->count; b->good++) {
        b->rc = check_item(w, &b->items[b->good], &b->err);
        if (b->rc)
            return;
    }
}

static struct block *block_of(struct checker *c, uint64_t number)
{
    return c->blocks[number % c->block_count];
}

static void *work(void *ctx)
{
    struct worker *w = ctx;
    struct checker *c = w->checker;

    pthread_mutex_lock(&c->mutex);
    for (;;) {
        struct block *b = block_of(c, c->next);

        if (c->stop)
            break;
        if (b->stage != READY) {
            pthread_cond_wait(&c->changed, &c->mutex);
            continue;
        }
        b->stage = TAKEN;
        c->next++;
        pthread_mutex_unlock(&c->mutex);
        check_block(w, b);
        pthread_mutex_lock(&c->mutex);
        b->stage = DONE;
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

static unsigned wanted_threads(const struct checker_policy *policy)
{
    long online = policy->threads ? (long)policy->threads : sysconf(_SC_NPROCESSORS_ONLN);

    return online < 1 ? 1 : online > THREADS_MAX ? THREADS_MAX : (unsigned)online;
}

static bool make_worker(struct checker *c, struct worker *w)
{
    w->checker = c;
    w->chain = chain_checker_new(c->policy->chain);
    w->verifier = ec_verifier_new();
    return w->chain && w->verifier;
}

/* At least one worker is made; where no thread can be started, the caller works in its place. */
static bool start(struct checker *c, unsigned threads)
{
    for (unsigned i = 0; i < threads; i++) {
        if (!make_worker(c, &c->workers[i]))
            return false;
        if (pthread_create(&c->workers[i].thread, NULL, work, &c->workers[i]))
            return true;
        c->started++;
    }
    return true;
}

struct checker *checker_new(const struct checker_policy *policy)
{
    struct checker *c = calloc(1, sizeof *c);
    unsigned threads = wanted_threads(policy);

    if (!c)
        return NULL;
    c->policy = policy;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->changed, NULL);
    for (; c->block_count < 2 * threads + 1; c->block_count++) {
        c->blocks[c->block_count] = calloc(1, sizeof *c->blocks[0]);
        if (!c->blocks[c->block_count])
            break;
        for (size_t i = 0; i < BLOCK_RECORDS; i++)
            buf_init(&c->blocks[c->block_count]->items[i].evidence, RECORD_LINE_MAX);
    }
    if (c->block_count < 2 * threads + 1 || !start(c, threads)) {
        checker_free(c);
        return NULL;
    }
    return c;
}

static void empty_block(struct block *b)
{
    for (size_t i = 0; i < b->count; i++)
        record_done(&b->items[i].record);
    b->count = 0;
}

/* Threads look at the stage of the block that comes next, whoever has it. */
static void set_stage(struct checker *c, struct block *b, enum stage stage)
{
    pthread_mutex_lock(&c->mutex);
    b->stage = stage;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

static void free_block(struct block *b)
{
    empty_block(b);
    for (size_t i = 0; i < BLOCK_RECORDS; i++)
        buf_done(&b->items[i].evidence);
    free(b);
}

void checker_free(struct checker *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->mutex);
    c->stop = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    for (unsigned i = 0; i < c->started; i++)
        pthread_join(c->workers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        chain_checker_free(c->workers[i].chain);
        ec_verifier_free(c->workers[i].verifier);
    }
    for (size_t i = 0; i < c->block_count; i++)
        free_block(c->blocks[i]);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

/* The failure of a record, with the place where it stands. */
static int fail_at(uint64_t line, struct error *err)
{
    char where[128];

    folder_position("devices", line, where, sizeof where);
    return error_prefix(err, "%s", where);
}

static int take_item(const struct checker *c, const struct item *i, struct error *err)
{
    struct checked checked = {&i->record, i->record.cert.p ? &i->cert : NULL, i->line, i->proof};

    return c->policy->take(c->policy->ctx, &checked, err) ? fail_at(i->line, err) : 0;
}

static int take_block(const struct checker *c, const struct block *b, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < b->good; i++)
        rc = take_item(c, &b->items[i], err);
    if (rc == 0 && b->rc) {
        *err = b->err;
        rc = fail_at(b->items[b->good].line, err);
    }
    return rc;
}

static void wait_until_done(struct checker *c, const struct block *b)
{
    pthread_mutex_lock(&c->mutex);
    while (b->stage != DONE)
        pthread_cond_wait(&c->changed, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

/* Waits for the oldest block and hands its records back. */
static int take_oldest(struct checker *c, struct error *err)
{
    struct block *b = block_of(c, c->oldest++);
    int rc;

    wait_until_done(c, b);
    rc = c->failed ? 0 : take_block(c, b, err);
    c->failed |= rc != 0;
    empty_block(b);
    set_stage(c, b, EMPTY);
    return rc;
}

/* Hands the block that is being filled to the threads. */
static void submit(struct checker *c)
{
    struct block *b = block_of(c, c->filling++);

    if (!c->started)
        check_block(&c->workers[0], b);
    set_stage(c, b, c->started ? READY : DONE);
}

int checker_add(struct checker *c, struct record *r, const char *evidence, size_t evidence_len,
                struct error *err)
{
    struct block *b = block_of(c, c->filling);
    struct item *i = &b->items[b->count++];

    i->record = *r;
    i->line = c->records++;
    i->proof = false;
    i->has_evidence = evidence != NULL;
    buf_reset(&i->evidence);
    if (evidence) {
        i->evidence_line = c->evidence_lines++;
        buf_put(&i->evidence, evidence, evidence_len);
    }
    if (buf_failed(&i->evidence))
        return error_set(err, ERR_INTERNAL, "out of memory for a line of evidence");
    if (b->count < BLOCK_RECORDS)
        return 0;
    submit(c);
    return c->filling - c->oldest == c->block_count ? take_oldest(c, err) : 0;
}

int checker_finish(struct checker *c, struct error *err)
{
    int rc = 0;

    if (block_of(c, c->filling)->count)
        submit(c);
    while (rc == 0 && c->oldest < c->filling)
        rc = take_oldest(c, err);
    return rc;
}
