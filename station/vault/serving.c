#include "station/vault/serving.h"

#include "base/clock.h"
#include "station/vault/session.h"
#include "station/wire/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define GROUP_MS          8 /* about what writing a group to the disk takes */

/* A channel, the session on it, and the answer that waits until its changes are durable. */
struct slot_channel {
    int fd;
    struct session session;
    struct buf reply;
    bool answered, ended;
};

struct serving {
    struct vault *vault;
    int control;
    struct slot_channel *channels[CHANNELS_MAX];
    size_t count,
        next; /* next: where the next group begins to look, so that nobody is always last */
    struct buf request;
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
    buf_init(&c->reply, WIRE_MAX);
    s->channels[s->count++] = c;
    return 0;
}

static int drop_channel(struct serving *s, size_t index, struct error *err)
{
    struct slot_channel *c = s->channels[index];
    int rc = session_abandon(s->vault, &c->session, err);

    session_done(&c->session);
    buf_done(&c->reply);
    close(c->fd);
    free(c);
    s->channels[index] = s->channels[--s->count];
    return rc;
}

/* One request of one channel, whose answer waits. A channel that is broken ends after the group. */
static int answer_channel(struct serving *s, struct slot_channel *c, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int rc = channel_receive_now(c->fd, &s->request, &ignored);

    if (rc == ERR_TIMEOUT)
        return 0;
    c->ended = rc != 0;
    if (rc)
        return 0;
    c->answered = true;
    return session_answer(s->vault, &c->session, &s->request, &c->reply, err);
}

/* Nothing of a group is durable: every answer becomes the reason. */
static void refuse_answers(struct serving *s, int code, const struct error *err)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->channels[i]->answered) {
            buf_reset(&s->channels[i]->reply);
            wire_put_error(&s->channels[i]->reply, code, err->text);
        }
}

/* Sends the answers. From the last to the first: dropping a channel moves only those after it. */
static int send_answers(struct serving *s, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int rc = 0;

    for (size_t i = s->count; i > 0; i--) {
        struct slot_channel *c = s->channels[i - 1];

        if (c->answered && channel_send(c->fd, &c->reply, &ignored))
            c->ended = true;
        c->answered = false;
        if (c->ended) {
            int one = drop_channel(s, i - 1, rc ? NULL : err);

            rc = rc ? rc : one;
        }
    }
    return rc;
}

/*
 * Answers what has come, in one transaction of the database with one anchor (store_group_begin): only
 * then do the answers leave. A group takes no further request after GROUP_MS, for its first one waits; and
 * none after one that the counter counts, for a step of it stands for one (vault/counting.h).
 */
static int serve_group(struct serving *s, const struct pollfd *polled, size_t count,
                       struct error *err)
{
    struct error group = ERROR_INIT;
    struct store *store = s->vault->store;
    int rc = store_group_begin(store, err), end = 0;
    int64_t until = clock_mono_ms() + GROUP_MS; /* what the beginning took is not the requests' */

    if (rc)
        return rc;
    for (size_t n = 0; n < count && rc == 0 && clock_mono_ms() < until; n++) {
        size_t i = (s->next + n) % count;

        if (store_group_counts(store))
            break;
        if (polled[i].revents)
            rc = answer_channel(s, s->channels[i], err);
    }
    s->next++;
    end = store_group_end(store, &group);
    if (end)
        refuse_answers(s, end, &group);
    if (end && rc == 0) {
        rc = end;
        *err = group;
    }
    end = send_answers(s, rc ? NULL : err);
    return rc ? rc : end;
}

/* Waits for the next message; *ended is set when the line closed its control socket. */
static int serve_once(struct serving *s, bool *ended, struct error *err)
{
    struct pollfd polled[CHANNELS_MAX + 1];
    size_t count = s->count;
    short ready = 0;
    int rc = 0;

    polled[0] = (struct pollfd){.fd = s->control, .events = POLLIN};
    for (size_t i = 0; i < count; i++)
        polled[i + 1] = (struct pollfd){.fd = s->channels[i]->fd, .events = POLLIN};
    if (poll(polled, count + 1, -1) < 0)
        return errno == EINTR ? 0 : error_set_errno(err, errno, "cannot wait for the line");
    for (size_t i = 0; i < count && !ready; i++)
        ready = polled[i + 1].revents;
    if (ready)
        rc = serve_group(s, polled + 1, count, err);
    if (rc == 0 && polled[0].revents & POLLIN && add_channel(s, NULL))
        *ended = true;
    else if (polled[0].revents & (POLLHUP | POLLERR))
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
    buf_done(&s->request);
    return rc;
}

int serving_run(struct vault *v, int control, struct error *err)
{
    struct serving s = {.vault = v, .control = control};
    bool ended = false;
    int rc = 0, end;

    buf_init(&s.request, WIRE_MAX);
    while (!ended && rc == 0)
        rc = serve_once(&s, &ended, err);
    end = end_serving(&s, rc ? NULL : err);
    return rc ? rc : end;
}
