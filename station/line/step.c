#include "station/line/step.h"

#include <string.h>
#include <time.h>

#define REST_MS 200 /* after babble, and while paused */

int step_check_stop(const struct slot *s, struct error *err)
{
    if (*s->stop)
        return error_set(err, ERR_INTERRUPTED, "stopped before anything was delivered");
    return 0;
}

void step_rest(void)
{
    struct timespec t = {.tv_nsec = REST_MS * 1000000L};

    (void)nanosleep(&t, NULL);
}

void step_restore_limits(struct slot *s)
{
    s->client.timeout_ms = s->limits->request_ms;
    s->client.tries = s->limits->repeats + 1;
}

void step_copy_key(const struct link_key *key, uint8_t *out, size_t len, uint8_t *has)
{
    *has = key->len == len;
    if (*has)
        memcpy(out, key->bytes, len);
}
