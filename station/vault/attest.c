#include "station/vault/attest.h"

#include "station/vault/spawn.h"
#include "station/wire/channel.h"
#include "station/wire/check.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_MS 5000 /* for one chain, which takes a few milliseconds */

/* One message for each root, and the end of the list. A checker that ended is found out later. */
static int send_roots(int fd, const struct job *job, struct error *err)
{
    struct buf m;
    int rc = 0;

    buf_init(&m, WIRE_MAX);
    for (size_t i = 0; rc == 0 && i < job->vendor_root_count; i++) {
        buf_reset(&m);
        buf_put(&m, job->vendor_roots[i].data, job->vendor_roots[i].len);
        rc = channel_send(fd, &m, err);
    }
    if (rc == 0) {
        buf_reset(&m);
        buf_put_u8(&m, 0);
        rc = channel_send(fd, &m, err);
    }
    buf_done(&m);
    return rc;
}

int attest_start(struct attest *a, const char *program, const struct job *job, struct error *err)
{
    const char *const argv[] = {program, NULL};
    struct spawn s = {.argv = argv, .fd_count = 1};
    int fds[2], rc = channel_pair(fds, err);

    *a = (struct attest){.fd = -1};
    if (rc)
        return rc;
    s.fds[0] = fds[1];
    rc = spawn_start(&s, &a->pid, err);
    close(fds[1]);
    a->fd = fds[0];
    if (rc == 0)
        rc = send_roots(a->fd, job, err);
    if (rc)
        attest_stop(a);
    return rc;
}

void attest_stop(struct attest *a)
{
    bool killed;

    if (a->fd >= 0)
        close(a->fd);
    if (a->pid)
        (void)spawn_end(a->pid, &killed);
    *a = (struct attest){.fd = -1};
}

/* Sends a chain and waits for the answer until the deadline. */
static int ask(struct attest *a, const struct buf *chain, struct wire_check *answer)
{
    struct pollfd p = {.fd = a->fd, .events = POLLIN};
    struct reader r;
    struct buf m;
    int rc, ready;

    if (a->fd < 0 || channel_send(a->fd, chain, NULL))
        return ERR_GONE;
    do
        ready = poll(&p, 1, DEADLINE_MS);
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return ERR_TIMEOUT;
    buf_init(&m, WIRE_MAX);
    rc = channel_receive(a->fd, &m, NULL);
    reader_init(&r, m.data, m.len);
    if (rc == 0)
        rc = wire_get_check(&r, answer);
    buf_done(&m);
    return rc;
}

static int refuse(const struct wire_check *answer, struct error *err)
{
    switch (answer->verdict) {
    case WIRE_CHECK_UNTRUSTED:
        return error_set(err, ERR_SIGNATURE,
                         "the vendor's certificates of this device do not lead to a root of the "
                         "order (%s): set it aside",
                         X509_verify_cert_error_string(answer->reason));
    case WIRE_CHECK_UNFIT:
        return error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_REFUSED,
                      "the vendor's certificate of this device is a CA's, may not sign, or has no "
                      "P-256 key: set it aside"));
    default:
        return error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_PROTOCOL,
                      "this device's attestation is no chain of certificates, its own first and "
                      "each signed by the next: set it aside"));
    }
}

int attest_key(struct attest *a, const struct buf *chain, uint8_t point[IMPRINT_P256_POINT_SIZE],
               struct error *err)
{
    struct wire_check answer;
    int rc = ask(a, chain, &answer);

    if (rc) {
        attest_stop(a);
        return error_set(err, ERR_INTERNAL,
                         "the checker of vendor certificates %s: nothing was claimed, run the "
                         "command again",
                         rc == ERR_TIMEOUT  ? "does not answer"
                         : rc == ERR_FORMAT ? "answers garbage"
                                            : "ended");
    }
    if (answer.verdict != WIRE_CHECK_GOOD)
        return refuse(&answer, err);
    memcpy(point, answer.point, sizeof answer.point);
    return 0;
}
