/*
 * desk: the line's end of a channel: asks the vault, one question at a time.
 */
#ifndef STATION_LINE_DESK_H
#define STATION_LINE_DESK_H

#include "station/wire/wire.h"

#include <stdbool.h>

struct desk {
    int fd;
    uint8_t handle[WIRE_HANDLE_SIZE];
    struct buf request, reply;
    bool lost; /* the vault ended */
};

/*
 * Every function returns 0, or the vault's own error with its text, or ERR_GONE when the vault
 * ended: then nothing more can be done for the device now.
 */
MUST_USE int desk_open(struct desk *d, int control, struct error *err);
void desk_close(struct desk *d);

/* What the vault answers to the beginning of an attempt. */
struct desk_begun {
    uint8_t nonce[IMPRINT_NONCE_SIZE]; /* for HELLO */
    bool wants_chain; /* desk_chain comes before desk_hello, where the device has a chain */
};

/* The slot's condition is told: of one that may not begin (desk_is_closed) nothing else is asked. */
MUST_USE int desk_begin(struct desk *d, const char *slot, struct desk_begun *begun,
                        struct wire_condition *condition, struct error *err);
bool desk_is_closed(const struct wire_condition *condition);
MUST_USE int desk_chain(struct desk *d, const struct buf *chain, struct error *err);
/* hello's handle is filled in here. */
MUST_USE int desk_hello(struct desk *d, struct wire_hello *hello, struct wire_plan *plan,
                        struct error *err);
/* What KEYGEN gave; request's handle is filled in here. plan is then DELIVER. */
MUST_USE int desk_csr(struct desk *d, struct wire_csr *request, struct wire_plan *plan,
                      struct error *err);
/* The bytes stay valid until the next question. */
MUST_USE int desk_object(struct desk *d, uint8_t index, const uint8_t **bytes, size_t *len,
                         struct error *err);
MUST_USE int desk_nonce(struct desk *d, uint8_t nonce[IMPRINT_NONCE_SIZE], struct error *err);
/* proof's handle is filled in here. */
MUST_USE int desk_proof(struct desk *d, struct wire_proof *proof, enum wire_verdict *verdict,
                        struct error *err);
/* How far the order is; at any time. */
MUST_USE int desk_counts(struct desk *d, struct wire_counts *counts, struct error *err);

/* The next thing that scanners said. */
MUST_USE int desk_scan(struct desk *d, struct wire_scan *scan, struct error *err);
/* A person acknowledges a slot. *was: it was failing. Errors also: ERR_REFUSED for one that is worn out. */
MUST_USE int desk_acknowledge(struct desk *d, const char *slot, bool *was, struct error *err);

/* How an attempt ended: 0, or an error with its text and what to do, of which characters that are not
 * printable ASCII become '?'. goes_on: another attempt with the device follows at once. */
struct desk_end {
    int code;
    const char *text;
    enum error_next next;
    bool goes_on;
};
MUST_USE int desk_result(struct desk *d, const struct desk_end *end, struct wire_noted *noted,
                         struct error *err);

#endif
