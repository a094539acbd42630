/*
 * bench: the device that is judged, and what every case does with it.
 *
 * Errors of every function, as the client's (link/client.h): ERR_TIMEOUT, ERR_PROTOCOL and ERR_REFUSED
 * are the device's doing and fail a case; ERR_GONE, ERR_IO, ERR_CRYPTO and ERR_INTERNAL end the run.
 */
#ifndef STATION_CONFORM_BENCH_H
#define STATION_CONFORM_BENCH_H

#include "link/client.h"
#include "station/conform/bundle.h"
#include "station/conform/case.h"
#include "station/conform/recorder.h"

/* What the command line allows. */
struct bench_options {
    bool replace;   /* an identity may be replaced, and an open transaction ended */
    bool lock;      /* the device may be locked */
    bool restart;   /* somebody turns it off and on when asked */
    bool certified; /* the pass is not of an authority that nobody knows */
    int timeout_ms; /* for each answer */
};

struct bench {
    struct recorder recorder;
    struct link_client client;
    struct bench_options options;
    struct provider provider;
    int (*restart)(struct bench *b, struct error *err); /* power off and on */

    uint8_t nonce[IMPRINT_NONCE_SIZE]; /* of the last HELLO */
    struct link_hello hello;           /* and what it answered */
    bool foreign;                      /* the device came with an identity or an open transaction */
    bool disbelief;                    /* it refused the station of the pass */
    bool decommission;

    struct bundle *bundle;   /* of the case at hand; NULL before bench_prepare */
    struct bundle *identity; /* that the judge gave the device and is in force; or NULL */
    unsigned serials;        /* given out */
};

/* A mask of statuses that bench_refused takes. */
#define STATUS(name) (1u << IMPRINT_ERR_##name)

/* Takes the port over. provider.pass is taken already. Errors: ERR_CRYPTO. */
MUST_USE int bench_open(struct bench *b, struct transport *port, struct error *err);
void bench_close(struct bench *b);

/* HELLO with a new nonce: b->hello. */
MUST_USE int bench_hello(struct bench *b, struct error *err);
/* First of all: HELLO, several tries; what the device is, and whether it has DECOMMISSION. */
MUST_USE int bench_probe(struct bench *b, struct error *err);
/* ABORT, then HELLO. */
MUST_USE int bench_reset(struct bench *b, struct error *err);

/* ---- single requests ---- */

/* A request with this payload, as link_client_request. */
MUST_USE int bench_ask(struct bench *b, uint8_t message, const struct buf *payload,
                       struct link_frame *reply, struct error *err);

/* The same, which must be answered with one of the statuses. Frees payload. */
MUST_USE int bench_refused(struct bench *b, uint8_t message, struct buf *payload, unsigned statuses,
                           struct error *err);

/* What a call to the client returned must be a refusal with one of the statuses: 0 then. */
MUST_USE int bench_expect(int rc, unsigned statuses, struct error *err);

/* Bytes as they are. */
MUST_USE int bench_send(struct bench *b, const struct buf *bytes, struct error *err);

/* Bytes that must not be answered, then HELLO, whose answer must be the first frame that comes. The
 * device is so known to be silent without waiting for it. */
MUST_USE int bench_silent(struct bench *b, const struct buf *bytes, struct error *err);

/* The next frame that comes, whatever it answers. */
MUST_USE int bench_receive(struct bench *b, struct link_frame *frame, struct error *err);

/* ---- bundles ---- */

/* The mode and suite by which cases go that are about neither: as wrapped keys, where it takes them. */
uint32_t bench_mode(const struct bench *b);
uint16_t bench_suite(const struct bench *b, uint32_t mode);
bool bench_offers(const struct bench *b, uint16_t suite);

/* A new bundle for the device that said hello, KEYGEN included where it makes the key: b->bundle. */
MUST_USE int bench_prepare(struct bench *b, uint32_t mode, uint16_t suite, struct error *err);
MUST_USE int bench_prepare_any(struct bench *b, struct error *err); /* by bench_mode */

MUST_USE int bench_keygen(struct bench *b, struct error *err); /* the request is judged */
MUST_USE int bench_begin(struct bench *b, struct link_held *held, struct error *err);
/* A bundle by bench_mode that BEGIN opened. */
MUST_USE int bench_open_any(struct bench *b, struct error *err);
/* Nothing may be held of any object, after what `when` says. */
MUST_USE int bench_holds_nothing(const struct link_held *held, const char *when, struct error *err);
/* BEGIN, which must be refused with one of the statuses. */
MUST_USE int bench_begin_refused(struct bench *b, unsigned statuses, struct error *err);
/* Every object from what is held; held NULL: from the start. */
MUST_USE int bench_put_all(struct bench *b, const struct link_held *held, struct error *err);
/* BEGIN and PUT of everything. */
MUST_USE int bench_deliver(struct bench *b, struct error *err);
/* COMMIT: b->identity is then the bundle of the case. */
MUST_USE int bench_commit(struct bench *b, struct error *err);
MUST_USE int bench_commit_refused(struct bench *b, unsigned statuses, struct error *err);
/* PROVE and READ, both judged against b->identity. */
MUST_USE int bench_prove(struct bench *b, struct error *err);
MUST_USE int bench_complete(struct bench *b, struct error *err); /* COMMIT and that */
/* All of that. */
MUST_USE int bench_provision(struct bench *b, uint32_t mode, uint16_t suite, struct error *err);
/* DECOMMISSION of b->identity, by its owner. */
MUST_USE int bench_farewell(struct bench *b, struct error *err);
void bench_farewell_of(const struct bench *b, struct link_farewell *farewell);

/* HELLO must report this state, of the transaction unless the state is none. */
MUST_USE int bench_state(struct bench *b, enum imprint_tx_state state, const uint8_t *transaction,
                         struct error *err);

/* Another transport key than before must be shown; and the same. */
MUST_USE int bench_new_key(struct bench *b, const struct link_key *before, struct error *err);
MUST_USE int bench_same_key(struct bench *b, const struct link_key *before, struct error *err);

#endif
