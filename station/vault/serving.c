#include "station/vault/serving.h"

#include "base/clock.h"
#include "station/vault/outgoing.h"
#include "station/vault/session.h"
#include "station/vault/stock.h"
#include "station/wire/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define GROUP_MS 8 /* about what writing a group to the disk takes */

/* A channel, and the session on it. */
struct slot_channel {
    int fd;
    struct session session;
    struct buf request, reply;
    bool asked;    /* request waits for a group */
    bool answered; /* reply waits until its changes are durable */
    bool waits;    /* request waits for the plant (session_waits) */
    bool ended;
};

struct serving {
    struct vault *vault;
    struct outgoing outgoing;
    int control;
    struct scanners *scanners; /* or NULL */
    struct slot_channel *channels[CHANNELS_MAX];
    size_t count,
        next; /* next: where the next group begins to look, so that nobody is always last */
};

static int add_channel(struct serving *s, struct error *err)
{
    struct slot_channel *c;
    int fd, rc = channel_accept(s->control, &fd, err);

    if (rc)
        return rc;
    if (s->count == CHANNELS_MAX) {
        close(fd);
        return 0;
    }
    c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return error_set(err, ERR_INTERNAL, "out of memory");
    }
    c->fd = fd;
    session_init(&c->session);
    buf_init(&c->request, WIRE_MAX);
    buf_init(&c->reply, WIRE_MAX);
    s->channels[s->count++] = c;
    return 0;
}

static int drop_channel(struct serving *s, size_t index, struct error *err)
{
    struct slot_channel *c = s->channels[index];
    int rc = session_abandon(s->vault, &c->session, err);

    session_done(&c->session);
    buf_done(&c->request);
    buf_done(&c->reply);
    close(c->fd);
    free(c);
    s->channels[index] = s->channels[--s->count];
    return rc;
}

static void send_answer(struct slot_channel *c)
{
    struct error ignored = ERROR_INIT;

    c->answered = false;
    if (channel_send(c->fd, &c->reply, &ignored))
        c->ended = true;
}

/* Reads a request. It waits for the next group, unless its answer depends on nothing that is not durable. */
static int hear(struct serving *s, struct slot_channel *c, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int rc = channel_receive_now(c->fd, &c->request, &ignored);

    if (rc == ERR_TIMEOUT)
        return 0;
    c->ended = rc != 0;
    if (rc)
        return 0;
    if (!session_is_at_once(&c->session, &c->request)) {
        c->asked = true;
        return 0;
    }
    rc = session_answer(s->vault, &c->session, &c->request, &c->reply, err);
    c->waits = rc == 0 && session_waits(&c->session);
    if (!c->waits)
        send_answer(c);
    return rc;
}

/* The sooner of two timeouts of poll. */
static int sooner(int a, int b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* The plant's programs: what they are asked leaves, for it is durable now, and what they answered is taken. */
static int work_with_plant(struct serving *s, struct error *err)
{
    int rc = outgoing_work(&s->outgoing, err);

    hooks_work(s->vault->hooks);
    for (size_t i = 0; i < s->count; i++) {
        struct slot_channel *c = s->channels[i];

        if (c->waits && !session_waits(&c->session)) {
            c->waits = false;
            c->asked = true;
        }
    }
    return rc;
}

static int patience(const struct serving *s)
{
    return sooner(s->scanners ? SCANNERS_LOOK_MS : -1,
                  sooner(hooks_wait_ms(s->vault->hooks), outgoing_wait_ms(&s->outgoing)));
}

/* Hears what has come, or comes before the timeout (poll), where nothing is under way. control: of the
 * line's socket; NULL leaves that and the scanners alone. */
static int listen_to_all(struct serving *s, int timeout, short *control, struct error *err)
{
    struct pollfd polled[CHANNELS_MAX + 1 + SCANNERS_POLLED + 1];
    bool scanners = control && s->scanners;
    size_t count = s->count, all = count + 1;
    int rc = 0;

    polled[0] = (struct pollfd){.fd = control ? s->control : -1, .events = POLLIN};
    for (size_t i = 0; i < count; i++) {
        const struct slot_channel *c = s->channels[i];
        bool busy = c->asked || c->answered || c->waits || c->ended;

        polled[i + 1] = (struct pollfd){.fd = busy ? -1 : c->fd, .events = POLLIN};
    }
    if (scanners) {
        scanners_poll(s->scanners, polled + all);
        all += SCANNERS_POLLED;
    }
    if (control)
        polled[all++] = hooks_poll(s->vault->hooks);
    if (poll(polled, all, timeout < 0 ? patience(s) : timeout) < 0)
        return errno == EINTR ? 0 : error_set_errno(err, errno, "cannot wait for the line");
    if (scanners)
        rc = scanners_work(s->scanners, s->vault, polled + count + 1, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (polled[i + 1].revents)
            rc = hear(s, s->channels[i], err);
    if (control)
        *control = polled[0].revents;
    return rc;
}

/* Nothing of a group is durable: every answer becomes the reason. */
static void refuse_answers(struct serving *s, int code, const struct error *err)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->channels[i]->answered) {
            buf_reset(&s->channels[i]->reply);
            wire_put_error(&s->channels[i]->reply, code, err);
        }
}

static void send_answers(struct serving *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->channels[i]->answered)
            send_answer(s->channels[i]);
}

/* From the last to the first: dropping a channel moves only those after it. */
static int drop_ended(struct serving *s, struct error *err)
{
    int rc = 0;

    for (size_t i = s->count; i > 0; i--)
        if (s->channels[i - 1]->ended) {
            int one = drop_channel(s, i - 1, rc ? NULL : err);

            rc = rc ? rc : one;
        }
    return rc;
}

/* Answers those who asked, each once; between them, whoever need not wait. */
static int answer_group(struct serving *s, struct error *err)
{
    struct store *store = s->vault->store;
    int64_t until = clock_mono_ms() + GROUP_MS; /* what the beginning took is not the requests' */
    size_t count = s->count;
    int rc = 0;

    for (size_t n = 0; n < count && rc == 0 && clock_mono_ms() < until; n++) {
        struct slot_channel *c = s->channels[(s->next + n) % count];

        if (store_group_counts(store))
            break;
        if (!c->asked)
            continue;
        c->asked = false;
        c->answered = true;
        rc = session_answer(s->vault, &c->session, &c->request, &c->reply, err);
        c->waits = rc == 0 && session_waits(&c->session);
        c->answered = !c->waits;
        stock_ahead(s->vault);
        if (rc == 0)
            rc = listen_to_all(s, 0, NULL, err);
    }
    s->next++;
    return rc;
}

/*
 * Answers what has come, in one transaction of the database with one anchor (store_group_begin): only
 * then do the answers leave. A group takes no further request after GROUP_MS, for its first one waits; and
 * none after one that the counter counts, for a step of it stands for one (vault/counting.h).
 */
static int serve_group(struct serving *s, struct error *err)
{
    struct error group = ERROR_INIT;
    int rc = store_group_begin(s->vault->store, err), end;

    if (rc)
        return rc;
    rc = answer_group(s, err);
    end = store_group_end(s->vault->store, &group);
    if (end)
        refuse_answers(s, end, &group);
    if (end && rc == 0) {
        rc = end;
        *err = group;
    }
    send_answers(s);
    outgoing_wake(&s->outgoing);
    return rc;
}

static bool somebody_asked(const struct serving *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->channels[i]->asked)
            return true;
    return false;
}

/* Waits for the next message; *ended is set when the line closed its control socket. */
static int serve_once(struct serving *s, bool *ended, struct error *err)
{
    short control = 0;
    int rc, end;

    stock_ahead(s->vault);
    rc = work_with_plant(s, err);
    if (rc == 0)
        rc = listen_to_all(s, somebody_asked(s) ? 0 : -1, &control, err);
    if (rc == 0 && somebody_asked(s))
        rc = serve_group(s, err);
    end = drop_ended(s, rc ? NULL : err);
    rc = rc ? rc : end;
    if (rc == 0 && control & POLLIN && add_channel(s, NULL))
        *ended = true;
    else if (control & (POLLHUP | POLLERR))
        *ended = true;
    return rc;
}

static int end_serving(struct serving *s, struct error *err)
{
    int rc = 0;

    while (s->count > 0) {
        int one = drop_channel(s, s->count - 1, rc ? NULL : err);

        if (rc == 0)
            rc = one;
    }
    return rc;
}

int serving_run(struct vault *v, int control, struct scanners *scanners, struct error *err)
{
    struct serving s = {.vault = v, .control = control, .scanners = scanners};
    bool ended = false;
    int64_t left;
    int rc = 0, end;

    outgoing_init(&s.outgoing, v->store, v->hooks);

    while (!ended && rc == 0)
        rc = serve_once(&s, &ended, err);
    end = end_serving(&s, rc ? NULL : err);
    rc = rc ? rc : end;
    outgoing_wake(&s.outgoing);
    if (rc == 0)
        rc = outgoing_finish(&s.outgoing, OUTGOING_END_MS, &left, err);
    outgoing_done(&s.outgoing);
    return rc;
}
