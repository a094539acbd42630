/* The simulator as a program: the real client over a serial port, kill -9 and faults included. */
#include "agent_rig.h"
#include "shim_util.h"

#include "base/clock.h"
#include "base/codec.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static char dir[64];
static struct error err;
static struct rig rig; /* only its client is used: the device is a process */
static struct rig_station station, other;
static struct link_hello hello;
static pid_t device;

static const char *in_dir(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return path;
}

/* Starts the simulator and opens its port. extra: one more option and its argument, or NULL. */
static void start(const char *option, const char *argument)
{
    int64_t deadline = clock_mono_ms() + 5000;
    struct transport *t;
    int rc;

    /* A killed device leaves its link behind, and its terminal's number may be another's by now. */
    (void)unlink(in_dir("ttyDEV0"));
    device = fork();
    ck_assert_int_ge(device, 0);
    if (device == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no device behind */
        execl(DEVICE, DEVICE, "--store", in_dir("store"), "--port", in_dir("ttyDEV0"),
              "--authority", in_dir("authority"), "--chip-id", "c0ffee01", "--firmware", "2.0.1",
              "--capture", in_dir("capture"), option, argument, (char *)NULL);
        _exit(127);
    }
    do {
        rc = open_transport("/dev/ttyDEV0", 115200, &t, &err);
        if (rc)
            usleep(2000);
    } while (rc && clock_mono_ms() < deadline);
    ASSERT_OK(rc, err);
    link_client_init(&rig.client, t);
    rig.client.timeout_ms = 1000;
}

/* Ends the simulator with a signal (0: waits for it), returns its exit status. */
static int end(int signal_number)
{
    int status;

    transport_close(rig.client.transport);
    if (signal_number)
        kill(device, signal_number);
    ck_assert_int_eq(waitpid(device, &status, 0), device);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void restart(void)
{
    end(SIGKILL);
    start(NULL, NULL);
}

static void begin_test(void)
{
    char hex[131], line[200];

    err = (struct error)ERROR_INIT;
    shim_dir(dir);
    rig_station_init(&station, "SN-0001");
    rig_station_next(&other, &station, "SN-0002");
    hex_encode(station.authority_point, 65, hex);
    snprintf(line, sizeof line, "p256 %s\n", hex);
    ASSERT_OK(file_write(in_dir("authority"), line, strlen(line), 0600, &err), err);
}

static void end_test(void)
{
    rig_station_done(&station);
    rig_station_done(&other);
    shim_dir_remove(dir);
}

/* Runs the export; returns its exit status. */
static int export_status(void)
{
    char command[PATH_MAX * 2];
    int status;

    snprintf(command, sizeof command, "'%s' export --store '%s' --out '%s' 2>/dev/null", DEVICE,
             in_dir("store"), in_dir("out"));
    status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_file(const char *name, const char *expected)
{
    struct buf b;

    buf_init(&b, 4096);
    ASSERT_OK(file_read(in_dir(name), &b, &err), err);
    buf_put_u8(&b, 0);
    ck_assert_str_eq((char *)b.data, expected);
    buf_done(&b);
}

/* What was exported is this station's credential. */
static void assert_exported(const struct rig_station *s, const char *state)
{
    FILE *in = fopen(in_dir("out/key.pem"), "r");
    EVP_PKEY *key = in ? PEM_read_PrivateKey(in, NULL, NULL, NULL) : NULL;
    uint8_t point[65];
    char text[80];

    ck_assert_ptr_nonnull(key);
    fclose(in);
    ASSERT_OK(ec_point(key, point, &err), err);
    ck_assert_mem_eq(point, s->device_point, 65);
    EVP_PKEY_free(key);
    snprintf(text, sizeof text, "%s\n", s->serial);
    assert_file("out/serial", text);
    hex_encode(s->begin.transaction, 16, text);
    strcat(text, "\n");
    assert_file("out/transaction", text);
    assert_file("out/state", state);
    ck_assert(file_exists(in_dir("out/certificates.pem")));
    ck_assert(file_exists(in_dir("out/trust-anchors.pem")));
}

START_TEST(a_device_killed_after_every_step_is_provisioned_all_the_same)
{
    static const uint8_t nonce[32] = {1};
    uint8_t first_key[65];
    struct buf capture;
    uint8_t *scalar = station.plain.data;

    begin_test();
    ck_assert_int_eq(export_status(), 7);
    start(NULL, NULL);
    ASSERT_OK(link_client_hello(&rig.client, nonce, &hello, &err), err);
    ck_assert_mem_eq(hello.facts.chip_id, "\xc0\xff\xee\x01", 4);
    ck_assert_str_eq(hello.facts.firmware, "2.0.1");
    ck_assert(hello.facts.pinned);
    memcpy(first_key, hello.facts.dev_pub.bytes, 65);
    restart();
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_mem_eq(first_key, hello.facts.dev_pub.bytes, 65);
    rig_plain_softhsm(&station);
    rig_prepare(&station, &hello, IMPRINT_SUITE_ECB);
    ASSERT_OK(rig_begin(&rig, &station, &err), err);
    restart();
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    restart();
    ck_assert_int_eq(export_status(), 7);
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_OK(rig_commit(&rig, &station, &err), err);
    restart();
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    restart();
    ASSERT_OK(rig_lock(&rig, &station, &err), err);
    restart();
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    ck_assert_int_eq(export_status(), 0);
    assert_exported(&station, "state committed\nlifecycle locked\ncommit_count 1\n");
    ck_assert_int_eq(end(SIGTERM), 0);
    ck_assert(!file_exists(in_dir("ttyDEV0")));
    buf_init(&capture, 1000000);
    ASSERT_OK(file_read(in_dir("capture"), &capture, &err), err);
    ck_assert_uint_gt(capture.len, 2000);
    scalar = station.plain.data + 35;
    ck_assert_ptr_null(memmem(capture.data, capture.len, scalar, 16)); /* P1 */
    buf_done(&capture);
    end_test();
}
END_TEST

START_TEST(a_second_device_on_one_store_is_refused)
{
    char command[PATH_MAX * 2];

    begin_test();
    start(NULL, NULL);
    snprintf(command, sizeof command, "'%s' --store '%s' --port '%s' 2>/dev/null", DEVICE,
             in_dir("store"), in_dir("ttyDEV1"));
    ck_assert_int_eq(WEXITSTATUS(system(command)), 9);
    ck_assert_int_eq(end(SIGTERM), 0);
    end_test();
}
END_TEST

START_TEST(power_cuts_leave_a_device_that_finishes)
{
    for (int n = 1; n <= 12; n++) {
        char fault[32];
        int rc;

        begin_test();
        snprintf(fault, sizeof fault, "power-cut=%d", n);
        start("--fault", fault);
        rc = rig_provision(&rig, &station, IMPRINT_SUITE_X963, &err);
        ck_assert_msg(rc == 0 || rc == ERR_GONE, "cut %d: %s: %s", n, error_name(rc), err.text);
        ck_assert_int_eq(end(rc == 0 ? SIGTERM : 0), rc == 0 ? 0 : 99);
        start(NULL, NULL);
        ASSERT_OK(rig_hello(&rig, &hello, &err), err);
        if (hello.state != IMPRINT_TX_COMMITTED) {
            /* Power failed before HELLO was answered; otherwise what was stored still fits. */
            if (!station.begin.cert)
                rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
            ASSERT_OK(rig_put_all(&rig, &station, &err), err);
            ASSERT_OK(rig_commit(&rig, &station, &err), err);
        }
        ASSERT_OK(rig_prove(&rig, &station, &err), err);
        end(SIGTERM);
        end_test();
    }
}
END_TEST

/* ------ faults ------ */

static int whole(void)
{
    int rc = rig_provision(&rig, &station, IMPRINT_SUITE_X963, &err);

    return rc ? rc : rig_lock(&rig, &station, &err);
}

START_TEST(each_fault_is_seen_as_what_it_is)
{
    static const struct {
        const char *fault;
        int expected;
        long native;
        const char *text;
    } cases[] = {
        {"silent", ERR_TIMEOUT, 0, "HELLO"},
        {"garbage", ERR_PROTOCOL, 0, "no answer"},
        {"slow=2000", ERR_TIMEOUT, 0, "HELLO"},
        {"slow=10", 0, 0, ""},
        {"vanish", ERR_GONE, 0, "unplugged"},
        {"vanish-after", ERR_GONE, 0, "unplugged"},
        {"wrong-proof", ERR_PROOF, 0, "proof"},
        {"other-cert", ERR_PROOF, 0, "certificates"},
        {"fake-commit", ERR_REFUSED, IMPRINT_ERR_STATE, "PROVE"},
        {"downgrade", ERR_REFUSED, IMPRINT_ERR_STATION, "BEGIN"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc;

        begin_test();
        start("--fault", cases[i].fault);
        rig.client.timeout_ms = 300;
        rc = whole();
        ck_assert_msg(rc == cases[i].expected && (rc == 0 || strstr(err.text, cases[i].text)) &&
                          (cases[i].native == 0 || err.native == cases[i].native),
                      "%s: %s: %s", cases[i].fault, error_name(rc), err.text);
        end(rc == ERR_GONE ? 0 : SIGTERM);
        end_test();
    }
}
END_TEST

START_TEST(a_device_that_vanished_after_its_commit_holds_the_identity)
{
    begin_test();
    start("--fault", "vanish-after");
    ASSERT_FAILS(whole(), ERR_GONE);
    end(0);
    start(NULL, NULL);
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    end(SIGTERM);
    ck_assert_int_eq(export_status(), 0);
    assert_exported(&station, "state committed\nlifecycle factory\ncommit_count 1\n");
    end_test();
}
END_TEST

START_TEST(an_old_proof_is_no_proof)
{
    static const uint8_t nonce[32] = "an earlier nonce";
    struct link_proof proof;

    begin_test();
    start("--fault", "replay-proof");
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_OK(rig_commit(&rig, &station, &err), err);
    ASSERT_OK(link_client_prove(&rig.client, station.begin.transaction, nonce, &proof, &err), err);
    ASSERT_FAILS(rig_prove(&rig, &station, &err), ERR_PROOF);
    end(SIGTERM);
    end_test();
}
END_TEST

START_TEST(a_lock_that_was_not_done_does_not_prove_locked)
{
    begin_test();
    start("--fault", "fake-lock");
    ASSERT_FAILS(whole(), ERR_PROOF);
    ASSERT_OK(rig_lock(&rig, &station, &err), err);
    ASSERT_FAILS(rig_prove(&rig, &station, &err), ERR_PROOF);
    end(SIGTERM);
    ck_assert_int_eq(export_status(), 0);
    assert_exported(&station, "state committed\nlifecycle factory\ncommit_count 1\n");
    end_test();
}
END_TEST

START_TEST(a_device_that_claims_anothers_transaction_cannot_prove_it)
{
    begin_test();
    start("--fault", "clone-tx=00112233445566778899aabbccddeeff");
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_int_eq(hello.state, IMPRINT_TX_COMMITTED);
    ck_assert_mem_eq(hello.transaction, "\x00\x11\x22\x33\x44\x55\x66\x77", 8);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
    ck_assert_int_ne(rig_prove(&rig, &station, &err), 0);
    end(SIGTERM);
    end_test();
}
END_TEST

START_TEST(a_device_that_keeps_its_old_key_cannot_use_it)
{
    uint8_t key[65];

    begin_test();
    start("--fault", "old-key");
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    memcpy(key, hello.facts.dev_pub.bytes, 65);
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_mem_eq(key, hello.facts.dev_pub.bytes, 65);
    ASSERT_FAILS(whole(), ERR_REFUSED);
    end(SIGTERM);
    end_test();
}
END_TEST

START_TEST(a_wrong_command_line_says_what_is_wrong)
{
    static const struct {
        const char *arguments;
        int status;
    } cases[] = {
        {"", 2},
        {"--store x", 2},
        {"export --store x", 2},
        {"--store x --port y z", 2},
        {"--store x --port y --nonsense", 2},
        {"--store x --port y --chip-id zz", 2},
        {"--store x --port y --chip-id ''", 2},
        {"--store x --port y --firmware ''", 2},
        {"--store x --port y --image-hash 00", 2},
        {"--store x --port y --baud-pace 0", 2},
        {"--store x --port y --fault nonsense", 2},
        {"--store x --port y --fault slow", 2},
        {"--store x --port y --fault slow=x", 2},
        {"--store x --port y --fault silent=1", 2},
        {"--store x --port y --fault clone-tx=00", 2},
        {"--store x --port y --authority /etc/passwd", 3},
        {"--store x --port y --authority /nonexistent", 7},
        {"--store x --port y --enrol-key /etc/passwd", 3},
        {"export --store /nonexistent --out y", 7},
        {"--help", 0},
    };

    begin_test();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[PATH_MAX * 2];

        snprintf(command, sizeof command, "cd '%s' && timeout 5 '%s' %s >/dev/null 2>&1", dir,
                 DEVICE, cases[i].arguments);
        ck_assert_msg(WEXITSTATUS(system(command)) == cases[i].status, "%s", cases[i].arguments);
    }
    end_test();
}
END_TEST

SHIM_MAIN("device", a_device_killed_after_every_step_is_provisioned_all_the_same,
          a_second_device_on_one_store_is_refused, power_cuts_leave_a_device_that_finishes,
          each_fault_is_seen_as_what_it_is,
          a_device_that_vanished_after_its_commit_holds_the_identity, an_old_proof_is_no_proof,
          a_lock_that_was_not_done_does_not_prove_locked,
          a_device_that_claims_anothers_transaction_cannot_prove_it,
          a_device_that_keeps_its_old_key_cannot_use_it, a_wrong_command_line_says_what_is_wrong)
