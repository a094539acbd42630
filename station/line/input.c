#include "station/line/input.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool input_is(const char *name)
{
    return strncmp(name, RULE_INPUT, strlen(RULE_INPUT)) == 0;
}

static int fail(const char *name, int saved, struct error *err)
{
    int code = saved == ENOENT || saved == ENODEV ? ERR_MISSING
               : saved == EBUSY                   ? ERR_BUSY
                                                  : ERR_IO;

    return error_set_native(err, code, saved, "cannot open '%s' for this station alone: %s", name,
                            strerror(saved));
}

int input_open(const char *name, int *fd, struct error *err)
{
    int opened = open(name + strlen(RULE_INPUT), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (opened < 0)
        return fail(name, errno, err);
    if (ioctl(opened, EVIOCGRAB, 1)) {
        int saved = errno;

        close(opened);
        return fail(name, saved, err);
    }
    *fd = opened;
    return 0;
}
