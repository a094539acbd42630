/*
 * message: the stable code of a message, and its translation.
 *
 * A message is the format string of a failure, as it stands in the source. docs/messages/ lists each with
 * its code, such as "V-204", and what to do; tools/messages keeps the list. Codes, records, --json and
 * the ledger are the same in every language; only what a person reads is translated, by gettext, domain
 * "imprint". The language is that of the environment: LANGUAGE, LC_ALL, LC_MESSAGES, LANG.
 */
#ifndef BASE_MESSAGE_H
#define BASE_MESSAGE_H

#include <libintl.h>

#define MESSAGE_CODE_SIZE 8 /* "V-1204" and its end */

/* For the operator's words: translated where it stands, or only marked and translated where it is shown. */
#define _(text)  gettext(text)
#define N_(text) text

/*
 * Opens the translations of the environment's language. Programs call it first: once confined they cannot
 * open them. Without it, or without a translation, everything is English. Numbers, dates and the order of
 * letters stay those of the C locale.
 */
void message_language(void);

/* Writes the code of a message, or "" for a text that has none. */
void message_code(const char *format, char code[MESSAGE_CODE_SIZE]);

#endif
