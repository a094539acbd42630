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
    return json_pack("{s:s, s:i, s:s, s:s}", "code", error_name(rc), "exit", error_exit_status(rc),
                     "message", err->message, "text", err->text);
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

int program_signatures(const struct program_args *args, struct signatures_policy *policy,
                       struct error *err)
{
    int rc = 0;

    *policy = (struct signatures_policy){0};
    for (size_t i = 0; rc == 0 && i < args->algorithm_count; i++)
        rc = signatures_require(policy, args->algorithms[i], err);
    return rc;
}

json_t *program_json_signatures(const struct signatures *s)
{
    json_t *verified = json_array(), *unknown = json_array();

    for (enum cms_algorithm a = 0; a < CMS_ALGORITHMS; a++)
        if (s->of[a].verified)
            json_array_append_new(verified,
                                  json_pack("{s:s, s:s}", "algorithm", cms_algorithm_name(a),
                                            "signer", s->of[a].who.subject));
    for (size_t i = 0; i < s->unknown_count; i++)
        json_array_append_new(unknown, json_string(s->unknown[i]));
    return json_pack("{s:o, s:o}", "verified", verified, "unknown", unknown);
}

void program_print_signatures(const struct signatures *s)
{
    for (enum cms_algorithm a = 0; a < CMS_ALGORITHMS; a++)
        if (s->of[a].verified)
            printf("  signature %s as well, by '%s'\n", cms_algorithm_name(a),
                   s->of[a].who.subject);
    for (size_t i = 0; i < s->unknown_count; i++)
        printf("  note      '%s' was not verified: its algorithm is unknown to this program\n",
               s->unknown[i]);
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
