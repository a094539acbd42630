#include "manifests/program.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_SPACING 200 /* milliseconds between two lines */

static bool printed_json;

bool program_printed_json(void)
{
    return printed_json;
}

json_t *program_json_error(int rc, const struct error *err)
{
    return json_pack("{s:s, s:i, s:s}", "code", error_name(rc), "exit", error_exit_status(rc),
                     "text", err->text);
}

int program_put(const struct program_args *args, const struct buf *bytes, struct error *err)
{
    const char *path = args->option[OPT_OUTPUT];

    if (path)
        return file_write(path, bytes->data, bytes->len, 0644, err);
    if (fwrite(bytes->data, 1, bytes->len, stdout) != bytes->len)
        return error_set(err, ERR_IO, "cannot write to standard output");
    return 0;
}

int program_print_json(json_t *value, struct error *err)
{
    int rc = 0;

    printed_json = true;
    if (!value || json_dumpf(value, stdout, JSON_COMPACT | JSON_SORT_KEYS) || putchar('\n') == EOF)
        rc = error_set(err, ERR_IO, "cannot write the result to standard output");
    json_decref(value);
    return rc;
}

json_t *program_json_time(int64_t utc)
{
    char text[CLOCK_TEXT_SIZE];

    clock_text(utc, text);
    return json_string(text);
}

json_t *program_json_hex(const uint8_t hash[SHA256_SIZE])
{
    char text[2 * SHA256_SIZE + 1];

    hex_encode(hash, SHA256_SIZE, text);
    return json_string(text);
}

json_t *program_json_root(const struct merkle_hash *root)
{
    struct buf text;
    json_t *value = NULL;

    buf_init(&text, 64);
    base64_put(&text, root->bytes, sizeof root->bytes);
    if (!buf_failed(&text))
        value = json_stringn((const char *)text.data, text.len);
    buf_done(&text);
    return value;
}

static bool progress_shown;

static void show_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    static int64_t last;
    int64_t now = clock_mono_ms();

    (void)ctx;
    if (now - last < PROGRESS_SPACING)
        return;
    last = now;
    progress_shown = true;
    fprintf(stderr, "\r%s %" PRIu64 " of %" PRIu64 "\x1b[K", what, done, total);
    fflush(stderr);
}

struct folder_progress program_progress(void)
{
    return (struct folder_progress){.report = isatty(STDERR_FILENO) ? show_progress : NULL};
}

void program_progress_end(void)
{
    if (progress_shown)
        fputs("\r\x1b[K", stderr);
    progress_shown = false;
}
