/*
 * shim_util: for tests that need pseudo-terminals to look like serial ports.
 *
 * SHIM_MAIN is CHECK_MAIN for a program that runs under the ttyshim library: it starts itself again
 * with the library preloaded. A test then sets TTYSHIM_DIR to its folder with shim_dir().
 */
#ifndef TESTS_SHIM_UTIL_H
#define TESTS_SHIM_UTIL_H

#include "check_util.h"

#include "base/file.h"
#include "station/line/serial.h"
#include "station/line/stream.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define SHIM_MAIN(name, ...)                                                                       \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
                                                                                                   \
        struct check_item items[sizeof tests / sizeof *tests];                                     \
        (void)argc;                                                                                \
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)                                  \
            items[i] = ONCE(tests[i]);                                                             \
        if (shim_restart(argv))                                                                    \
            return EXIT_FAILURE;                                                                   \
        return check_run(name, items, sizeof items / sizeof *items);                               \
    }

/* Starts this program again under the shim; 0 when it runs under it already. */
static inline int shim_restart(char **argv)
{
    const char *preload = getenv("LD_PRELOAD");
    char path[PATH_MAX] = "";

    if (preload && strstr(preload, TTYSHIM))
        return 0;
    setenv("LD_PRELOAD", TTYSHIM, 1);
    /* The library is not instrumented and comes before the sanitizer's runtime. */
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
    (void)!readlink("/proc/self/exe", path, sizeof path - 1);
    execv(path, argv);
    perror("cannot run again under " TTYSHIM);
    return -1;
}

/* Makes a folder for this test and tells the shim. dir holds the template and then the name. */
static inline void shim_dir(char *dir)
{
    strcpy(dir, "/tmp/imprint-shim-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    setenv("TTYSHIM_DIR", dir, 1);
}

static inline void shim_dir_remove(const char *dir)
{
    struct error err = ERROR_INIT;

    ASSERT_OK(file_remove_tree(dir, &err), err);
}

/* Opens a serial port as opener and line do between them. */
static inline int open_transport(const char *name, int baud, struct transport **t,
                                 struct error *err)
{
    int fd, rc = serial_open(name, baud, &fd, err);

    return rc ? rc : stream_open(fd, STREAM_SERIAL, name, t, err);
}

#endif
