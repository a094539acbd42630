#include "bench_players.h"

#include "bench_device.h"

#include "station/wire/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a device is before it is plugged in. */
struct blank {
    struct wire_hello hello;
    uint8_t transport[IMPRINT_P256_SCALAR_SIZE];
};

/* What a player asked for last. */
enum asked { OPEN, HELLO, KEY, CERTIFICATES, NONCE, PROOF, RESULT };

struct player {
    int fd;
    enum asked asked;
    struct bench_device device;
    struct wire_plan plan;
    struct buf certificates;
};

struct game {
    struct player players[BENCH_PLAYERS_MAX];
    struct pollfd polled[BENCH_PLAYERS_MAX];
    unsigned at_once;
    struct blank *blanks;
    long devices, begun, passed;
    struct buf m;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one device ---- */

/* The next device of a player; after the last one its channel stays silent. */
static int plug_in(struct game *g, struct player *p, struct error *err)
{
    const struct wire_open open = {"1"};
    const struct blank *blank;

    if (g->begun == g->devices)
        return 0;
    blank = &g->blanks[g->begun++];
    p->device.hello = blank->hello;
    memcpy(p->device.transport, blank->transport, sizeof blank->transport);
    p->asked = OPEN;
    buf_reset(&g->m);
    wire_put_open(&g->m, &open);
    return channel_send(p->fd, &g->m, err);
}

static int put_proof(struct game *g, struct player *p, struct reader *r, struct error *err)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct wire_proof proof;
    int rc = reader_bytes(r, nonce, sizeof nonce);

    if (rc == 0)
        rc = bench_device_prove(&p->device, &p->certificates, nonce, &proof, err);
    if (rc)
        return rc;
    memcpy(proof.handle, p->device.hello.handle, sizeof proof.handle);
    buf_reset(&g->m);
    wire_put_proof(&g->m, &proof);
    return 0;
}

static int put_hello(struct game *g, struct player *p, struct reader *r)
{
    struct wire_opened opened;
    int rc = wire_get_opened(r, &opened);

    if (rc)
        return rc;
    memcpy(p->device.hello.handle, opened.handle, sizeof opened.handle);
    buf_reset(&g->m);
    wire_put_hello(&g->m, &p->device.hello);
    return 0;
}

static int take_key(struct game *g, struct player *p, struct reader *r, struct error *err)
{
    struct buf blob;
    int rc;

    buf_init(&blob, WIRE_OBJECT_MAX);
    buf_put(&blob, r->p, r->left);
    rc = bench_device_take(&p->device, &p->plan, &blob, err);
    buf_done(&blob);
    buf_reset(&g->m);
    wire_put_object(&g->m, p->device.hello.handle, 1);
    return rc;
}

static void put_nonce(struct game *g, struct player *p, struct reader *r)
{
    buf_reset(&p->certificates);
    buf_put(&p->certificates, r->p, r->left);
    buf_reset(&g->m);
    wire_put_nonce(&g->m, p->device.hello.handle);
}

static void put_result(struct game *g, struct player *p)
{
    struct wire_result result = {.status = 0};

    memcpy(result.handle, p->device.hello.handle, sizeof result.handle);
    buf_reset(&g->m);
    wire_put_result(&g->m, &result);
}

/* Reads the answer in g->m and writes what is asked next in its place. */
static int go_on(struct game *g, struct player *p, struct error *err)
{
    struct reader r;
    int rc;

    reader_init(&r, g->m.data, g->m.len);
    rc = wire_get_status(&r, err);
    if (rc)
        return rc;
    switch (p->asked) {
    case OPEN:
        rc = put_hello(g, p, &r);
        break;
    case HELLO:
        rc = wire_get_plan(&r, &p->plan);
        buf_reset(&g->m);
        wire_put_object(&g->m, p->device.hello.handle, 0);
        break;
    case KEY:
        rc = take_key(g, p, &r, err);
        break;
    case CERTIFICATES:
        put_nonce(g, p, &r);
        break;
    case NONCE:
        rc = put_proof(g, p, &r, err);
        break;
    default:
        put_result(g, p);
        break;
    }
    p->asked++;
    return rc ? rc : channel_send(p->fd, &g->m, err);
}

static int hear(struct game *g, struct player *p, struct error *err)
{
    int rc = channel_receive(p->fd, &g->m, err);

    if (rc || p->asked != RESULT)
        return rc ? rc : go_on(g, p, err);
    g->passed++;
    return plug_in(g, p, err);
}

/* ---- all of them ---- */

static int make_blanks(struct game *g, struct error *err)
{
    struct bench_device *d = &g->players[0].device;
    int rc = 0;

    g->blanks = calloc((size_t)g->devices, sizeof *g->blanks);
    if (!g->blanks)
        return error_set(err, ERR_INTERNAL, "out of memory");
    for (long i = 0; rc == 0 && i < g->devices; i++) {
        rc = bench_device_renew(d, err);
        g->blanks[i].hello = d->hello;
        memcpy(g->blanks[i].transport, d->transport, sizeof d->transport);
    }
    return rc;
}

static int prepare(struct game *g, int control, struct error *err)
{
    int rc = 0;

    buf_init(&g->m, WIRE_MAX);
    for (unsigned i = 0; rc == 0 && i < g->at_once; i++) {
        struct player *p = &g->players[i];

        buf_init(&p->certificates, WIRE_OBJECT_MAX);
        rc = bench_device_init(&p->device, err);
        if (rc == 0)
            rc = channel_open(control, &p->fd, err);
        g->polled[i] = (struct pollfd){.fd = p->fd, .events = POLLIN};
    }
    return rc ? rc : make_blanks(g, err);
}

static int play(struct game *g, struct error *err)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < g->at_once; i++)
        rc = plug_in(g, &g->players[i], err);
    while (rc == 0 && g->passed < g->devices) {
        if (poll(g->polled, g->at_once, -1) < 0)
            return error_set_errno(err, errno, "cannot wait for the vault");
        for (unsigned i = 0; rc == 0 && i < g->at_once; i++)
            if (g->polled[i].revents)
                rc = hear(g, &g->players[i], err);
    }
    return rc;
}

/* The process: its memory and descriptors end with it. */
static int run(long devices, unsigned at_once, int control, int report)
{
    static struct game g;
    struct error err = ERROR_INIT;
    double begun;
    int rc;

    g.devices = devices;
    g.at_once = at_once;
    rc = prepare(&g, control, &err);
    begun = now();
    if (rc == 0)
        rc = play(&g, &err);
    begun = now() - begun;
    if (rc)
        fprintf(stderr, "bench_players: %s\n", err.text);
    return rc || write(report, &begun, sizeof begun) != sizeof begun;
}

int bench_players_start(struct bench_players *p, long devices, unsigned at_once, struct error *err)
{
    int control[2], report[2], rc = channel_pair(control, err);

    if (rc)
        return rc;
    if (pipe(report))
        return error_set_errno(err, errno, "cannot make a pipe");
    p->pid = fork();
    if (p->pid == 0) {
        close(control[0]);
        _exit(run(devices, at_once, control[1], report[1]));
    }
    close(control[1]);
    close(report[1]);
    *p = (struct bench_players){p->pid, control[0], report[0]};
    return p->pid < 0 ? error_set_errno(err, errno, "cannot start the devices") : 0;
}

int bench_players_end(struct bench_players *p, double *seconds, struct error *err)
{
    bool told = read(p->report, seconds, sizeof *seconds) == sizeof *seconds;
    int status = 1;

    close(p->control);
    close(p->report);
    if (waitpid(p->pid, &status, 0) == p->pid && status == 0 && told)
        return 0;
    return error_set(err, ERR_INTERNAL, "a device did not pass");
}
