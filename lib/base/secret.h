/*
 * secret: a PIN or a key that passes through this process.
 *
 * Invariants
 *  1. The bytes lie in memory of their own, locked against swap where the limit allows, left out of
 *     core dumps, and wiped when freed.
 *  2. Nothing here prints, and no secret is ever put into a message, a log or argv.
 *  3. Comparison takes the same time whatever the contents.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secret;

/* A zeroed secret of len bytes (1 to 65,536); NULL without memory. Free with secret_free. */
struct secret *secret_new(size_t len);

/* Wipes and frees; NULL is fine. */
void secret_free(struct secret *s);

/* The bytes, for the one call that needs them. */
uint8_t *secret_bytes(struct secret *s);
size_t secret_len(const struct secret *s);

/* Cuts the secret to its first len bytes and wipes the rest; len is at most secret_len. */
void secret_truncate(struct secret *s, size_t len);

/* True when both have the same length and bytes. */
bool secret_equal(const struct secret *a, const struct secret *b);

/*
 * Reads a PIN from the first line of a file, which must be a regular file of mode 0600 or 0400 that
 * belongs to the caller or to root. Errors: ERR_PIN with a text that says what to change.
 */
MUST_USE int secret_read_pin_file(const char *path, struct secret **pin, struct error *err);

/*
 * The same of its first two lines: the code of a badge, and a PIN. Errors: ERR_PIN, also when there is no
 * second line; both are the caller's to free, and NULL then.
 */
MUST_USE int secret_read_badge_file(const char *path, struct secret **badge, struct secret **pin,
                                    struct error *err);

/*
 * The same from a credential that the service manager passed: the file of this name in the folder
 * that CREDENTIALS_DIRECTORY names (systemd.exec(5)). The manager lets the service's user read a file
 * of root by an access control list, which shows as group permission to read. Errors: ERR_MISSING
 * when there is no such folder or file, ERR_PIN.
 */
MUST_USE int secret_read_credential(const char *name, struct secret **pin, struct error *err);

/*
 * Asks for a PIN on the terminal, without echo. Errors: ERR_MISSING where there is no terminal,
 * ERR_PIN when the line is empty.
 */
MUST_USE int secret_prompt_pin(const char *question, struct secret **pin, struct error *err);

#endif
