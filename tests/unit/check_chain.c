/* Certificate chains of silicon vendors: which attest a key, and which do not. */
#include "vendor_fixture.h"

#include "pki/ec.h"
#include "station/checker/chain.h"
#include "station/vault/attest.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static const struct vendor_cert root_cert = VENDOR_CA("Vendor root"),
                                ca_cert = VENDOR_CA("Vendor CA"),
                                device_cert = {.name = "device 1"};

/* A chain of a device, a CA and a root, of which a test replaces what it wants. */
struct chain {
    struct vendor_entity root, ca, device, other;
    struct buf bytes;
    STACK_OF(X509) * roots;
};

static void make(struct chain *c, const struct vendor_cert *root, const struct vendor_cert *ca,
                 const struct vendor_cert *device)
{
    c->other = (struct vendor_entity){NULL, NULL};
    c->root = vendor_make(root, NULL);
    c->ca = vendor_make(ca, &c->root);
    c->device = vendor_make(device, &c->ca);
    buf_init(&c->bytes, 65536);
    vendor_put(&c->bytes, &c->device);
    vendor_put(&c->bytes, &c->ca);
    c->roots = sk_X509_new_null();
    sk_X509_push(c->roots, c->root.cert);
}

static void done(struct chain *c)
{
    buf_done(&c->bytes);
    sk_X509_free(c->roots);
    vendor_free(&c->root);
    vendor_free(&c->ca);
    vendor_free(&c->device);
    vendor_free(&c->other);
}

static struct wire_check judge(const struct chain *c)
{
    struct wire_check answer;

    chain_check(c->roots, c->bytes.data, c->bytes.len, time(NULL), &answer);
    return answer;
}

static bool is_zero(const struct wire_check *answer)
{
    static const uint8_t none[IMPRINT_P256_POINT_SIZE];

    return answer->algorithm == IMPRINT_ALG_NONE && !memcmp(answer->point, none, sizeof none);
}

START_TEST(a_good_chain_attests_the_key_of_its_first_certificate)
{
    struct error err = ERROR_INIT;
    struct wire_check answer;
    uint8_t point[EC_POINT_SIZE];
    struct chain c;

    make(&c, &root_cert, &ca_cert, &device_cert);
    ASSERT_OK(ec_point(c.device.key, point, &err), err);
    for (int with_root = 0; with_root < 2; with_root++) {
        answer = judge(&c);
        ck_assert_int_eq(answer.verdict, WIRE_CHECK_GOOD);
        ck_assert_int_eq(answer.algorithm, IMPRINT_ALG_P256);
        ck_assert_mem_eq(answer.point, point, sizeof point);
        vendor_put(&c.bytes, &c.root); /* may be there, and need not */
    }
    done(&c);
}
END_TEST

/* ---- what a certificate says ---- */

static const struct {
    const char *what;
    struct vendor_cert root, ca, device;
    int verdict;
} certificates[] = {
    {"a device whose certificate is over",
     VENDOR_CA("R"),
     VENDOR_CA("C"),
     {.name = "d", .from_days = -20, .to_days = -1},
     WIRE_CHECK_UNTRUSTED},
    {"a device whose certificate is not yet valid",
     VENDOR_CA("R"),
     VENDOR_CA("C"),
     {.name = "d", .from_days = 1, .to_days = 9},
     WIRE_CHECK_UNTRUSTED},
    {"a CA whose certificate is over",
     VENDOR_CA("R"),
     {.name = "C",
      .constraints = "critical,CA:TRUE",
      .usage = "critical,keyCertSign",
      .from_days = -20,
      .to_days = -1},
     {.name = "d"},
     WIRE_CHECK_UNTRUSTED},
    {"a root that is over",
     {.name = "R",
      .constraints = "critical,CA:TRUE",
      .usage = "critical,keyCertSign",
      .from_days = -20,
      .to_days = -1},
     VENDOR_CA("C"),
     {.name = "d"},
     WIRE_CHECK_UNTRUSTED},
    {"a device that signs for another",
     VENDOR_CA("R"),
     {.name = "C"},
     {.name = "d"},
     WIRE_CHECK_UNTRUSTED},
    {"a CA without basic constraints",
     VENDOR_CA("R"),
     {.name = "C", .constraints = "", .usage = "critical,keyCertSign"},
     {.name = "d"},
     WIRE_CHECK_UNTRUSTED},
    {"a CA of version 1",
     VENDOR_CA("R"),
     {.name = "C", .version1 = true},
     {.name = "d"},
     WIRE_CHECK_UNTRUSTED},
    {"a CA that may not sign certificates",
     VENDOR_CA("R"),
     {.name = "C", .constraints = "critical,CA:TRUE", .usage = "critical,digitalSignature"},
     {.name = "d"},
     WIRE_CHECK_UNTRUSTED},
    {"a root that allows no CA below it",
     {.name = "R", .constraints = "critical,CA:TRUE,pathlen:0", .usage = "critical,keyCertSign"},
     VENDOR_CA("C"),
     {.name = "d"},
     WIRE_CHECK_UNTRUSTED},
    {"a critical extension that nobody knows",
     VENDOR_CA("R"),
     VENDOR_CA("C"),
     {.name = "d", .extra = "1.3.6.1.4.1.32473.9"},
     WIRE_CHECK_UNTRUSTED},
    {"SHA-1", VENDOR_CA("R"), VENDOR_CA("C"), {.name = "d", .sha1 = true}, WIRE_CHECK_UNTRUSTED},
    {"a device that is a CA",
     VENDOR_CA("R"),
     VENDOR_CA("C"),
     {.name = "d",
      .constraints = "critical,CA:TRUE",
      .usage = "critical,keyCertSign,digitalSignature"},
     WIRE_CHECK_UNFIT},
    {"a device key that may not sign",
     VENDOR_CA("R"),
     VENDOR_CA("C"),
     {.name = "d", .usage = "critical,keyAgreement"},
     WIRE_CHECK_UNFIT},
    {"a device key of another curve",
     VENDOR_CA("R"),
     VENDOR_CA("C"),
     {.name = "d", .curve = "P-384"},
     WIRE_CHECK_UNFIT},
};

START_TEST(a_certificate_that_says_the_wrong_thing_attests_nothing)
{
    struct wire_check answer;
    struct chain c;

    make(&c, &certificates[_i].root, &certificates[_i].ca, &certificates[_i].device);
    answer = judge(&c);
    ck_assert_msg(answer.verdict == certificates[_i].verdict, "%s: verdict %d, reason %d",
                  certificates[_i].what, answer.verdict, answer.reason);
    ck_assert_msg(is_zero(&answer), "%s: a key came with a refusal", certificates[_i].what);
    done(&c);
}
END_TEST

/* ---- how a chain is put together ---- */

static void nothing(struct chain *c)
{
    c->bytes.len = 0;
}

static void garbage(struct chain *c)
{
    memset(c->bytes.data, 0x30, c->bytes.len);
}

static void cut(struct chain *c)
{
    c->bytes.len--;
}

static void byte_behind(struct chain *c)
{
    buf_put_u8(&c->bytes, 0);
}

static void ca_first(struct chain *c)
{
    buf_reset(&c->bytes);
    vendor_put(&c->bytes, &c->ca);
    vendor_put(&c->bytes, &c->device);
}

static void ca_missing(struct chain *c)
{
    buf_reset(&c->bytes);
    vendor_put(&c->bytes, &c->device);
}

static void one_twice(struct chain *c)
{
    vendor_put(&c->bytes, &c->ca);
}

static void a_stranger_behind(struct chain *c)
{
    struct vendor_entity stranger = vendor_make(&device_cert, NULL);

    vendor_put(&c->bytes, &stranger);
    vendor_free(&stranger);
}

static void five(struct chain *c)
{
    for (int i = 0; i < 3; i++)
        vendor_put(&c->bytes, &c->root);
}

static void root_alone(struct chain *c)
{
    buf_reset(&c->bytes);
    vendor_put(&c->bytes, &c->root);
}

/* Everything has the right name, and the root another key. */
static void another_root(struct chain *c)
{
    c->other = vendor_make(&root_cert, NULL);
    vendor_put(&c->bytes, &c->root); /* the right one comes along, and is not pinned */
    (void)sk_X509_set(c->roots, 0, c->other.cert);
}

static void no_root(struct chain *c)
{
    (void)sk_X509_pop(c->roots);
}

static void changed(struct chain *c)
{
    c->bytes.data[200] ^= 1;
}

static const struct {
    const char *what;
    void (*change)(struct chain *c);
} chains[] = {{"nothing", nothing},
              {"garbage", garbage},
              {"cut", cut},
              {"a byte behind", byte_behind},
              {"the CA first", ca_first},
              {"without the CA", ca_missing},
              {"one twice", one_twice},
              {"a stranger behind", a_stranger_behind},
              {"five certificates", five},
              {"the root alone", root_alone},
              {"another root", another_root},
              {"no root", no_root},
              {"a bit changed", changed}};

START_TEST(a_chain_that_is_put_together_in_another_way_attests_nothing)
{
    struct wire_check answer;
    struct chain c;

    make(&c, &root_cert, &ca_cert, &device_cert);
    chains[_i].change(&c);
    answer = judge(&c);
    ck_assert_msg(answer.verdict != WIRE_CHECK_GOOD && is_zero(&answer), "%s: verdict %d",
                  chains[_i].what, answer.verdict);
    done(&c);
}
END_TEST

/* No change of any byte attests another key. */
START_TEST(no_changed_byte_attests_another_key)
{
    struct wire_check good, answer;
    struct chain c;

    make(&c, &root_cert, &ca_cert, &device_cert);
    good = judge(&c);
    for (size_t i = 0; i < c.bytes.len; i++) {
        c.bytes.data[i] ^= (uint8_t)(1u << i % 8);
        answer = judge(&c);
        ck_assert(answer.verdict == WIRE_CHECK_GOOD ? !memcmp(&answer, &good, sizeof good)
                                                    : is_zero(&answer));
        c.bytes.data[i] ^= (uint8_t)(1u << i % 8);
    }
    done(&c);
}
END_TEST

/* ---- the process ---- */

static void start(struct attest *a, struct job *job, struct chain *c, const char *program)
{
    struct error err = ERROR_INIT;

    make(c, &root_cert, &ca_cert, &device_cert);
    memset(job, 0, sizeof *job);
    job->vendor_root_count = 1;
    buf_init(&job->vendor_roots[0], JOB_ROOT_MAX);
    vendor_put(&job->vendor_roots[0], &c->root);
    ASSERT_OK(attest_start(a, program, job, &err), err);
}

static void end(struct attest *a, struct job *job, struct chain *c)
{
    attest_stop(a);
    buf_done(&job->vendor_roots[0]);
    done(c);
}

START_TEST(the_checker_answers_one_chain_after_the_other)
{
    uint8_t point[EC_POINT_SIZE], expected[EC_POINT_SIZE];
    struct error err = ERROR_INIT;
    struct attest a;
    struct chain c;
    struct job job;

    start(&a, &job, &c, IMPRINT_CHECKER);
    ASSERT_OK(ec_point(c.device.key, expected, &err), err);
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(attest_key(&a, &c.bytes, point, &err), err);
        ck_assert_mem_eq(point, expected, sizeof point);
        c.bytes.data[200] ^= 1;
        ck_assert_int_ne(attest_key(&a, &c.bytes, point, &err), 0);
        ck_assert_int_ne(err.code, ERR_INTERNAL);
        c.bytes.data[200] ^= 1;
    }
    end(&a, &job, &c);
}
END_TEST

/* Of the checker itself: it is another process, which can be killed and stopped. */
static void is_killed(struct attest *a)
{
    kill(a->pid, SIGKILL);
}

static void is_stopped(struct attest *a)
{
    kill(a->pid, SIGSTOP);
}

static void (*const ends[])(struct attest *) = {is_killed, is_stopped};

START_TEST(a_checker_that_ends_or_hangs_attests_nothing)
{
    uint8_t point[EC_POINT_SIZE];
    struct error err = ERROR_INIT;
    struct attest a;
    struct chain c;
    struct job job;

    start(&a, &job, &c, IMPRINT_CHECKER);
    ends[_i](&a);
    ASSERT_FAILS(attest_key(&a, &c.bytes, point, &err), ERR_INTERNAL);
    ck_assert_ptr_nonnull(strstr(err.text, "checker"));
    ASSERT_FAILS(attest_key(&a, &c.bytes, point, &err), ERR_INTERNAL); /* and so it stays */
    ck_assert_int_eq(a.pid, 0);
    end(&a, &job, &c);
}
END_TEST

/* One that was taken over answers what it likes, and only in its one form. */
static const char *const liars[] = {"printf 'yes'", "head -c 70 /dev/zero",
                                    "printf '\\001\\000\\000\\000\\000'; head -c 65 /dev/zero",
                                    "head -c 71 /dev/zero | tr '\\000' '\\001'"};

START_TEST(a_checker_that_answers_garbage_attests_nothing)
{
    char program[] = "/tmp/check_chain_XXXXXX";
    uint8_t point[EC_POINT_SIZE];
    struct error err = ERROR_INIT;
    struct attest a;
    struct chain c;
    struct job job;
    FILE *out;
    int fd = mkstemp(program);

    ck_assert_int_ge(fd, 0);
    out = fdopen(fd, "w");
    fprintf(out, "#!/bin/sh\n{ %s; } >&3 2>/dev/null\nsleep 1\n", liars[_i]);
    ck_assert_int_eq(fchmod(fd, 0700), 0);
    fclose(out);
    start(&a, &job, &c, program);
    ASSERT_FAILS(attest_key(&a, &c.bytes, point, &err), ERR_INTERNAL);
    end(&a, &job, &c);
    unlink(program);
}
END_TEST

CHECK_ITEMS_MAIN("chain", ONCE(a_good_chain_attests_the_key_of_its_first_certificate),
                 EACH_ROW(a_certificate_that_says_the_wrong_thing_attests_nothing, certificates),
                 EACH_ROW(a_chain_that_is_put_together_in_another_way_attests_nothing, chains),
                 ONCE(no_changed_byte_attests_another_key),
                 ONCE(the_checker_answers_one_chain_after_the_other),
                 EACH_ROW(a_checker_that_ends_or_hangs_attests_nothing, ends),
                 EACH_ROW(a_checker_that_answers_garbage_attests_nothing, liars))
