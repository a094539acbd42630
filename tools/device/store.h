/*
 * store: the simulated device's NOR flash, in three files of a folder.
 *
 * Invariants
 *  1. What an operation reported as done survives SIGKILL and a power cut: files are synced.
 *  2. A byte is written once between two erases. The store remembers it beside each byte, in the
 *     same write, and an agent that breaks the rule is stopped: abort().
 *  3. One process has a folder open for writing.
 */
#ifndef DEVICE_STORE_H
#define DEVICE_STORE_H

#include "agent/agent.h"
#include "base/error.h"

#define STORE_REGIONS 3

/* Each byte of flash is kept as two: its value, and 1 once it was written. */
#define STORE_CELLS (2 * IMPRINT_AGENT_SLOT_SIZE)

struct store {
    int fd[STORE_REGIONS]; /* -1 where the store is read-only */
    int lock;
    unsigned operations; /* writes and erases since it was opened */
    unsigned cut_at;     /* the process ends in the middle of this one; 0: never */
    uint8_t cells[STORE_REGIONS][STORE_CELLS];
};

/*
 * Opens the folder, which is created if need be. Errors: ERR_BUSY when another device has it open,
 * ERR_INTEGRITY when a file is not a store, and the codes of error_set_errno.
 */
MUST_USE int store_open(struct store *store, const char *dir, struct error *err);

/* As store_open, of a folder that exists; nothing is changed on disk, nor seen by others. */
MUST_USE int store_open_copy(struct store *store, const char *dir, struct error *err);

void store_close(struct store *store);

/* The agent's view of it. */
struct imprint_agent_store store_functions(struct store *store);

#endif
