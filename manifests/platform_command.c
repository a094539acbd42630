/* imprint-manifest export for platforms, and formats. */
#include "manifests/platform_command.h"

#include "base/plural.h"
#include "manifests/platforms/signer_file.h"
#include "manifests/state_program.h"
#include "manifests/trust/exportable.h"

#include <inttypes.h>
#include <string.h>

static const char *const left_names[] = {
#define LEFT_NAME(name, member) [name] = member,
    EXPORT_LEFT_LIST(LEFT_NAME)
#undef LEFT_NAME
};

static int export_folder(const struct program_args *args, const char *dir, struct trust *t,
                         struct export *e, struct error *err)
{
    struct exportable x;
    struct source_policy policy = {.judge = exportable_judge,
                                   .context = &x,
                                   .product = args->option[OPT_PRODUCT],
                                   .progress = program_progress()};
    struct buf bytes;
    int rc;

    buf_init(&bytes, STATEMENT_MAX);
    rc = folder_read(dir, MANIFEST_NAME, &bytes, err);
    if (rc == 0)
        rc = exportable_open(t, &bytes, &x, err);
    if (rc == 0)
        rc = source_export(dir, &bytes, &policy, e, err);
    program_progress_end();
    buf_done(&bytes);
    return rc ? error_prefix(err, "'%s'", dir) : 0;
}

static int export_all(const struct program_args *args, const struct platform_run *run,
                      struct export_report *report, struct error *err)
{
    struct export *e = NULL;
    struct trust *t = NULL;
    int rc = program_open_state(args, TRUST_READ, &t, err);

    if (rc == 0)
        rc = export_begin(run, args->option[OPT_OUTPUT], &e, err);
    for (int i = 0; rc == 0 && i < args->operands; i++)
        rc = export_folder(args, args->operand[i], t, e, err);
    if (rc)
        export_abort(e);
    else
        rc = export_finish(e, NULL, report, err);
    trust_close(t);
    return rc;
}

static json_t *json_report(const struct program_args *args, const char *format,
                           const struct export_report *report)
{
    json_t *left = json_object();

    for (size_t i = 0; i < EXPORT_LEFT_COUNT; i++)
        json_object_set_new(left, left_names[i], json_integer((json_int_t)report->left[i]));
    return json_pack("{s:s, s:I, s:I, s:o, s:s}", "format", format, "devices",
                     (json_int_t)report->devices, "files", (json_int_t)report->files, "left_out",
                     left, "folder", args->option[OPT_OUTPUT]);
}

static void print_report(const struct program_args *args, const char *format,
                         const struct export_report *report)
{
    printf("exported: %" PRIu64 " device%s for '%s', %" PRIu64 " file%s in '%s'\n", report->devices,
           PLURAL(report->devices), format, report->files, PLURAL(report->files),
           args->option[OPT_OUTPUT]);
    for (size_t i = 0; i < EXPORT_LEFT_COUNT; i++)
        if (report->left[i])
            printf("  left out  %" PRIu64 " %s\n", report->left[i], left_names[i]);
}

static int check_usage(const struct program_args *args, const struct export_format *p,
                       const char *format, struct error *err)
{
    if (!p)
        return error_set(err, ERR_USAGE, "there is no format '%s': there are csv, json, %s", format,
                         platform_names());
    if (p->secret)
        return error_set(err, ERR_USAGE,
                         "the format '%s' holds secret keys, which only the station has: 'imprint "
                         "seal --export %s'",
                         format, format);
    if (!args->option[OPT_OUTPUT] || args->operands == 0)
        return error_set(err, ERR_USAGE,
                         "the format '%s' needs --output for a new folder, and the manifests whose "
                         "devices to export",
                         format);
    if (p->signs != (args->option[OPT_KEY] && args->option[OPT_CERT]) ||
        !args->option[OPT_KEY] != !args->option[OPT_CERT])
        return error_set(err, ERR_USAGE,
                         p->signs ? "the format '%s' is signed: it needs --key and --cert"
                                  : "the format '%s' is not signed: leave out --key and --cert",
                         format);
    return 0;
}

int program_export_platform(const struct program_args *args, const char *format, struct error *err)
{
    struct platform_run run = {.platform = platform_find(format)};
    struct signer signer = {.key = NULL};
    struct export_report report = {.devices = 0};
    int rc = check_usage(args, run.platform, format, err);

    if (rc == 0)
        rc = export_settings(&run, args->sets, args->set_count, err);
    if (rc == 0 && run.platform->signs) {
        rc = program_read_key(args->option[OPT_KEY], &signer.key, err);
        if (rc == 0)
            rc = signer_file_read(args->option[OPT_CERT], &signer, err);
        run.signer = &signer;
    }
    if (rc == 0)
        rc = export_all(args, &run, &report, err);
    signer_file_done(&signer);
    EVP_PKEY_free(signer.key);
    if (rc)
        return rc;
    if (program_json(args))
        return program_print_json(json_report(args, format, &report), err);
    print_report(args, format, &report);
    return 0;
}

/* ---- formats ---- */

static json_t *json_settings(const struct platform_setting *s)
{
    json_t *list = json_array();

    for (; s && s->name; s++)
        json_array_append_new(list, json_pack("{s:s, s:s?, s:s}", "name", s->name, "standard",
                                              s->standard, "help", s->help));
    return list;
}

static int formats_json(struct error *err)
{
    json_t *list = json_array();

    for (size_t i = 0; export_formats[i]; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:b, s:b, s:I, s:o}", "name", export_formats[i]->name,
                            "help", export_formats[i]->help, "signed", export_formats[i]->signs,
                            "station_only", export_formats[i]->secret, "per_file",
                            (json_int_t)export_formats[i]->per_file, "settings",
                            json_settings(export_formats[i]->settings)));
    return program_print_json(json_pack("{s:o}", "formats", list), err);
}

int program_formats(const struct program_args *args, struct error *err)
{
    if (program_json(args))
        return formats_json(err);
    for (size_t i = 0; export_formats[i]; i++) {
        printf("%-16s %s\n", export_formats[i]->name, export_formats[i]->help);
        if (export_formats[i]->secret)
            printf("  made by the station alone: 'imprint seal --export %s'\n",
                   export_formats[i]->name);
        for (const struct platform_setting *s = export_formats[i]->settings; s && s->name; s++)
            printf("  --set %s=...  %s%s\n", s->name, s->help, s->standard ? "" : " (required)");
    }
    return 0;
}
