#include "station/vault/hooks.h"

#include "base/clock.h"
#include "station/vault/spawn.h"
#include "station/wire/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOOK_PROGRAM  "imprint-hook"
#define HOOK_ARGS_MAX (3 + HOOK_KINDS * (3 + CONFIG_HOOK_ARGUMENTS_MAX))

_Static_assert(CONFIG_HOOK_ARGUMENTS_MAX < 10, "one digit");

struct hooks {
    pid_t pid;
    int fd; /* -1: the process is gone */
    uint32_t last;
    bool has[HOOK_KINDS], blocks[HOOK_KINDS];
    struct hook_ticket *open; /* the oldest first */
};

static const struct config_hook *hook_of(const struct config *config, enum hook_kind kind)
{
    const struct config_hook *all[HOOK_KINDS] = {
        &config->hooks.before_claim, &config->hooks.after_result, &config->hooks.outbox};

    return all[kind];
}

/* ---- the process ---- */

static void build_arguments(const struct config *config, const char *program,
                            char numbers[HOOK_KINDS][2], const char *argv[HOOK_ARGS_MAX])
{
    size_t n = 0;

    argv[n++] = program;
    argv[n++] = config->dir;
    for (int kind = 0; kind < HOOK_KINDS; kind++) {
        const struct config_hook *h = hook_of(config, (enum hook_kind)kind);

        if (!h->given)
            continue;
        numbers[kind][0] = (char)('0' + h->argument_count);
        numbers[kind][1] = 0;
        argv[n++] = hook_name((enum hook_kind)kind);
        argv[n++] = h->program;
        argv[n++] = numbers[kind];
        for (size_t i = 0; i < h->argument_count; i++)
            argv[n++] = h->arguments[i];
    }
    argv[n] = NULL;
}

static int start(struct hooks *h, const struct config *config, const int *standard,
                 struct error *err)
{
    char path[PATH_MAX], numbers[HOOK_KINDS][2];
    const char *argv[HOOK_ARGS_MAX];
    struct spawn s = {.argv = argv, .fd_count = 1, .standard = standard};
    int fds[2], rc = spawn_find(HOOK_PROGRAM, path, err);

    if (rc == 0)
        rc = channel_pair(fds, err);
    if (rc)
        return rc;
    build_arguments(config, path, numbers, argv);
    s.fds[0] = fds[1];
    rc = spawn_start(&s, &h->pid, err);
    close(fds[1]);
    h->fd = fds[0];
    return rc;
}

int hooks_start(const struct config *config, const int *standard, struct hooks **hooks,
                struct error *err)
{
    struct hooks *h;
    bool any = false;
    int rc;

    *hooks = NULL;
    for (int kind = 0; kind < HOOK_KINDS; kind++)
        any |= hook_of(config, (enum hook_kind)kind)->given > 0;
    if (!any)
        return 0;
    h = calloc(1, sizeof *h);
    if (!h)
        return error_set(err, ERR_INTERNAL, "out of memory");
    h->fd = -1;
    for (int kind = 0; kind < HOOK_KINDS; kind++) {
        h->has[kind] = hook_of(config, (enum hook_kind)kind)->given > 0;
        h->blocks[kind] = strcmp(hook_of(config, (enum hook_kind)kind)->mode, "block") == 0;
    }
    rc = start(h, config, standard, err);
    if (rc) {
        hooks_stop(h);
        return rc;
    }
    *hooks = h;
    return 0;
}

void hooks_stop(struct hooks *h)
{
    bool killed;

    if (!h)
        return;
    if (h->fd >= 0)
        close(h->fd); /* it ends, and so does what it runs */
    if (h->pid)
        (void)spawn_end(h->pid, &killed);
    free(h);
}

bool hooks_has(const struct hooks *h, enum hook_kind kind)
{
    return h && h->has[kind];
}

bool hooks_blocks(const struct hooks *h, enum hook_kind kind)
{
    return h && h->blocks[kind];
}

/* ---- questions ---- */

static void take_out(struct hooks *h, const struct hook_ticket *ticket)
{
    for (struct hook_ticket **at = &h->open; *at; at = &(*at)->next)
        if (*at == ticket) {
            *at = ticket->next;
            return;
        }
}

/* The ticket may be forgotten, and its memory gone, as soon as it is answered. */
static void settle(struct hooks *h, struct hook_ticket *ticket, const struct hook_answer *answer)
{
    take_out(h, ticket);
    buf_done(&ticket->question);
    ticket->answer = *answer;
    ticket->state = TICKET_ANSWERED;
}

static void give_up(struct hooks *h, struct hook_ticket *ticket, const char *why)
{
    struct hook_answer a = {.verdict = HOOK_FAILED};

    snprintf(a.text, sizeof a.text, "%s", why);
    settle(h, ticket, &a);
}

void hooks_ask(struct hooks *h, enum hook_kind kind, const struct buf *question,
               struct hook_ticket *ticket)
{
    struct hook_ticket **last = &h->open;

    while (*last)
        last = &(*last)->next;
    *ticket = (struct hook_ticket){.state = TICKET_QUEUED, .kind = kind};
    ticket->answer.number = ++h->last;
    buf_init(&ticket->question, HOOK_QUESTION_MAX);
    buf_put(&ticket->question, question->data, question->len);
    buf_put_u8(&ticket->question, '\n');
    *last = ticket;
    if (question->failed || buf_failed(&ticket->question))
        give_up(h, ticket, "the question is too long");
}

bool hooks_is_open(const struct hook_ticket *ticket)
{
    return ticket->state == TICKET_QUEUED || ticket->state == TICKET_ASKED;
}

void hooks_forget(struct hooks *h, struct hook_ticket *ticket)
{
    if (hooks_is_open(ticket)) {
        take_out(h, ticket);
        buf_done(&ticket->question);
    }
    *ticket = (struct hook_ticket){.state = TICKET_NONE};
}

/* ---- sending and taking ---- */

struct pollfd hooks_poll(const struct hooks *h)
{
    return (struct pollfd){.fd = h ? h->fd : -1, .events = POLLIN};
}

static size_t count_asked(const struct hooks *h)
{
    size_t count = 0;

    for (const struct hook_ticket *t = h->open; t; t = t->next)
        count += t->state == TICKET_ASKED;
    return count;
}

int hooks_wait_ms(const struct hooks *h)
{
    int64_t now = clock_mono_ms(), first = INT64_MAX;

    for (const struct hook_ticket *t = h ? h->open : NULL; t; t = t->next)
        if (t->state == TICKET_ASKED && t->until < first)
            first = t->until;
    return first == INT64_MAX ? -1 : first <= now ? 0 : (int)(first - now);
}

static void lose(struct hooks *h)
{
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
}

static void send_queued(struct hooks *h)
{
    size_t asked = count_asked(h);
    struct buf m;

    buf_init(&m, WIRE_MAX);
    for (struct hook_ticket *t = h->open; t && h->fd >= 0 && asked < HOOKS_AT_ONCE; t = t->next) {
        if (t->state != TICKET_QUEUED)
            continue;
        buf_reset(&m);
        wire_put_question(&m, t->answer.number, t->kind, &t->question);
        if (channel_send(h->fd, &m, NULL))
            lose(h);
        t->state = TICKET_ASKED;
        t->until = clock_mono_ms() + hook_timeout_ms(t->kind) + HOOKS_GRACE_MS;
        asked++;
    }
    buf_done(&m);
}

static void take_answer(struct hooks *h, const struct hook_answer *a)
{
    for (struct hook_ticket *t = h->open; t; t = t->next)
        if (t->state == TICKET_ASKED && t->answer.number == a->number) {
            settle(h, t, a);
            return;
        }
}

static void take_answers(struct hooks *h)
{
    struct hook_answer a;
    struct reader r;
    struct buf m;
    int rc = 0;

    buf_init(&m, WIRE_MAX);
    while (h->fd >= 0 && (rc = channel_receive_now(h->fd, &m, NULL)) == 0) {
        reader_init(&r, m.data, m.len);
        if (wire_get_hook_answer(&r, &a)) {
            rc = ERR_FORMAT;
            break;
        }
        take_answer(h, &a);
    }
    if (rc != ERR_TIMEOUT)
        lose(h);
    buf_done(&m);
}

static void give_up_late(struct hooks *h)
{
    struct hook_ticket *next;
    int64_t now = clock_mono_ms();

    for (struct hook_ticket *t = h->open; t; t = next) {
        next = t->next;
        if (h->fd < 0)
            give_up(h, t,
                    "the process that runs the plant's programs ended: run the command again");
        else if (t->state == TICKET_ASKED && t->until <= now)
            give_up(h, t, "the process that runs the plant's programs does not answer");
    }
}

void hooks_work(struct hooks *h)
{
    if (!h)
        return;
    take_answers(h);
    send_queued(h);
    give_up_late(h);
}
