/*
 * source: the devices of a manifest's folder, for an export.
 *
 * The files must be those that manifest.json lists, and an issuer the one that its record names. That
 * manifest.json is genuine is the caller's to know, who says of each record whether to export it.
 */
#ifndef MANIFESTS_PLATFORM_SOURCE_H
#define MANIFESTS_PLATFORM_SOURCE_H

#include "manifests/folder.h"
#include "manifests/platforms/export.h"

#define SOURCE_TAKE (-1) /* what judge() answers, or an enum export_left, or SOURCE_SKIP */
#define SOURCE_SKIP (-2) /* not counted: not asked for */

struct source_policy {
    /* Answers for an add or replace record into *answer. */
    int (*judge)(void *context, const struct record *r, uint64_t index, int *answer,
                 struct error *err);
    /* Of a secret format: the key of a device that judge lets through, or in *answer an enum export_left.
     * The caller wipes key. */
    int (*key)(void *context, const struct record *r, uint8_t key[PLATFORM_KEY_SIZE], int *answer,
               struct error *err);
    void *context;
    const char *product;             /* only this one, or NULL */
    struct folder_progress progress; /* zero for none */
};

/*
 * Exports the devices of the folder whose manifest.json has these bytes. Errors: those of judge,
 * export_device, statement_parse, folder_check and folder_lines_next; ERR_INCOMPLETE when chain.pem lacks an
 * issuer.
 */
MUST_USE int source_export(const char *dir, const struct buf *manifest,
                           const struct source_policy *policy, struct export *e, struct error *err);

#endif
