#include "station/vault/hosted/answer_source.h"

#include <errno.h>
#include <stdio.h>

/* ---- octets ---- */

static int next_of_stream(struct answer_source *s)
{
    int c = s->left ? getc(s->in) : EOF;

    if (c != EOF && s->left != UINT64_MAX)
        s->left--;
    return c;
}

int source_next(struct answer_source *s)
{
    int c = s->head_at < s->head_len ? s->head[s->head_at++] : next_of_stream(s);

    if (c == '\n' && s->line)
        s->line++;
    return c;
}

int source_peek(struct answer_source *s)
{
    int c = s->head_at < s->head_len ? s->head[s->head_at] : s->left ? getc(s->in) : EOF;

    if (s->head_at == s->head_len && c != EOF)
        ungetc(c, s->in);
    return c;
}

void source_read_head(struct answer_source *s)
{
    int c;

    s->head_len = s->head_at = 0;
    while (s->head_len < sizeof s->head && (c = next_of_stream(s)) != EOF)
        s->head[s->head_len++] = (uint8_t)c;
}

int source_check(const struct answer_source *s)
{
    if (!ferror(s->in))
        return 0;
    return error_set_errno(s->err, errno, "cannot read '%s'", s->name);
}

/* ---- telling ---- */

/* Names of files are somebody's: what a terminal would obey, or JSON cannot hold, is '?'. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static void place_of(const struct answer_source *s, char place[ANSWERS_PLACE_SIZE])
{
    if (s->line)
        snprintf(place, ANSWERS_PLACE_SIZE, "%.480s:%llu", s->name, (unsigned long long)s->line);
    else
        snprintf(place, ANSWERS_PLACE_SIZE, "%.500s", s->name);
    make_printable(place);
}

int source_problem(const struct answer_source *s, const char *text)
{
    char place[ANSWERS_PLACE_SIZE];

    place_of(s, place);
    return s->sink->problem(s->sink->context, place, text, s->err);
}

int source_certificate(struct answer_source *s, const uint8_t *der, size_t len)
{
    char place[ANSWERS_PLACE_SIZE];

    s->found++;
    place_of(s, place);
    return s->sink->certificate(s->sink->context, place, der, len, s->err);
}
