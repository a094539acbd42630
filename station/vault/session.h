/*
 * session: what the vault does for one device on one channel, from OPEN to RESULT.
 *
 * A session is a small state machine: a request that does not fit the state is refused, so that a
 * line that was taken over gains nothing by sending messages in another order.
 */
#ifndef STATION_VAULT_SESSION_H
#define STATION_VAULT_SESSION_H

#include "station/store/claims.h"
#include "station/store/inventory.h"
#include "station/store/keygens.h"
#include "station/vault/hooks.h"
#include "station/vault/vault.h"
#include "station/wire/wire.h"

enum session_state {
    SESSION_IDLE,    /* OPEN may come */
    SESSION_OPENED,  /* one CHAIN and HELLO may come */
    SESSION_ASKED,   /* KEYGEN was handed out: CSR may come */
    SESSION_PLANNED, /* OBJECT and NONCE may come */
    SESSION_NONCED,  /* PROOF may come */
    SESSION_ENDING   /* only RESULT may come */
};

struct session {
    enum session_state state;
    uint8_t handle[WIRE_HANDLE_SIZE];
    char slot[WIRE_SLOT_MAX + 1];
    uint8_t nonce[IMPRINT_NONCE_SIZE]; /* for HELLO */
    struct buf chain; /* of the device's vendor, as the line passed it on; empty: none */
    struct wire_hello hello;
    bool asked; /* keygen is what the device reported, or what it was asked now */
    struct keygen keygen;
    struct claim claim;
    struct credential credential;
    bool nonce_drawn;                /* with the claim of this session, and it did not leave yet */
    bool again;                      /* this device was proven before */
    bool passed;                     /* its pass is recorded */
    bool labelled;                   /* its label was compared with the credential */
    bool waits;                      /* it proved, and another run is to lock it */
    bool refused;                    /* the vault itself said no to something */
    enum error_next next;            /* and what to do about it */
    struct buf farewell;             /* what takes its identity away (farewell.h), or empty */
    struct hook_ticket ticket;       /* what the plant was asked (plant.h) */
    struct buf result;               /* what it is told, JSON; empty: nothing */
    bool reported;                   /* the line said how it ended, and that is recorded */
    char warning[WIRE_TEXT_MAX + 1]; /* what the plant said that was no yes */
};

void session_init(struct session *s);
void session_done(struct session *s);

/* The session is about no claim, or none any more: its attempts are not counted for one. */
void session_forget_claim(struct session *s);

/* Whether the plant was asked, and the request can only be answered once it answered. */
bool session_waits(const struct session *s);

/*
 * Answers one request. reply is a whole message in any case, but where the session waits then (session_waits):
 * it is empty, and the same request is to be answered again when it does not any more. An error return is one that the vault
 * itself cannot go on after (the database or the HSM failed); what is wrong with a device or a
 * request is in the reply only.
 */
MUST_USE int session_answer(struct vault *v, struct session *s, const struct buf *request,
                            struct buf *reply, struct error *err);

/*
 * Whether a request changes nothing of the database and its answer says nothing that was not durable when
 * the request came: it need not wait for others. The answer to the request before it has left.
 */
bool session_is_at_once(const struct session *s, const struct buf *request);

/* The channel closed: records an attempt with a device that nobody ended. */
MUST_USE int session_abandon(struct vault *v, struct session *s, struct error *err);

#endif
