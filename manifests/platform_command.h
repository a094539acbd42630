/*
 * platform_command: `imprint-manifest export` for a platform.
 */
#ifndef MANIFESTS_PLATFORM_COMMAND_H
#define MANIFESTS_PLATFORM_COMMAND_H

#include "manifests/program.h"

/* Errors: ERR_USAGE for a format that is not known, and those of the export. */
MUST_USE int program_export_platform(const struct program_args *args, const char *format,
                                     struct error *err);

#endif
