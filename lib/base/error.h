/*
 * error: the one list of things that can go wrong, and how a failure travels to whoever reports it.
 *
 * Invariants
 *  1. A function that can fail returns 0, or one negative code of the list below.
 *  2. Library code never prints and never exits: it fills a struct error and returns its code.
 *  3. The exit status of a program is the code without its sign, so each class of failure has an
 *     exit status of its own. The list only ever grows at its end: scripts depend on the numbers.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/message.h"

#include <stdarg.h>
#include <stddef.h>

#define MUST_USE          __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* X(name, exit status, meaning): the meaning is what the manual page says of the exit status. */
#define ERROR_LIST(X)                                                                              \
    X(ERR_INTERNAL, 1, "internal error, or out of memory")                                         \
    X(ERR_USAGE, 2, "the command line is wrong")                                                   \
    X(ERR_INPUT, 3, "a job, order, configuration or other input file is wrong")                    \
    X(ERR_IO, 4, "a file or port could not be read or written")                                    \
    X(ERR_FULL, 5, "the disk is full")                                                             \
    X(ERR_READONLY, 6, "the station's directory or database is read-only")                         \
    X(ERR_MISSING, 7, "something that was named does not exist")                                   \
    X(ERR_EXISTS, 8, "something already exists and is not overwritten")                            \
    X(ERR_BUSY, 9, "a port, database or station is in use by another process")                     \
    X(ERR_PIN, 10, "the PIN is wrong, locked or not readable")                                     \
    X(ERR_TOKEN, 11, "the token is missing or not initialised")                                    \
    X(ERR_MODULE, 12, "the PKCS#11 module does not load")                                          \
    X(ERR_HSM, 13, "the HSM refused or failed an operation")                                       \
    X(ERR_STORE, 14, "the station's database failed or is damaged")                                \
    X(ERR_INTEGRITY, 15, "data was changed: a hash, chain or MAC does not match")                  \
    X(ERR_EXHAUSTED, 16, "the inventory has no credential left for this job")                      \
    X(ERR_NO_PORT, 17, "no port matches a rule of the job")                                        \
    X(ERR_TIMEOUT, 18, "a device does not answer, or answers too slowly")                          \
    X(ERR_GONE, 19, "a device disappeared")                                                        \
    X(ERR_PROTOCOL, 20, "a device answers garbage or breaks the protocol")                         \
    X(ERR_REFUSED, 21, "refused by the order, the job or the device")                              \
    X(ERR_DUPLICATE, 22, "a serial, chip id or key that was already provisioned")                  \
    X(ERR_PROOF, 23, "a device did not prove that it holds its key")                               \
    X(ERR_SIGNATURE, 24, "a signature or certificate does not verify, or the signer is wrong")     \
    X(ERR_INCOMPLETE, 25, "a record or file is missing, repeated, reordered or cut")               \
    X(ERR_ROLLBACK, 26, "older than, or not an extension of, what was accepted before")            \
    X(ERR_INTERRUPTED, 27, "stopped on request before the end")                                    \
    X(ERR_CRYPTO, 28, "a cryptographic operation failed")                                          \
    X(ERR_FORMAT, 29, "data is malformed, not canonical, or has unknown members")                  \
    X(ERR_GAP, 30, "what comes between this and what was accepted before is missing")              \
    X(ERR_FORK, 31, "another history under the same name as what was accepted before")             \
    X(ERR_IMPOSTOR, 32, "another station under a name that is known, or other keys")               \
    X(ERR_HELD, 33, "held back by the owner's decision")                                           \
    X(ERR_REVOKED, 34, "revoked: must not be trusted any more")                                    \
    X(ERR_REPLACED, 35, "replaced by a newer identity of the same device")                         \
    X(ERR_UNKNOWN, 36, "not in the whitelist")                                                     \
    X(ERR_CLOCK, 37, "the station's clock is or was wrong, and nothing is issued")                 \
    X(ERR_UNRESOLVED, 38, "credentials are with devices that did not prove them")                  \
    X(ERR_COUNTER, 39, "the counter in the TPM is not the database's, or cannot be used")          \
    X(ERR_LABEL_MISMATCH, 40, "the label on a unit is not the serial of the device in it")

enum error_code {
    ERR_NONE = 0,
#define ERROR_ENUM(name, status, meaning) name = -(status),
    ERROR_LIST(ERROR_ENUM)
#undef ERROR_ENUM
};

/*
 * What a person at the line does next about a device that failed. A class such as ERR_REFUSED holds broken
 * devices and healthy ones; whoever refuses knows which it is (docs/events.md, "Reasons"). The database keeps
 * the numbers: the list grows at its end.
 */
enum error_next {
    NEXT_BY_CLASS, /* what the code says */
    NEXT_RESEAT,
    NEXT_SET_ASIDE,
    NEXT_CALL,
    NEXT_SCAN,        /* the label of this unit is missing */
    NEXT_SWAP,        /* the label is that of another unit */
    NEXT_JOB,         /* the job is another device's */
    NEXT_ORDER,       /* the order is used up, over, or has not begun */
    NEXT_RESTART,     /* the station's program ended */
    NEXT_SEND_BACK,   /* the unit is not what the job requires: to the step before this one */
    NEXT_ACKNOWLEDGE, /* the slot is disabled */
    NEXT_COUNT
};

/* One failure on its way to the user. Plain data; start from ERROR_INIT. */
struct error {
    int code;       /* one of enum error_code */
    long native;    /* the CKR_*, SQLite or errno value behind it, 0 if none */
    char text[512]; /* what happened and what to do: lower case, no full stop, subjects quoted */
    enum error_next next;
    char message[MESSAGE_CODE_SIZE]; /* "V-204", or "" (base/message.h) */
    char local[512]; /* text in the reader's language, UTF-8; "" where it is the same */
};

#define ERROR_INIT                                                                                 \
    {                                                                                              \
        .code = ERR_NONE                                                                           \
    }

/* Fills err (which may be NULL) and returns code, so that `return error_set(...)` reads well. */
int error_set(struct error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* As error_set, and keeps the native value as well. */
int error_set_native(struct error *err, int code, long native, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* As error_set, for a message without arguments that the caller was given. */
int error_set_plain(struct error *err, int code, const char *message);

/* As error_set_native, for functions that make messages of their own. */
int error_vset(struct error *err, int code, long native, const char *format, va_list args)
    PRINTF_LIKE(4, 0);

/*
 * As error_set for a failed system call: picks the code by errno (ENOSPC and EDQUOT ERR_FULL, EROFS
 * and EACCES ERR_READONLY, ENOENT ERR_MISSING, EEXIST ERR_EXISTS, otherwise ERR_IO) and appends
 * strerror.
 */
int error_set_errno(struct error *err, int saved_errno, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "<format>: " in front of the text that err already has; returns err's code. */
int error_prefix(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts a text, marked with N_(), behind what err (which may be NULL) already has. */
void error_append(struct error *err, const char *text);

/* A failure that another process had: its parts as they came from there. Returns code. */
int error_received(struct error *err, int code, const char *message, const char *text,
                   const char *local);

/* What a person reads: "the device disappeared (L-12)", in their language if it has a translation.
 * Returns out, which holds ERROR_SHOWN_SIZE. */
#define ERROR_SHOWN_SIZE 528
const char *error_shown(const struct error *err, char out[ERROR_SHOWN_SIZE]);

/* The last words of a program: "imprint: " and what a person reads, a line on stderr. */
void error_tell(const char *program, const struct error *err);

/* Gives err (which may be NULL) another code, for a caller to whom the failure means something
 * else; returns it. */
int error_recode(struct error *err, int code);

/* After err was filled: says what a person does next. Returns code, so that
 * `return error_next(err, NEXT_SCAN, error_set(err, ...))` reads well. err may be NULL. */
int error_next(struct error *err, enum error_next next, int code);

/* The symbolic name of a code: "ERR_PIN". Never NULL. */
const char *error_name(int code);

/* The exit status a program ends with after this code; 0 for 0. */
int error_exit_status(int code);

#endif
