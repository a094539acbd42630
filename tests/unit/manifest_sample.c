/*
 * The sample of three manifests that unit tests damage and that the judges look at. As a program
 * (manifest_sample DIR) it writes it into an existing folder; with a number it writes one manifest of
 * that many devices instead; with a name, of another station than line1, whose serials begin with it.
 */
#include "manifest_kit.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A new device; with kept its key and certificate are written as well, for who plays it. */
static void add_new(struct kit_batch *b, const char *serial, struct record *kept)
{
    struct kit_device d;

    kit_device_init(b->kit, &d, serial);
    kit_add(b, &d);
    if (kept) {
        kit_device_write(b->kit, &d);
        *kept = d.record; /* its pointers are not used afterwards */
    }
    kit_device_done(&d);
}

/* A device with a genuine certificate that is in no manifest. */
static void make_unlisted(struct kit *k)
{
    struct kit_device d;

    kit_device_init(k, &d, "unlisted");
    kit_device_write(k, &d);
    kit_device_done(&d);
}

/* A device that showed a vendor's identity, in device-key mode, not locked. */
static void add_attested(struct kit_batch *b, const char *serial)
{
    struct kit_device d;

    kit_device_init(b->kit, &d, serial);
    d.record.mode = RECORD_MODE_DEVICE;
    d.record.auth = RECORD_AUTH_ATTESTED;
    d.record.lock = false;
    kit_prove(b->kit, &d);
    kit_add(b, &d);
    kit_device_done(&d);
}

/* A key that was delivered and never proven (burned), or never left (scrapped). */
static void add_void(struct kit_batch *b, const char *serial, enum record_reason reason)
{
    struct kit_device d;

    kit_device_init(b->kit, &d, serial);
    d.record.t = RECORD_VOID;
    d.record.reason = reason;
    d.record.hsm[0] = 0;
    if (reason == RECORD_SCRAPPED)
        d.record.chip_len = 0;
    kit_add_record(b, &d.record);
    kit_device_done(&d);
}

static void add_replacement(struct kit_batch *b, const struct record *old, uint64_t ref)
{
    struct kit_device d;

    kit_device_init(b->kit, &d, old->sn);
    d.record.t = RECORD_REPLACE;
    d.record.ref = ref;
    kit_add(b, &d);
    kit_device_done(&d);
}

static void add_change(struct kit_batch *b, enum record_type t, const struct record *of,
                       uint64_t ref)
{
    struct record r;

    kit_change(&r, t, of, ref);
    kit_add_record(b, &r);
}

static void add_attr(struct kit_batch *b, const char *serial)
{
    struct record r = {.t = RECORD_ATTR, .ts = 1795000000, .chip_len = 12};

    memcpy(r.order, b->kit->totals.order, sizeof r.order);
    strcpy(r.prod, KIT_PRODUCT);
    strcpy(r.sn, serial);
    RAND_bytes(r.chip, 12);
    RAND_bytes(r.n, sizeof r.n);
    r.ext = "{\"vendor\":{\"part\":\"ATECC608B\",\"slots\":[0,1]}}";
    kit_add_record(b, &r);
}

void kit_sample(struct kit *k)
{
    struct manifest_state one, two;
    struct kit_batch b;
    struct record first, second, third, other;

    make_unlisted(k);
    kit_begin(&b, k, "1", NULL);
    add_new(&b, "A1-0001", &first);
    add_new(&b, "A1-0002", &second);
    add_attested(&b, "A1-0003");
    add_new(&b, "A1-0004", &third);
    add_void(&b, "A1-0005", RECORD_BURNED);
    add_void(&b, "A1-0006", RECORD_SCRAPPED);
    kit_end(&b, &one);

    kit_begin(&b, k, "2", &one);
    add_new(&b, "A1-0007", &other);
    add_change(&b, RECORD_REVOKE, &first, 0);
    add_replacement(&b, &second, 1);
    kit_end(&b, &two);

    kit_begin(&b, k, "3", &two);
    add_change(&b, RECORD_DECOMMISSION, &third, 3);
    add_change(&b, RECORD_RECOMMISSION, &third, 3);
    add_attr(&b, "A1-0008");
    add_new(&b, "A1-0009", NULL);
    kit_end(&b, NULL);
}

#ifdef SAMPLE_PROGRAM
static void write_many(struct kit *k, long count, const char *prefix)
{
    struct kit_batch b;
    char serial[64];

    kit_begin(&b, k, "1", NULL);
    for (long i = 0; i < count; i++) {
        snprintf(serial, sizeof serial, "%.32s-%07ld", prefix, i);
        add_new(&b, serial, NULL);
    }
    kit_end(&b, NULL);
}

int main(int argc, char **argv)
{
    const char *station = argc > 3 ? argv[3] : KIT_STATION;
    char origin[NOTE_NAME_MAX + 1];
    struct kit k;

    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: manifest_sample DIR [DEVICES [STATION]]\n");
        return 2;
    }
    snprintf(origin, sizeof origin, "factory.example/wl/%.64s", station);
    kit_init_station(&k, argv[1], origin, station);
    if (argc > 2)
        write_many(&k, strtol(argv[2], NULL, 10), argc > 3 ? station : "A1");
    else
        kit_sample(&k);
    kit_done(&k);
    return 0;
}
#endif
