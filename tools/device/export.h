/*
 * export: what a simulated device really holds, as files, for tests to compare with what the
 * station believes.
 */
#ifndef DEVICE_EXPORT_H
#define DEVICE_EXPORT_H

#include "base/error.h"

/*
 * Writes key.pem, certificates.pem, trust-anchors.pem, serial, transaction and state into the
 * folder out, which is created if need be; the store is only read. Errors: ERR_MISSING when the
 * device holds no identity (then only state is written), and those of the files.
 */
MUST_USE int export_identity(const char *store_dir, const char *out_dir, struct error *err);

#endif
