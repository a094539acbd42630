/*
 * bench_profiles: what the certificate of each profile costs before its signature.
 *
 * One side patches the template, the other lets OpenSSL build the same certificate field by field
 * (pki/profile_build.h), without encoding it. No side signs: the signature is the HSM's. Rounds of all
 * profiles alternate; the median of the ratios to the first profile, idevid, is the result.
 */
#include "base/clock.h"
#include "pki/profile_build.h"
#include "pki/template.h"
#include "station/profile/profile.h"
#include "station/profile/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS   41
#define PATCHES  20000
#define BUILDS   150
#define PROFILES 8
#define KEYS     64

/* One profile, ready to make certificates. */
struct subject_of {
    struct cert_profile profile;
    struct sample sample;
    struct cert_template *t;
    double patch[ROUNDS], ratio[ROUNDS], against_openssl[ROUNDS];
};

static const char *values[VALUE_COUNT];
static uint8_t points[KEYS][EC_POINT_SIZE];

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill(struct cert_subject *s, char serial[16], size_t i, int64_t when)
{
    snprintf(serial, 16, "A1-%07zu", i);
    s->serial = serial;
    s->number[0] = 1;
    memcpy(s->number + 9, &i, sizeof i);
    s->key = key_p256(points[i % KEYS]);
    s->not_before = when;
}

/* Seconds for one patched TBSCertificate. */
static double patch(struct subject_of *p, int64_t when, struct error *err)
{
    struct cert_subject s = {.chip_id = NULL};
    char serial[16];
    struct buf tbs;
    double begun;
    int rc = 0;

    buf_init(&tbs, CERT_DER_MAX);
    begun = now();
    for (size_t i = 0; rc == 0 && i < PATCHES; i++) {
        fill(&s, serial, i, when);
        buf_reset(&tbs);
        rc = cert_template_tbs(p->t, &s, &tbs, err);
    }
    begun = now() - begun;
    buf_done(&tbs);
    return rc ? -1 : begun / PATCHES;
}

/* Seconds for one certificate built by OpenSSL's X509 functions. */
static double build(const struct subject_of *p, int64_t when, struct error *err)
{
    struct cert_subject s = {.chip_id = NULL};
    const char *own[VALUE_COUNT];
    struct profile_input input = {s.number, &s.key, when, own, p->sample.issuing};
    char serial[16];
    double begun = now();
    int rc = 0;

    memcpy(own, values, sizeof own);
    for (size_t i = 0; rc == 0 && i < BUILDS; i++) {
        X509 *cert = NULL;

        fill(&s, serial, i, when);
        own[VALUE_SERIAL] = serial;
        rc = profile_build(&p->profile, &input, &cert, err);
        X509_free(cert);
    }
    return rc ? -1 : (now() - begun) / BUILDS;
}

static int prepare(struct subject_of *p, const char *name, struct error *err)
{
    struct cert_template_params params = {.profile = &p->profile};
    int rc = profile_find(name, &p->profile, err);

    if (rc == 0)
        rc = sample_make(&p->profile, values, clock_utc(), &(struct sample_algorithms){0},
                         &p->sample, err);
    if (rc)
        return rc;
    params.issuer = p->sample.issuing;
    memcpy(params.values, values, sizeof params.values);
    return cert_template_new(&params, 10, &p->t, err);
}

static int one_round(struct subject_of *profiles, size_t count, size_t round, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        double openssl;

        profiles[i].patch[round] = patch(&profiles[i], clock_utc(), err);
        openssl = build(&profiles[i], clock_utc(), err);
        if (profiles[i].patch[round] < 0 || openssl < 0)
            return err->code;
        profiles[i].against_openssl[round] = openssl / profiles[i].patch[round];
    }
    for (size_t i = 0; i < count; i++)
        profiles[i].ratio[round] = profiles[i].patch[round] / profiles[0].patch[round];
    return 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof *v, compare);
    return v[ROUNDS / 2];
}

static int run(struct subject_of *profiles, struct error *err)
{
    size_t count = 0;
    int rc = prepare(&profiles[count++], "idevid", err);

    for (const struct shipped_profile *p = shipped_profiles; rc == 0 && p->name; p++)
        if (strcmp(p->name, "idevid") && strcmp(p->name, "matter-pai"))
            rc = prepare(&profiles[count++], p->name, err);
    for (size_t round = 0; rc == 0 && round < ROUNDS; round++)
        rc = one_round(profiles, count, round, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        printf("%-11s %.2f us, %.3f of idevid's; OpenSSL takes %.1f times as long\n",
               profiles[i].profile.name, 1e6 * median(profiles[i].patch), median(profiles[i].ratio),
               median(profiles[i].against_openssl));
    return rc;
}

int main(int argc, char **argv)
{
    static struct subject_of profiles[PROFILES];
    struct error err = ERROR_INIT;
    int rc = 0;

    (void)argv;
    if (argc > 1) {
        fputs("usage: bench_profiles\n", stderr);
        return 2;
    }
    sample_values(values);
    for (size_t i = 0; rc == 0 && i < KEYS; i++) {
        EVP_PKEY *key = EVP_EC_gen("P-256");

        rc = key ? ec_point(key, points[i], &err) : error_set(&err, ERR_CRYPTO, "no key");
        EVP_PKEY_free(key);
    }
    if (rc == 0)
        rc = run(profiles, &err);
    if (rc)
        fprintf(stderr, "bench_profiles: %s\n", err.text);
    for (size_t i = 0; i < PROFILES; i++) {
        cert_template_free(profiles[i].t);
        sample_done(&profiles[i].sample);
    }
    return error_exit_status(rc);
}
