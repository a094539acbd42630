/*
 * What an owner and an engineer write: byte 0 chooses a work order (JSON), a YAML file, read by a
 * table with every kind of field, or a list of serials.
 */
#include "fuzz.h"

#include "pki/profile.h"
#include "pki/serial_name.h"
#include "station/order.h"
#include "station/schema/schema.h"
#include "station/serial_list.h"

#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

/* libfyaml 0.7 loses 2 kB at a quoted key of many quotes. It reads one file in a program's life. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

struct item {
    char name[16];
    int64_t number;
};

struct all {
    char text[32];
    int64_t number;
    struct item one, many[4];
    size_t many_count;
};

static const struct schema_field item_fields[] = {
    {.name = "name",
     .type = SCHEMA_TEXT,
     .required = true,
     .offset = offsetof(struct item, name),
     .min = 1,
     .max = 15,
     .meaning = "a name"},
    {.name = "number",
     .type = SCHEMA_INT,
     .offset = offsetof(struct item, number),
     .min = -5,
     .max = 100,
     .meaning = "a number"},
    {.name = NULL},
};

static const struct schema_field all_fields[] = {
    {.name = "text",
     .type = SCHEMA_TEXT,
     .required = true,
     .offset = offsetof(struct all, text),
     .min = 0,
     .max = 31,
     .meaning = "a text"},
    {.name = "number",
     .type = SCHEMA_INT,
     .offset = offsetof(struct all, number),
     .min = 0,
     .max = INT64_MAX,
     .meaning = "a number"},
    {.name = "one",
     .type = SCHEMA_MAP,
     .offset = offsetof(struct all, one),
     .meaning = "a map",
     .fields = item_fields},
    {.name = "many",
     .type = SCHEMA_LIST,
     .offset = offsetof(struct all, many),
     .min = 1,
     .max = 4,
     .meaning = "a list",
     .fields = item_fields,
     .item_size = sizeof(struct item),
     .count_offset = offsetof(struct all, many_count)},
    {.name = NULL},
};

/* A file with these bytes. */
static const char *put_file(const uint8_t *p, size_t len)
{
    static int fd = -1;
    static char path[32];

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    FUZZ_ASSERT(ftruncate(fd, 0) == 0 && pwrite(fd, p, len, 0) == (ssize_t)len);
    return path;
}

static void fuzz_yaml(const uint8_t *p, size_t len)
{
    struct error err = ERROR_INIT;
    struct all all = {.many_count = 0};

    if (schema_read(put_file(p, len), all_fields, &all, &err)) {
        FUZZ_ASSERT(err.text[0] != 0);
        return;
    }
    FUZZ_ASSERT(strlen(all.text) <= 31 && all.number >= 0 && all.many_count <= 4);
    for (size_t i = 0; i < all.many_count; i++)
        FUZZ_ASSERT(all.many[i].name[0] && all.many[i].number >= -5 && all.many[i].number <= 100);
}

static void fuzz_order(const uint8_t *p, size_t len)
{
    struct error err = ERROR_INIT;
    static struct order order; /* large for a stack */

    if (order_parse("order.json", p, len, &order, &err)) {
        FUZZ_ASSERT(err.text[0] != 0);
        return;
    }
    FUZZ_ASSERT(order.id[0] && order.environment[0] && order.from <= order.until);
    FUZZ_ASSERT(order.counts.good <= order.counts.max_issued);
    FUZZ_ASSERT(order.station_count <= ORDER_STATIONS_MAX);
    FUZZ_ASSERT(order.vendor_root_count <= ORDER_VENDOR_ROOTS_MAX);
    FUZZ_ASSERT(order.suite_count > 0 && order.suite_count <= ORDER_SUITES_MAX);
}

/* What is taken is names there and back, no two alike. */
static void check_serial(const struct serial_list *list, const char *serial)
{
    char name[SERIAL_NAME_MAX + 1], back[SERIAL_TEXT_MAX + 1];

    FUZZ_ASSERT(serial_to_name(serial, name, NULL) == 0 && serial_valid(name, NULL) == 0);
    FUZZ_ASSERT(serial_from_name(name, back) && strcmp(back, serial) == 0);
    FUZZ_ASSERT(serial_list_has(list, serial));
}

static void fuzz_list(const uint8_t *p, size_t len)
{
    struct serial_list list = {.count = 0};
    struct error err = ERROR_INIT;
    char name[SERIAL_TEXT_MAX + 1], serial[SERIAL_TEXT_MAX + 1];

    if (serial_list_read(put_file(p, len), &list, &err))
        FUZZ_ASSERT(err.text[0] != 0);
    else
        for (size_t i = 0; i < list.count; i++) {
            check_serial(&list, list.at[i]);
            FUZZ_ASSERT(i == 0 || strcasecmp(list.sorted[i - 1], list.sorted[i]) < 0);
        }
    serial_list_done(&list);
    /* Any text as a name: it is that of one serial, or of none. */
    snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1),
             (const char *)p);
    if (serial_from_name(name, serial))
        FUZZ_ASSERT(serial_to_name(serial, name, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'o')
        fuzz_order(data + 1, size - 1);
    else if (size > 0 && data[0] == 'y')
        fuzz_yaml(data + 1, size - 1);
    else if (size > 0 && data[0] == 'l')
        fuzz_list(data + 1, size - 1);
    return 0;
}
