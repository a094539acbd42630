#include "station/vault/scan.h"

#include "station/vault/naming.h"

#include <string.h>
#include <strings.h>

const struct scan *scans_find(const struct scans *scans, const char *slot)
{
    for (size_t i = 0; scans && i < scans->count; i++)
        if (strcmp(scans->at[i].slot, slot) == 0)
            return &scans->at[i];
    return NULL;
}

void scans_use(struct scans *scans, const char *slot)
{
    const struct scan *found = scans_find(scans, slot);

    if (found)
        scans->at[found - scans->at].used = true;
}

static void take_back(struct scans *scans, const struct scan *scan)
{
    size_t at = (size_t)(scan - scans->at);

    scans->count--;
    memmove(&scans->at[at], &scans->at[at + 1], (scans->count - at) * sizeof *scans->at);
}

/* ---- one line ---- */

static int split(const struct vault *v, const char *line, struct scan *scan, struct error *err)
{
    size_t len = strlen(line), slot;
    const char *blank;

    while (len > 0 && strchr(" \t\r\n", line[len - 1]))
        len--;
    blank = memrchr(line, ' ', len);
    slot = blank ? (size_t)(blank - line) : 0;
    while (slot > 0 && line[slot - 1] == ' ')
        slot--;
    if (slot == 0 || slot >= sizeof scan->slot)
        return error_set(err, ERR_INPUT,
                         "expected the slot, a blank and the serial, such as 'S1 PUMP-0000001'");
    *scan = (struct scan){.used = false};
    memcpy(scan->slot, line, slot);
    scan->slot[slot] = 0;
    return job_label_serial(&v->job->label, v->order, blank + 1, (size_t)(line + len - blank - 1),
                            0, scan->serial, err);
}

/* Of the label "S{n}" each S1, S2 and so on is a slot. */
static bool fits_rule(const char *label, const char *slot)
{
    const char *n = strstr(label, "{n}");
    size_t before = n ? (size_t)(n - label) : 0, digits;

    if (!n)
        return strcmp(label, slot) == 0;
    if (strncmp(label, slot, before))
        return false;
    digits = strspn(slot + before, "0123456789");
    return digits > 0 && slot[before] != '0' && strcmp(slot + before + digits, n + 3) == 0;
}

/* The first slot of the first rule, as it is printed on the fixture. */
static void example_slot(const struct job *job, char slot[64])
{
    const char *label = job->ports[0].slot, *n = strstr(label, "{n}");

    if (n)
        snprintf(slot, 64, "%.*s1%s", (int)(n - label), label, n + 3);
    else
        snprintf(slot, 64, "%s", label);
}

int scan_check_slot(const struct job *job, const char *slot, struct error *err)
{
    char example[64];

    for (size_t i = 0; i < job->port_count; i++)
        if (fits_rule(job->ports[i].slot, slot))
            return 0;
    example_slot(job, example);
    return error_set(
        err, ERR_INPUT,
        "the job has no slot '%s': type the label that is printed on the fixture, such "
        "as '%s'",
        slot, example);
}

static int check_doubles(const struct scans *scans, const struct scan *scan, struct error *err)
{
    const struct scan *before = scans_find(scans, scan->slot);

    if (before)
        return error_set(err, ERR_DUPLICATE, "slot '%s' has the label '%s' already", scan->slot,
                         before->serial);
    for (size_t i = 0; i < scans->count; i++)
        if (strcasecmp(scans->at[i].serial, scan->serial) == 0)
            return error_set(err, ERR_DUPLICATE,
                             "the serial '%s' was scanned for slot '%s' already: no two units have "
                             "the same",
                             scan->serial, scans->at[i].slot);
    return 0;
}

/* One that another device has may be this very device, which comes back: HELLO will tell. */
static int check_known(const struct vault *v, const char *serial, struct error *err)
{
    int64_t replaces;
    bool again;
    int rc = naming_judge(v, serial, &again, &replaces, err);

    return rc == ERR_DUPLICATE ? 0 : rc;
}

int scans_add(struct scans *scans, const struct vault *v, const char *line, struct error *err)
{
    struct scan scan;
    int rc = split(v, line, &scan, err);

    if (rc == 0)
        rc = scan_check_slot(v->job, scan.slot, err);
    if (rc == 0)
        rc = job_serials_allow(&v->job->serials, &v->share->serials, v->order, scan.serial, err);
    if (rc == 0)
        rc = check_doubles(scans, &scan, err);
    if (rc == 0)
        rc = check_known(v, scan.serial, err);
    if (rc == 0 && scans->count == SCANS_MAX)
        rc = error_set(err, ERR_INPUT, "more than %d labels", SCANS_MAX);
    if (rc == 0)
        scans->at[scans->count++] = scan;
    return rc;
}

/* ---- all lines ---- */

/* The next line without its end, cut at size - 1; false at the end of the input. Of a longer line the
 * rest is read and *whole is false; a byte 0 is none of a line either. */
static bool next_line(FILE *in, char *line, size_t size, bool *whole)
{
    size_t len = 0;
    int c;

    *whole = true;
    while ((c = getc(in)) != EOF && c != '\n')
        if (len + 1 < size && c != 0)
            line[len++] = (char)c;
        else
            *whole = false;
    line[len] = 0;
    return c != EOF || len > 0 || !*whole;
}

static bool is_empty(const char *line)
{
    return line[strspn(line, " \t\r")] == 0;
}

static void prompt(const struct scans *scans, const struct vault *v)
{
    char example[64];

    example_slot(v->job, example);
    if (scans->count == 0)
        fprintf(stderr,
                "scan or type the slot and the serial of each unit, such as '%s PUMP-0000001';\n"
                "the same slot again corrects its label, the slot alone takes it back;\n"
                "an empty line begins with the units that were scanned\n",
                example);
    fprintf(stderr, "slot and serial> ");
}

/* ---- what a person does at the prompt ---- */

/* A line of nothing but a slot that has a label. */
static bool takes_back(struct scans *scans, const char *line)
{
    char slot[SCAN_LINE_MAX + 1];
    const struct scan *found;
    size_t len;

    strcpy(slot, line);
    for (len = strlen(slot); len > 0 && strchr(" \t\r\n", slot[len - 1]); len--)
        slot[len - 1] = 0;
    found = scans_find(scans, slot);
    if (!found)
        return false;
    fprintf(stderr, "slot '%s': the label '%s' is taken back\n", slot, found->serial);
    take_back(scans, found);
    return true;
}

/* Another label for a slot takes the place of the one before, if it is good. */
static int correct(struct scans *scans, const struct vault *v, const char *line, struct error *err)
{
    struct scan scan, before = {.used = false};
    const struct scan *found = split(v, line, &scan, NULL) ? NULL : scans_find(scans, scan.slot);
    int rc;

    if (found) {
        before = *found;
        take_back(scans, found);
    }
    rc = scans_add(scans, v, line, err);
    if (rc && found)
        scans->at[scans->count++] = before;
    else if (found)
        fprintf(stderr, "slot '%s': '%s' in place of '%s'\n", scan.slot, scan.serial,
                before.serial);
    return rc;
}

/* Whether a person can put it right by another line. */
static bool is_mistake(int rc)
{
    return rc == ERR_INPUT || rc == ERR_REFUSED || rc == ERR_DUPLICATE;
}

static int take_line(struct scans *scans, const struct vault *v, const char *line, bool whole,
                     bool ask, struct error *err)
{
    if (!whole)
        return error_set(err, ERR_INPUT, "the line is longer than %d bytes, or has a byte 0",
                         SCAN_LINE_MAX);
    if (!ask)
        return scans_add(scans, v, line, err);
    return takes_back(scans, line) ? 0 : correct(scans, v, line, err);
}

int scans_read(struct scans *scans, const struct vault *v, FILE *in, const char *source, bool ask,
               struct error *err)
{
    char line[SCAN_LINE_MAX + 1];
    bool whole;

    for (size_t number = 1;; number++) {
        int rc;

        if (ask)
            prompt(scans, v);
        if (!next_line(in, line, sizeof line, &whole) || (whole && is_empty(line)))
            break;
        rc = take_line(scans, v, line, whole, ask, err);
        if (rc && (!ask || !is_mistake(rc)))
            return is_mistake(rc) ? error_prefix(err, "%s: line %zu", source, number) : rc;
        if (rc)
            fprintf(stderr, "imprint: %s; scan it again\n", err->text);
    }
    if (ferror(in))
        return error_set(err, ERR_IO, "cannot read labels from %s", source);
    return 0;
}
