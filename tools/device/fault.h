/*
 * fault: what a broken or dishonest device does to the replies of the real agent.
 *
 * The agent itself stays honest: a fault sees each request before the agent does, and each reply
 * before the station does, and drops, delays or rewrites them.
 */
#ifndef DEVICE_FAULT_H
#define DEVICE_FAULT_H

#include "base/buf.h"
#include "link/frame.h"

#include <stdio.h>

struct fault_kind;

struct fault {
    const struct fault_kind *kind; /* NULL: none */
    char argument[128];
    const char *dir; /* the store's folder: some faults remember */
    struct link_frame_reader requests;
    size_t read_at; /* bytes of certificates that were read back so far */
};

/* What to do with a request. */
enum fault_verdict {
    FAULT_PASS,        /* give it to the agent */
    FAULT_DROP,        /* lose it; the fault may answer in its own words */
    FAULT_VANISH,      /* end the process now */
    FAULT_VANISH_AFTER /* give it to the agent, then end the process without a reply */
};

/* Reads "kind" or "kind=argument". Errors: ERR_USAGE with the list of kinds. */
MUST_USE int fault_parse(struct fault *fault, const char *text, const char *dir, struct error *err);

/* The operation of the store at which power fails, for the kind power-cut; 0 for others. */
unsigned fault_power_cut(const struct fault *fault);

/* Sees received bytes up to a delimiter. Where they are dropped, reply is what to send instead. */
enum fault_verdict fault_request(struct fault *fault, const uint8_t *bytes, size_t len,
                                 struct buf *reply);

/* Rewrites the bytes of a reply of the agent. */
void fault_reply(struct fault *fault, struct buf *reply);

/* Prints the kinds, one a line, for the help text. */
void fault_print_kinds(FILE *out);

#endif
