/*
 * Runs a fuzz target over every file of some folders, without libFuzzer: each input that was once
 * interesting stays a test.
 */
#include "fuzz.h"

#include "base/file.h"

#include <dirent.h>
#include <limits.h>

#define INPUT_MAX (1024 * 1024)

static int replay_file(const char *path)
{
    struct error err = ERROR_INIT;
    struct buf input;
    uint8_t *exact;
    int rc;

    buf_init(&input, INPUT_MAX);
    rc = file_read(path, &input, &err);
    if (rc)
        fprintf(stderr, "replay: %s\n", err.text);
    /* A copy of exactly its size, so that a read past the end is seen. */
    exact = rc == 0 ? malloc(input.len ? input.len : 1) : NULL;
    for (size_t i = 0; exact && i < input.len; i++)
        exact[i] = input.data[i];
    if (exact)
        (void)LLVMFuzzerTestOneInput(exact, input.len);
    free(exact);
    buf_done(&input);
    return rc;
}

/* The number of inputs, or -1. */
static int replay_folder(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char path[PATH_MAX];
    int count = 0;

    while (d && count >= 0 && (entry = readdir(d))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        count = replay_file(path) ? -1 : count + 1;
    }
    if (d)
        closedir(d);
    return count;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);

        printf("%s: %d inputs\n", argv[i], count);
        if (count < 1)
            return EXIT_FAILURE;
    }
    return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
