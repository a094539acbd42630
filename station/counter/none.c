/* A program that was built without a TPM library: a station that has a counter is refused. */
#include "station/counter/counter.h"

#include <stddef.h>

static int refuse(struct error *err)
{
    return error_set(
        err, ERR_COUNTER,
        "this program was built without support for a TPM, and the station's counter is "
        "in one: use a program that was built with libtss2");
}

int counter_open(const char *tcti, const struct counter_id *id,
                 const uint8_t auth[COUNTER_AUTH_SIZE], struct counter **out, struct error *err)
{
    (void)tcti, (void)id, (void)auth, (void)out;
    return refuse(err);
}

int counter_define(const char *tcti, uint32_t index, const uint8_t auth[COUNTER_AUTH_SIZE],
                   struct counter_id *id, struct counter **out, struct error *err)
{
    (void)tcti, (void)index, (void)auth, (void)id, (void)out;
    return refuse(err);
}

int counter_remove(struct counter *c, struct error *err)
{
    (void)c;
    return refuse(err);
}

int counter_read(struct counter *c, uint64_t *number, uint8_t chain[COUNTER_CHAIN_SIZE],
                 struct error *err)
{
    (void)c, (void)number, (void)chain;
    return refuse(err);
}

int counter_extend(struct counter *c, const uint8_t link[COUNTER_CHAIN_SIZE], struct error *err)
{
    (void)c, (void)link;
    return refuse(err);
}

int counter_increment(struct counter *c, struct error *err)
{
    (void)c;
    return refuse(err);
}

void counter_close(struct counter *c)
{
    (void)c;
}
