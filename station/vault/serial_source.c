#include "station/vault/serial_source.h"

#include "station/store/requests.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- a pattern ---- */

/* Serial numbers go on from what the store has; those beyond the share may be another station's. */
static int open_pattern(struct serial_source *s, int64_t count, struct error *err)
{
    const struct order_serials *range = &s->v->share->serials;
    const struct job_serials *p = &s->v->job->serials;
    int rc = counter_next(s->v->store, s->v->order->product, p->prefix, p->digits, p->first,
                          &s->first, err);

    if (rc || (s->first >= range->first && s->first <= range->last &&
               count <= range->last - s->first + 1))
        return rc;
    return error_set(err, ERR_REFUSED,
                     "order '%s' gives this station the serial numbers %s%" PRId64 " to %" PRId64
                     " and the next is %" PRId64 ": %" PRId64
                     " more do not fit; ask the owner for an amendment",
                     s->v->order->id, range->prefix, range->first, range->last, s->first, count);
}

/* ---- a list ---- */

/* What this order has of the list was made from it before. */
static int look_at(struct serial_source *s, size_t i, struct error *err)
{
    const struct job_serials *p = &s->v->job->serials;
    int64_t order = 0;
    int rc =
        credential_order_of_serial(s->v->store, s->v->order->product, p->list.at[i], &order, err);

    if (rc == 0 && order == 0)
        rc = request_order_of_serial(s->v->store, s->v->order->product, p->list.at[i], &order, err);
    if (rc == 0 && order == 0)
        s->left[s->left_count++] = (uint32_t)i;
    if (rc == 0 && order != 0 && order != s->v->order_id)
        rc = error_set(err, ERR_DUPLICATE,
                       "%s:%zu:1: serial '%s' of product '%s' is in the inventory already, under "
                       "another order: take it out of the list",
                       p->file, i + 1, p->list.at[i], s->v->order->product);
    return rc;
}

static int open_list(struct serial_source *s, int64_t count, struct error *err)
{
    const struct serial_list *list = &s->v->job->serials.list;
    int rc = 0;

    s->left = calloc(list->count, sizeof *s->left);
    if (!s->left)
        return error_set(err, ERR_INTERNAL, "out of memory");
    for (size_t i = 0; rc == 0 && i < list->count; i++)
        rc = look_at(s, i, err);
    if (rc || (size_t)count <= s->left_count)
        return rc;
    return error_set(err, ERR_REFUSED,
                     "the list '%s' has %zu serials that are not made yet, and %" PRId64
                     " more are wanted",
                     s->v->job->serials.file, s->left_count, count);
}

/* ---- either ---- */

int serial_source_open(struct serial_source *s, const struct vault *v, int64_t count,
                       struct error *err)
{
    *s = (struct serial_source){.v = v};
    switch (v->job->serials.source) {
    case SOURCE_ASSIGNED:
        return open_pattern(s, count, err);
    case SOURCE_LISTED:
        return open_list(s, count, err);
    default:
        return 0; /* keys alone */
    }
}

void serial_source_done(struct serial_source *s)
{
    free(s->left);
    s->left = NULL;
}

int serial_source_text(const struct serial_source *s, int64_t i, char serial[SERIAL_TEXT_MAX + 1],
                       struct error *err)
{
    const struct job_serials *p = &s->v->job->serials;

    if (p->source == SOURCE_ASSIGNED)
        return job_serial_text(p, s->first + i, serial, SERIAL_TEXT_MAX + 1, err);
    snprintf(serial, SERIAL_TEXT_MAX + 1, "%s", p->list.at[s->left[i]]);
    return 0;
}

int serial_source_taken(const struct serial_source *s, int64_t i, struct error *err)
{
    const struct job_serials *p = &s->v->job->serials;

    if (p->source != SOURCE_ASSIGNED)
        return 0;
    return counter_set(s->v->store, s->v->order->product, p->prefix, p->digits, s->first + i, err);
}
