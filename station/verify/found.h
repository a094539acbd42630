/*
 * found: the record and the evidence of one transaction, looked for in manifests.
 *
 * Nothing of it is believed because it was found: what makes a record count is that the whitelist has its
 * certificate (accepted.h), and what makes evidence count is that the device signs over it now.
 */
#ifndef STATION_VERIFY_FOUND_H
#define STATION_VERIFY_FOUND_H

#include "manifests/evidence.h"

/* found_done in any case; starts as zero. */
struct found {
    bool found;
    struct record record; /* an `add` or `replace` */
    struct evidence evidence;
    struct buf issuers; /* certificates of chain.pem beside it: lp(DER) each */
};

/*
 * Reads the manifests in the folder (folders.h) until one has the transaction; f->found
 * tells whether. One pass over the lines of a manifest: a second for half a gigabyte. Errors: ERR_INTEGRITY
 * when record and evidence do not belong together; those of folder_lines_next and folders_each.
 */
MUST_USE int found_search(const char *manifests, const uint8_t tx[IMPRINT_TX_SIZE], struct found *f,
                          struct error *err);
void found_done(struct found *f);

#endif
