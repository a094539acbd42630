/*
 * server: starts the line, then answers its channels until it ends.
 */
#ifndef STATION_VAULT_SERVER_H
#define STATION_VAULT_SERVER_H

#include "station/vault/screen.h"
#include "station/vault/vault.h"

#include <sys/types.h>

struct server {
    pid_t line;
    pid_t opener;
    pid_t scanner_opener; /* 0: there are no scanners */
    int scanners;         /* its socket, or -1 */
    int typed;            /* what a scanner types at the board, or -1 */
    bool reads_scanners;  /* of whatever kind */
    pid_t connector;      /* 0: the job names no address */
    int control;
};

/* What a run is to do. */
struct server_run {
    const char
        *output; /* what the line prints: "words", "quiet" (words without progress) or "json" */
    const struct config *config;   /* its scanners are opened if the job reads labels with them */
    const struct config *fixtures; /* its fixtures hold the slots, whatever is done there */
    bool once;                     /* one device in each slot that is there, then end */
    struct screen
        *screen; /* a board reads what the line prints then, whatever output says; or NULL */
};

/* Whether a run of the job reads the station's scanners. */
bool server_reads_scanners(const struct config *config, const struct job *job);

/*
 * Starts the line, the opener with the job's port rules, and the connector where the job names addresses. Call
 * before the HSM module is loaded and the PIN is read: they inherit nothing but their sockets, and the
 * line the screen, unless the board has it. Errors: ERR_MISSING when one of the programs is not installed.
 */
MUST_USE int server_start_line(struct server *server, const struct job *job,
                               const struct server_run *run, struct error *err);

/*
 * Lets the line begin and serves it until it ends; returns what the line ended with. Errors of the
 * vault itself end the line.
 */
MUST_USE int server_run(struct server *server, struct vault *v, struct error *err);

/* Ends a line that was started and never served. */
void server_stop_line(struct server *server);

#endif
