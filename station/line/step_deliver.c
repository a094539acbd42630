#include "station/line/step.h"

#include "base/clock.h"

#include <string.h>

static int begin(struct slot *s, struct link_held *held, struct error *err)
{
    const struct wire_plan *p = &s->plan;
    struct link_object objects[IMPRINT_OBJECTS_MAX];
    struct link_begin b = {.suite = p->suite,
                           .environment = p->environment,
                           .serial = p->serial,
                           .objects = objects,
                           .object_count = p->object_count,
                           .sig = link_sig_p256(p->station_sig),
                           .cert = p->station_cert,
                           .cert_len = p->station_cert_len};

    if (p->suite != IMPRINT_SUITE_NONE)
        b.station_pub = link_key_p256(p->station_pub);
    memcpy(b.order_hash, p->order_hash, sizeof b.order_hash);
    memcpy(b.transaction, p->tx, sizeof b.transaction);
    memcpy(b.station_nonce, p->station_nonce, sizeof b.station_nonce);
    for (size_t i = 0; i < p->object_count; i++) {
        objects[i] = (struct link_object){.type = p->objects[i].type,
                                          .format = p->objects[i].format,
                                          .length = p->objects[i].length};
        memcpy(objects[i].hash, p->objects[i].hash, sizeof objects[i].hash);
    }
    return link_client_begin(&s->client, &b, held, err);
}

/* BEGIN, every object from where the device has it, COMMIT. */
int step_deliver(struct slot *s, struct error *err)
{
    const struct wire_plan *p = &s->plan;
    struct link_held held;
    uint32_t commit_count;
    int rc = begin(s, &held, err);

    s->done = s->total = 0;
    s->progress_ms = clock_mono_ms();
    for (size_t i = 0; rc == 0 && i < p->object_count; i++) {
        s->total += p->objects[i].length;
        s->done += held.bytes[i];
    }

    for (uint8_t i = 0; rc == 0 && i < p->object_count; i++) {
        const uint8_t *bytes;
        size_t len;

        rc = desk_object(&s->desk, i, &bytes, &len, err);
        if (rc == 0 && len != p->objects[i].length)
            rc = error_set(err, ERR_INTERNAL, "the vault handed out an object of another length");
        if (rc == 0)
            rc = link_client_put_object(&s->client, p->tx, p->objects[i].type, bytes, (uint32_t)len,
                                        held.bytes[i], err);
    }
    return rc ? rc : link_client_commit(&s->client, p->tx, &commit_count, err);
}
