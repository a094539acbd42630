/*
 * device: one simulated device: the real agent, its flash, its port and its faults.
 */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include "agent/agent.h"
#include "facts.h"
#include "fault.h"
#include "port.h"
#include "store.h"

#include <openssl/evp.h>
#include <signal.h>

struct device {
    struct imprint_agent agent;
    struct imprint_agent_platform platform;
    struct store store;
    struct port port;
    struct fault fault;
    struct buf sent; /* by the agent, for the request at hand */
    int capture;     /* every byte of both directions is appended here; -1: not */
    long baud_pace;  /* bits a second that replies are slowed down to; 0: not */
    EVP_PKEY *enrol_key;
    uint8_t enrol_point[IMPRINT_P256_POINT_SIZE];
    struct buf enrol_chain; /* certificates that attest enrol_key, DER */
    struct facts facts;
    uint8_t unit[4096]; /* received bytes up to a delimiter */
    size_t unit_len;
};

/* What the command line says; NULL or 0 for what it does not. */
struct device_options {
    struct fact_texts facts;
    const char *store, *port, *enrol_key, *enrol_chain, *capture, *fault;
    long baud_pace;
    bool only_p256;
};

/* Opens all that the options name and starts the agent. Close with device_close in any case. */
MUST_USE int device_open(struct device *d, const struct device_options *o, struct error *err);

/* Answers requests until *stop is set by a signal of the mask that the caller blocks. */
MUST_USE int device_run(struct device *d, const volatile sig_atomic_t *stop,
                        const sigset_t *waiting, struct error *err);

void device_close(struct device *d);

#endif
