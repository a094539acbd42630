#include "device.h"

#if IMPRINT_AGENT_WITH_OTHER_KEYS
#include "agent/port_keys_openssl.h"
#endif
#include "agent/port_openssl.h"
#include "pki/ec.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MS 300

static int read_enrol_key(struct device *d, const char *path, struct error *err)
{
    FILE *in = fopen(path, "re");

    if (!in)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    d->enrol_key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    fclose(in);
    if (!d->enrol_key || ec_point(d->enrol_key, d->enrol_point, NULL))
        return error_set(err, ERR_INPUT, "'%s' holds no P-256 private key in PEM", path);
    d->platform.enrol_point = d->enrol_point;
    return 0;
}

/* PEM certificates, the device's own first. */
static int read_enrol_chain(struct device *d, const char *path, struct error *err)
{
    FILE *in = fopen(path, "re");
    X509 *cert;

    if (!in)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    while ((cert = PEM_read_X509(in, NULL, NULL, NULL))) {
        unsigned char *der = NULL;
        int len = i2d_X509(cert, &der);

        if (len > 0)
            buf_put(&d->enrol_chain, der, (size_t)len);
        OPENSSL_free(der);
        X509_free(cert);
    }
    fclose(in);
    if (d->enrol_chain.len == 0 || buf_failed(&d->enrol_chain))
        return error_set(err, ERR_INPUT, "'%s' holds no PEM certificate, or more than %d bytes",
                         path, IMPRINT_CHAIN_MAX);
    d->platform.enrol_chain = d->enrol_chain.data;
    d->platform.enrol_chain_len = (uint32_t)d->enrol_chain.len;
    return 0;
}

static bool enrol_sign(void *context, const uint8_t digest[32], uint8_t sig[64])
{
    struct device *d = context;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(d->enrol_key, NULL);
    uint8_t der[EC_SIG_DER_MAX];
    size_t len = sizeof der;
    bool ok = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
              EVP_PKEY_sign(ctx, der, &len, digest, 32) == 1 && ec_sig_from_der(der, len, sig) == 0;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static void collect(void *context, const uint8_t *bytes, size_t len)
{
    struct device *d = context;

    buf_put(&d->sent, bytes, len);
}

static int set_facts(struct device *d, const struct device_options *o, struct error *err)
{
    int rc = facts_set(&o->facts, &d->facts, &d->platform, err);

    if (rc == 0 && o->enrol_key)
        rc = read_enrol_key(d, o->enrol_key, err);
    if (rc == 0 && o->enrol_chain)
        rc = read_enrol_chain(d, o->enrol_chain, err);
    return rc;
}

int device_open(struct device *d, const struct device_options *o, struct error *err)
{
    int rc;

    memset(d, 0, sizeof *d);
    d->capture = -1;
    d->port.master = -1;
    d->store.lock = -1;
    for (int i = 0; i < STORE_REGIONS; i++)
        d->store.fd[i] = -1;
    buf_init(&d->sent, LINK_FRAME_WIRE(IMPRINT_FRAME_MAX));
    buf_init(&d->enrol_chain, IMPRINT_CHAIN_MAX);
    d->baud_pace = o->baud_pace;
    rc = set_facts(d, o, err);
    if (rc == 0 && o->fault)
        rc = fault_parse(&d->fault, o->fault, o->store, err);
    if (rc == 0 && !imprint_agent_port_openssl_init(&d->platform.crypto))
        rc = error_set(err, ERR_INTERNAL, "out of memory");
#if IMPRINT_AGENT_WITH_OTHER_KEYS
    d->platform.keys = o->only_p256 ? NULL : &imprint_agent_keys_openssl;
#endif
    if (rc == 0 && o->capture) {
        d->capture = open(o->capture, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (d->capture < 0)
            rc = error_set_errno(err, errno, "cannot open '%s'", o->capture);
    }
    if (rc == 0)
        rc = store_open(&d->store, o->store, err);
    if (rc)
        return rc;
    d->store.cut_at = fault_power_cut(&d->fault);
    d->platform.store = store_functions(&d->store);
    d->platform.send = collect;
    d->platform.send_context = d;
    d->platform.enrol_sign = enrol_sign;
    d->platform.enrol_context = d;
    imprint_agent_init(&d->agent, &d->platform);
    return port_open(&d->port, o->port, err);
}

static void capture(const struct device *d, const uint8_t *bytes, size_t len)
{
    if (d->capture >= 0 && len > 0 && write(d->capture, bytes, len) < 0)
        return; /* a capture on a full disk is short; the device goes on */
}

/* Sleeps as long as a UART of this speed takes: 10 bits a byte. */
static void pace(const struct device *d, size_t len)
{
    struct timespec t;
    int64_t ns;

    if (d->baud_pace <= 0)
        return;
    ns = (int64_t)len * 10 * 1000000000 / d->baud_pace;
    t = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = (long)(ns % 1000000000)};
    (void)nanosleep(&t, NULL);
}

static void send_reply(struct device *d)
{
    capture(d, d->sent.data, d->sent.len);
    pace(d, d->sent.len);
    port_send(&d->port, d->sent.data, d->sent.len);
}

/* Handles the received bytes up to a delimiter. False: the device is to vanish. */
static bool handle_unit(struct device *d)
{
    enum fault_verdict verdict;

    buf_reset(&d->sent);
    verdict = fault_request(&d->fault, d->unit, d->unit_len, &d->sent);
    if (verdict == FAULT_VANISH)
        return false;
    if (verdict != FAULT_DROP) {
        imprint_agent_input(&d->agent, d->unit, d->unit_len);
        fault_reply(&d->fault, &d->sent);
    }
    d->unit_len = 0;
    if (verdict == FAULT_VANISH_AFTER)
        return false;
    if (d->sent.len > 0)
        send_reply(d);
    return true;
}

static bool handle_bytes(struct device *d, const uint8_t *bytes, size_t len)
{
    capture(d, bytes, len);
    pace(d, len);
    for (size_t i = 0; i < len; i++) {
        d->unit[d->unit_len++] = bytes[i];
        if ((bytes[i] == 0 || d->unit_len == sizeof d->unit) && !handle_unit(d))
            return false;
    }
    return true;
}

int device_run(struct device *d, const volatile sig_atomic_t *stop, const sigset_t *waiting,
               struct error *err)
{
    uint8_t bytes[4096];

    while (!*stop) {
        const struct timespec idle = {.tv_nsec = IDLE_MS * 1000000L};
        struct pollfd p = {.fd = d->port.master, .events = POLLIN};
        int ready = ppoll(&p, 1, &idle, waiting);
        ssize_t n;

        if (ready == 0)
            port_rest(&d->port);
        if (ready < 0) {
            if (errno == EINTR)
                continue;
            return error_set_errno(err, errno, "cannot wait for port '%s'", d->port.path);
        }
        n = read(d->port.master, bytes, sizeof bytes);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return error_set_errno(err, errno, "cannot read port '%s'", d->port.path);
        if (n > 0 && !handle_bytes(d, bytes, (size_t)n))
            return 0;
    }
    return 0;
}

void device_close(struct device *d)
{
    if (d->port.master >= 0)
        port_close(&d->port);
    store_close(&d->store);
    if (d->capture >= 0)
        close(d->capture);
    imprint_agent_port_openssl_done(&d->platform.crypto);
    EVP_PKEY_free(d->enrol_key);
    buf_done(&d->enrol_chain);
    buf_done(&d->sent);
}
