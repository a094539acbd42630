/*
 * server: starts the line, then answers its channels until it ends.
 */
#ifndef STATION_VAULT_SERVER_H
#define STATION_VAULT_SERVER_H

#include "station/vault/vault.h"

#include <sys/types.h>

struct server {
    pid_t line;
    pid_t connector; /* 0: the job names no address */
    int control;
};

/*
 * Starts the line process, and the connector where the job names addresses, with the job's port rules. Call before the HSM module is loaded and the
 * PIN is read: the line inherits nothing but its control socket, stdout and stderr. output is what
 * it prints: "words", "quiet" (words without progress) or "json". Errors:
 * ERR_MISSING when the program imprint-line is not installed.
 */
MUST_USE int server_start_line(struct server *server, const struct job *job, const char *output,
                               struct error *err);

/*
 * Lets the line begin and serves it until it ends; returns what the line ended with. Errors of the
 * vault itself end the line.
 */
MUST_USE int server_run(struct server *server, struct vault *v, struct error *err);

/* Ends a line that was started and never served. */
void server_stop_line(struct server *server);

#endif
