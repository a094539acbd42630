#include "station/opener/known.h"

#include "base/clock.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SERIAL_FOLDER "/sys/class/tty"
#define USB_FOLDER    "/dev/bus/usb"
#define AGAIN_MS      1000 /* from one failure to the next try */
#define SOON_MS       200  /* from the first failure */

struct known_port *known_find(struct known *known, const char *name)
{
    size_t i = 0;

    while (i < known->count && strcmp(known->list[i].name, name))
        i++;
    if (i == KNOWN_MAX)
        return NULL;
    if (i == known->count)
        snprintf(known->list[known->count++].name, sizeof known->list[i].name, "%s", name);
    return &known->list[i];
}

uint16_t known_number(const struct known *known, const struct known_port *k)
{
    return (uint16_t)(k - known->list);
}

void known_take_back(struct known *known, uint16_t number)
{
    if (number < known->count)
        known->list[number].given = false;
}

bool known_is_due(const struct known_port *k)
{
    return !k->given && clock_mono_ms() >= k->due;
}

void known_give(struct known_port *k)
{
    k->given = true;
    k->told = k->failures = 0;
    k->due = 0;
}

bool known_fail(struct known_port *k, int code, bool watching)
{
    bool tell;

    k->failures++;
    k->due = clock_mono_ms() + (k->failures == 1 ? SOON_MS : AGAIN_MS);
    tell = k->told != code && (!watching || k->failures > 1);
    if (tell)
        k->told = code;
    return tell;
}

/* FNV-1a: nobody gains by a collision, and the next change mends it. */
static void mix(uint64_t *sum, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        *sum = (*sum ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
}

/* Names in a folder, in whatever order; with links, where they lead. */
static uint64_t folder_sum(const char *folder, bool deeper)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    uint64_t all = 0;

    while (dir && (entry = readdir(dir))) {
        char path[PATH_MAX], target[PATH_MAX];
        uint64_t sum = UINT64_C(14695981039346656037);
        ssize_t len;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        len = readlink(path, target, sizeof target);
        mix(&sum, entry->d_name, strlen(entry->d_name));
        mix(&sum, target, len > 0 ? (size_t)len : 0);
        if (deeper)
            sum += folder_sum(path, false) * 31;
        all += sum;
    }
    if (dir)
        closedir(dir);
    return all;
}

uint64_t known_system(void)
{
    return folder_sum(SERIAL_FOLDER, false) ^ folder_sum(USB_FOLDER, true);
}
