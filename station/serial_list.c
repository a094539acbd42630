#include "station/serial_list.h"

#include "base/file.h"
#include "pki/serial_name.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_BYTES (SERIAL_TEXT_MAX + 1)

static int wrong(const char *path, size_t line, size_t column, const char *what, struct error *err)
{
    return error_set(err, ERR_INPUT, "%s:%zu:%zu: %s", path, line, column, what);
}

/* What people and programs put into such files most often, said in its own words. */
static int check_line(const char *path, const char *text, size_t line, struct error *err)
{
    const char *cr = strchr(text, '\r'), *blank = strpbrk(text, " \t");
    int rc;

    if (line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
        return wrong(path, 1, 1, "the file begins with a byte order mark: write it without one",
                     err);
    if (cr)
        return wrong(path, line, (size_t)(cr - text) + 1,
                     "the line ends with CR and LF: write the file with LF alone", err);
    if (!*text)
        return wrong(path, line, 1, "the line is empty: each line is one serial", err);
    if (blank)
        return wrong(path, line, (size_t)(blank - text) + 1,
                     "there is a blank: each line is one serial and nothing else", err);
    rc = serial_check(text, err);
    return rc ? error_prefix(err, "%s:%zu:1", path, line) : 0;
}

static size_t count_lines(const struct buf *text)
{
    size_t lines = text->len > 0 && text->data[text->len - 1] != '\n';

    for (size_t i = 0; i < text->len; i++)
        lines += text->data[i] == '\n';
    return lines;
}

/* Cuts the text into lines; a NUL in it is a character that no serial holds. */
static int split(const char *path, struct serial_list *list, struct error *err)
{
    char *p = (char *)list->text.data, *end = p + list->text.len;

    for (size_t line = 1; p < end; line++) {
        char *next = memchr(p, '\n', (size_t)(end - p));

        if (!next)
            next = end; /* the NUL behind the text */
        *next = 0;
        if (strlen(p) != (size_t)(next - p))
            return wrong(path, line, strlen(p) + 1, "there is a byte 0", err);
        if (check_line(path, p, line, err))
            return ERR_INPUT;
        list->at[list->count++] = p;
        p = next + 1;
    }
    return 0;
}

/* By name, and among those that differ in nothing but case, or in nothing, by place. */
static int compare(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int order = strcasecmp(x, y);

    return order ? order : (x > y) - (x < y);
}

static size_t line_of(const struct serial_list *list, const char *text)
{
    size_t low = 0, high = list->count;

    while (high - low > 1) { /* at is in the order of the text */
        size_t middle = (low + high) / 2;

        if (list->at[middle] <= text)
            low = middle;
        else
            high = middle;
    }
    return low + 1;
}

static int check_doubles(const char *path, struct serial_list *list, struct error *err)
{
    memcpy(list->sorted, list->at, list->count * sizeof *list->sorted);
    qsort(list->sorted, list->count, sizeof *list->sorted, compare);
    for (size_t i = 1; i < list->count; i++)
        if (strcasecmp(list->sorted[i - 1], list->sorted[i]) == 0)
            return error_set(err, ERR_INPUT, "%s:%zu:1: '%s' stands in line %zu already", path,
                             line_of(list, list->sorted[i]), list->sorted[i],
                             line_of(list, list->sorted[i - 1]));
    return 0;
}

static int parse(const char *path, struct serial_list *list, struct error *err)
{
    size_t lines = count_lines(&list->text);
    int rc;

    if (lines == 0 || lines > SERIAL_LIST_MAX)
        return error_set(err, ERR_INPUT, "'%s' has %zu lines: a list holds 1 to %d serials", path,
                         lines, SERIAL_LIST_MAX);
    buf_put_u8(&list->text, 0);
    list->at = calloc(lines, sizeof *list->at);
    list->sorted = calloc(lines, sizeof *list->sorted);
    if (!list->at || !list->sorted || buf_failed(&list->text))
        return error_set(err, ERR_INTERNAL, "out of memory");
    list->text.len--;
    rc = split(path, list, err);
    return rc ? rc : check_doubles(path, list, err);
}

int serial_list_read(const char *path, struct serial_list *list, struct error *err)
{
    int rc;

    buf_init(&list->text, (size_t)SERIAL_LIST_MAX * LINE_MAX_BYTES + 1);
    rc = file_read(path, &list->text, err);
    if (rc)
        return rc;
    sha256(list->text.data, list->text.len, list->hash);
    return parse(path, list, err);
}

void serial_list_done(struct serial_list *list)
{
    free(list->at);
    free(list->sorted);
    buf_done(&list->text);
    memset(list, 0, sizeof *list);
}

static int compare_key(const void *key, const void *member)
{
    return strcasecmp(key, *(const char *const *)member);
}

bool serial_list_has(const struct serial_list *list, const char *serial)
{
    const char **found =
        list->count ? bsearch(serial, list->sorted, list->count, sizeof *list->sorted, compare_key)
                    : NULL;

    return found && strcmp(*found, serial) == 0;
}
