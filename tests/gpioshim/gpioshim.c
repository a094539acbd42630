/*
 * gpioshim: an LD_PRELOAD library in the place of libgpiod, for machines without GPIO.
 *
 * GPIOSHIM_DIR names a folder with a file for each line of the one chip 'gpiochip0': its first octet is the
 * level, 0 or 1. A line without a file does not exist; one that is requested twice is busy.
 */
#include <errno.h>
#include <fcntl.h>
#include <gpiod.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES 64

struct gpiod_line {
    unsigned int offset;
    int requested, low;
};

struct gpiod_chip {
    struct gpiod_line lines[LINES];
};

static int open_level(unsigned int offset)
{
    const char *dir = getenv("GPIOSHIM_DIR");
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%u", dir ? dir : "/nowhere", offset);
    return open(path, O_RDWR | O_CLOEXEC);
}

struct gpiod_chip *gpiod_chip_open_lookup(const char *descr)
{
    if (strcmp(descr, "gpiochip0") == 0)
        return calloc(1, sizeof(struct gpiod_chip));
    errno = ENOENT;
    return NULL;
}

void gpiod_chip_close(struct gpiod_chip *chip)
{
    free(chip);
}

struct gpiod_line *gpiod_chip_get_line(struct gpiod_chip *chip, unsigned int offset)
{
    int fd = offset < LINES ? open_level(offset) : -1;

    if (fd < 0) {
        errno = EINVAL;
        return NULL;
    }
    close(fd);
    chip->lines[offset].offset = offset;
    return &chip->lines[offset];
}

unsigned int gpiod_line_offset(struct gpiod_line *line)
{
    return line->offset;
}

static int request(struct gpiod_line *line, int flags)
{
    if (line->requested) {
        errno = EBUSY;
        return -1;
    }
    line->requested = 1;
    line->low = (flags & GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW) != 0;
    return 0;
}

int gpiod_line_request_input_flags(struct gpiod_line *line, const char *consumer, int flags)
{
    (void)consumer;
    return request(line, flags);
}

int gpiod_line_request_output_flags(struct gpiod_line *line, const char *consumer, int flags,
                                    int default_val)
{
    (void)consumer;
    return request(line, flags) ? -1 : gpiod_line_set_value(line, default_val);
}

int gpiod_line_get_value(struct gpiod_line *line)
{
    int fd = open_level(line->offset), level = -1;
    char octet;

    if (fd >= 0 && read(fd, &octet, 1) == 1)
        level = (octet == '1') != line->low;
    if (fd >= 0)
        close(fd);
    return level;
}

int gpiod_line_set_value(struct gpiod_line *line, int value)
{
    int fd = open_level(line->offset), rc;
    char octet = (value != 0) != line->low ? '1' : '0';

    rc = fd >= 0 && pwrite(fd, &octet, 1, 0) == 1 ? 0 : -1;
    if (fd >= 0)
        close(fd);
    return rc;
}
