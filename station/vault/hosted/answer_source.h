/*
 * answer_source: the octets of an answer, and who is told what was found in them. Inside answers.h only.
 *
 * A source is a stream, or one file of an archive in it. Places name it, and of text the line.
 */
#ifndef STATION_VAULT_HOSTED_ANSWER_SOURCE_H
#define STATION_VAULT_HOSTED_ANSWER_SOURCE_H

#include "base/tar.h"
#include "station/vault/hosted/answers.h"

#define SOURCE_HEAD_SIZE TAR_BLOCK /* octets that are looked at to tell what it is */

/* A file, or one in an archive: so many octets of a stream. */
struct answer_source {
    FILE *in;
    uint64_t left; /* UINT64_MAX: to the end of the stream */
    const char *name;
    const struct answers_sink *sink;
    struct error *err;
    uint8_t head[SOURCE_HEAD_SIZE];
    size_t head_len, head_at;
    uint64_t line; /* of text, from 1; 0: it is none */
    uint64_t found;
};

/* The next octet, or EOF; and the same without reading it. */
int source_next(struct answer_source *s);
int source_peek(struct answer_source *s);

/* Fills head, which is read again from its beginning. */
void source_read_head(struct answer_source *s);

/* After EOF: whether that was the end. Errors: those of files. */
MUST_USE int source_check(const struct answer_source *s);

/* Tell the sink; errors are its own. */
MUST_USE int source_problem(const struct answer_source *s, const char *text);
MUST_USE int source_certificate(struct answer_source *s, const uint8_t *der, size_t len);

#endif
