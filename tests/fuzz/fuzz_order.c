/*
 * What an owner and an engineer write: byte 0 chooses a work order (JSON) or a YAML file, read by a
 * table with every kind of field.
 */
#include "fuzz.h"

#include "station/order.h"
#include "station/schema/schema.h"

#include <string.h>
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

static void fuzz_yaml(const uint8_t *p, size_t len)
{
    static int fd = -1;
    static char path[32];
    struct error err = ERROR_INIT;
    struct all all = {.many_count = 0};

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    FUZZ_ASSERT(ftruncate(fd, 0) == 0 && pwrite(fd, p, len, 0) == (ssize_t)len);
    if (schema_read(path, all_fields, &all, &err)) {
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'o')
        fuzz_order(data + 1, size - 1);
    else if (size > 0 && data[0] == 'y')
        fuzz_yaml(data + 1, size - 1);
    return 0;
}
