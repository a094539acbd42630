/*
 * answer_pieces: certificates in the content of one file, DER or text. Inside answers.h only.
 */
#ifndef STATION_VAULT_HOSTED_ANSWER_PIECES_H
#define STATION_VAULT_HOSTED_ANSWER_PIECES_H

#include "station/vault/hosted/answer_source.h"

/* Whether the head of a source begins as DER does. */
bool pieces_are_der(const struct answer_source *s);

/* One certificate or PKCS#7 after the other. Errors: those of files, and of the sink. */
MUST_USE int pieces_read_der(struct answer_source *s);

/* PEM blocks, and base64 on one line. Errors: as above. */
MUST_USE int pieces_read_text(struct answer_source *s);

#endif
