/*
 * hooks: asks the plant's programs, without ever waiting for them.
 *
 * The programs run under a process of their own (station/hook). A question waits here until hooks_work sends
 * it, which is called when everything before it is durable; the answer comes to its ticket.
 *
 * Invariants
 *  1. Every question is answered: by the program, or as HOOK_FAILED when that process is gone or says
 *     nothing for HOOKS_GRACE_MS more than a program has.
 *  2. At most HOOKS_AT_ONCE programs run; others wait for their turn, the oldest first.
 */
#ifndef STATION_VAULT_HOOKS_H
#define STATION_VAULT_HOOKS_H

#include "station/config.h"
#include "station/wire/hook.h"

#include <poll.h>

#define HOOKS_AT_ONCE  32
#define HOOKS_GRACE_MS 3000

enum ticket_state { TICKET_NONE, TICKET_QUEUED, TICKET_ASKED, TICKET_ANSWERED };

/* A question on its way. Starts as zero, and must not move while it is queued or asked. */
struct hook_ticket {
    enum ticket_state state;
    enum hook_kind kind;
    struct buf question;
    int64_t until; /* ASKED: then nothing more is expected */
    struct hook_answer answer;
    struct hook_ticket *next;
};

struct hooks; /* NULL, everywhere: the station has none */

/*
 * Starts the process, where the configuration names programs; *hooks is NULL where it does not. Call
 * before the HSM module is loaded and the PIN is read. standard: as spawn's, or NULL. Errors: those of
 * spawn_start.
 */
MUST_USE int hooks_start(const struct config *config, const int *standard, struct hooks **hooks,
                         struct error *err);

/* Ends it, and with it every program that runs. */
void hooks_stop(struct hooks *hooks);

bool hooks_has(const struct hooks *hooks, enum hook_kind kind);

/* Whether a unit may not go on without its yes. */
bool hooks_blocks(const struct hooks *hooks, enum hook_kind kind);

/* question is JSON with an "id" that is this question's alone; it is copied. The ticket's is NONE. */
void hooks_ask(struct hooks *hooks, enum hook_kind kind, const struct buf *question,
               struct hook_ticket *ticket);

/* Whether an answer is awaited. */
bool hooks_is_open(const struct hook_ticket *ticket);

/* The ticket is NONE again, whatever it was; an answer that still comes is dropped. */
void hooks_forget(struct hooks *hooks, struct hook_ticket *ticket);

/* What poll should look at, and for how long at most: -1 for ever. */
struct pollfd hooks_poll(const struct hooks *hooks);
int hooks_wait_ms(const struct hooks *hooks);

/* Sends what is queued, takes what was answered, and gives up what took too long. */
void hooks_work(struct hooks *hooks);

#endif
