#include "station/conform/judge.h"

#include <stdio.h>
#include <string.h>

#define ALIVE_TRIES 2

/* ---- which cases ---- */

static size_t word(const char *names)
{
    return strcspn(names, ",");
}

static const char *next_word(const char *names)
{
    names += word(names);
    return *names ? names + 1 : names;
}

int judge_check(const char *names, struct error *err)
{
    for (; *names; names = next_word(names))
        if (!case_find(names, word(names)))
            return error_set(err, ERR_USAGE,
                             "there is no case '%.*s'; 'imprint conform --list' lists them",
                             (int)word(names), names);
    return 0;
}

static bool is_wanted(const char *names, const char *name)
{
    if (!*names)
        return true;
    for (; *names; names = next_word(names))
        if (strlen(name) == word(names) && strncmp(name, names, word(names)) == 0)
            return true;
    return false;
}

/* ---- whether a case can run ---- */

/* Why the device cannot do what the case is about; NULL when it can. */
static const char *not_claimed(const struct bench *b, unsigned needs)
{
    const struct link_facts *f = &b->hello.facts;

    if (needs & NEED_HSM && !(f->modes & IMPRINT_MODE_HSM))
        return "the device takes no keys from an HSM (modes without 1)";
    if (needs & NEED_DEVICE && !(f->modes & IMPRINT_MODE_DEVICE))
        return "the device does not make keys (modes without 2)";
    if (needs & NEED_NO_DEVICE && f->modes & IMPRINT_MODE_DEVICE)
        return "the device makes keys (modes with 2)";
    if (needs & NEED_DERIVED && !(f->modes & IMPRINT_MODE_DERIVED))
        return "the device takes no symmetric keys (modes without 4)";
    if (needs & NEED_SUITE_1 && !bench_offers(b, IMPRINT_SUITE_ECB))
        return "the device does not offer suite 1";
    if (needs & NEED_SUITE_2 && !bench_offers(b, IMPRINT_SUITE_X963))
        return "the device does not offer suite 2";
    if (needs & NEED_PINNED && !f->pinned)
        return "the device pins no authority";
    if (needs & NEED_ATTESTATION && !b->hello.attested)
        return "the device has no enrolment key";
    if (needs & NEED_CHAIN && b->hello.chain_len == 0)
        return "the device has no certificates of a vendor";
    if (needs & NEED_DECOMMISSION && !b->decommission)
        return "the firmware leaves DECOMMISSION out";
    return NULL;
}

/* Why nobody may change the device. */
static const char *not_allowed(const struct bench *b, unsigned needs)
{
    if (needs & NEED_CHANGE && b->hello.facts.lifecycle == IMPRINT_LIFE_LOCKED && !b->identity)
        return "the device is locked, and only its owner's DECOMMISSION changes that";
    if (needs & NEED_CHANGE && b->foreign && !b->options.replace)
        return "the device has an identity or an open transaction: --replace allows to end them";
    if (needs & NEED_BELIEF && b->disbelief)
        return "the device did not believe the station, see case 'begin'";
    if (needs & NEED_BELIEF && b->hello.facts.pinned && !b->options.certified)
        return "the device pins an authority: give its key with --authority-key, or a station that "
               "it "
               "certified with --station-key and --station-cert";
    return NULL;
}

static const char *not_asked_for(const struct bench *b, unsigned needs)
{
    if (needs & NEED_LOCK && !b->options.lock)
        return "--lock allows it: only DECOMMISSION ends LOCK";
    if (needs & NEED_RESTART && !b->options.restart)
        return "--restart names the command that turns the device off and on";
    return NULL;
}

/* ---- where a case begins ---- */

static bool has_identity(const struct bench *b)
{
    return b->identity && b->hello.state == IMPRINT_TX_COMMITTED &&
           memcmp(b->hello.transaction, b->identity->begin.transaction, IMPRINT_TX_SIZE) == 0;
}

static int provide_identity(struct bench *b, struct error *err)
{
    uint32_t mode = bench_mode(b);
    int rc = has_identity(b) ? 0 : bench_provision(b, mode, bench_suite(b, mode), err);

    return rc ? rc : bench_hello(b, err);
}

static int prepare(struct bench *b, unsigned needs, struct error *err)
{
    int rc = bench_hello(b, err);

    if (rc || !(needs & (NEED_READY | NEED_IDENTITY)))
        return rc;
    if (b->hello.facts.lifecycle == IMPRINT_LIFE_LOCKED) {
        if (needs & NEED_LOCKED)
            return 0;
        rc = b->decommission ? bench_farewell(b, err)
                             : error_set(err, ERR_REFUSED, "a case before it locked the device");
    }
    if (rc == 0)
        rc = bench_reset(b, err);
    if (rc == 0 && b->hello.state == IMPRINT_TX_OPEN)
        rc = error_set(err, ERR_REFUSED, "a transaction is still open after ABORT");
    if (rc == 0 && needs & NEED_IDENTITY)
        rc = provide_identity(b, err);
    if (rc == 0 && needs & NEED_BLANK && b->hello.commit_count > 0)
        rc = error_set(err, ERR_REFUSED, "the device has an identity");
    return rc;
}

/* What ends the run: it is not the device's answer. */
static bool is_fatal(int rc)
{
    return rc < 0 && rc != ERR_TIMEOUT && rc != ERR_PROTOCOL && rc != ERR_REFUSED;
}

/* ---- one case ---- */

/* After every case: a device that a request brought down fails that case. */
static int still_answers(struct bench *b, struct error *err)
{
    int rc;

    b->client.tries = ALIVE_TRIES;
    rc = bench_hello(b, err);
    b->client.tries = 1;
    return rc ? error_prefix(err, "after the case the device does not work any more") : 0;
}

static int skip(const struct report *report, const struct conform_case *c, const char *reason,
                struct judgement *j)
{
    report_case(report, c, CASE_SKIP, reason, NULL, 0);
    j->skipped++;
    return 0;
}

static void count(struct judgement *j, int verdict)
{
    if (verdict == CASE_SKIP)
        j->skipped++;
    else if (verdict == CASE_PASS)
        j->passed++;
    else
        j->failed++;
}

static int try_case(struct bench *b, const struct conform_case *c, const struct report *report,
                    struct judgement *j, struct error *err)
{
    struct error found = ERROR_INIT, later = ERROR_INIT;
    size_t exchanges;
    int verdict, alive;

    verdict = c->run(b, &found);
    if (is_fatal(verdict)) {
        *err = found;
        return verdict;
    }
    exchanges = b->recorder.count;
    alive = still_answers(b, &later);
    if (is_fatal(alive)) {
        *err = later;
        return alive;
    }
    if (verdict >= 0 && alive) {
        verdict = alive;
        found = later;
    }
    report_case(report, c, verdict, found.text, b->recorder.list, exchanges);
    count(j, verdict);
    if (alive == ERR_TIMEOUT)
        *err = later;
    return alive == ERR_TIMEOUT ? alive : 0;
}

static int run_case(struct bench *b, const struct conform_case *c, const struct report *report,
                    struct judgement *j, struct error *err)
{
    const char *reason = not_claimed(b, c->needs);
    char text[600];
    int rc;

    if (!reason)
        reason = not_asked_for(b, c->needs);
    if (reason)
        return skip(report, c, reason, j);
    reason = not_allowed(b, c->needs);
    if (reason) {
        j->withheld++;
        return skip(report, c, reason, j);
    }
    rc = prepare(b, c->needs, err);
    if (is_fatal(rc) || rc == ERR_TIMEOUT)
        return rc;
    if (rc) {
        snprintf(text, sizeof text, "the case cannot begin: %s", err->text);
        *err = (struct error)ERROR_INIT;
        return skip(report, c, text, j);
    }
    recorder_reset(&b->recorder);
    return try_case(b, c, report, j, err);
}

/* Leaves the device as it came, where that can be done. */
static int clean_up(struct bench *b, struct error *err)
{
    bool ours, locked;
    int rc = bench_hello(b, err);

    if (rc)
        return rc;
    ours = has_identity(b) && b->decommission;
    locked = b->hello.facts.lifecycle == IMPRINT_LIFE_LOCKED;
    if (b->hello.state == IMPRINT_TX_OPEN && !locked && (!b->foreign || b->options.replace))
        rc = bench_reset(b, err);
    ours = ours || (has_identity(b) && b->decommission);
    if (rc == 0 && ours)
        rc = bench_farewell(b, err);
    return rc ? rc : bench_hello(b, err);
}

int judge_run(struct bench *b, const char *names, const struct report *report, struct judgement *j,
              struct error *err)
{
    struct error ignored = ERROR_INIT;
    const struct conform_case *c;
    int rc = bench_probe(b, err);

    *j = (struct judgement){0};
    if (rc)
        return rc;
    report_device(report, b);
    for (size_t i = 0; rc == 0 && (c = case_at(i)); i++)
        if (is_wanted(names, c->name))
            rc = run_case(b, c, report, j, err);
    if (rc == 0)
        (void)!clean_up(b, &ignored); /* what is left is told */
    report_end(report, b, j);
    return rc;
}

int judge_verdict(const struct bench *b, const struct judgement *j, struct error *err)
{
    unsigned tried = j->passed + j->failed;

    if (j->failed)
        return error_set(err, ERR_PROTOCOL, "%u of %u cases failed", j->failed, tried);
    if (j->withheld && b->foreign)
        return error_set(err, ERR_REFUSED,
                         "%u cases were skipped, for the device has an identity or an open "
                         "transaction: see --replace",
                         j->withheld);
    if (j->withheld)
        return error_set(err, ERR_REFUSED,
                         "%u cases were skipped, for the device pins an authority: see "
                         "--authority-key",
                         j->withheld);
    return 0;
}
