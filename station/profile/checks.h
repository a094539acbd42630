/*
 * checks: what the schema of a profile cannot say by itself. Private to station/profile.
 *
 * Functions of type schema_check (station/schema/schema.h); check_ascii is for the file's bytes.
 */
#ifndef STATION_PROFILE_CHECKS_H
#define STATION_PROFILE_CHECKS_H

#include "base/error.h"

#include <stddef.h>

int check_ascii(const char *source, const void *text, size_t len, struct error *err);

/* Of texts. */
int check_name(const void *value, const char **member, struct error *err);
int check_title(const void *value, const char **member, struct error *err);
int check_not_before(const void *value, const char **member, struct error *err);
int check_not_after(const void *value, const char **member, struct error *err);
int check_pattern(const void *value, const char **member, struct error *err);
int check_uri(const void *value, const char **member, struct error *err);
int check_oid(const void *value, const char **member, struct error *err);
int check_extension_oid(const void *value, const char **member, struct error *err);
int check_key_type(const void *value, const char **member, struct error *err);
int check_signature(const void *value, const char **member, struct error *err);
int check_usage(const void *value, const char **member, struct error *err);
int check_purpose(const void *value, const char **member, struct error *err);
int check_method(const void *value, const char **member, struct error *err);
int check_version(const void *value, const char **member, struct error *err);

/* Of maps and of items of lists. */
int check_validity(const void *value, const char **member, struct error *err);
int check_attribute(const void *value, const char **member, struct error *err);
int check_issuer_attribute(const void *value, const char **member, struct error *err);
int check_alt_name(const void *value, const char **member, struct error *err);
int check_constraints(const void *value, const char **member, struct error *err);
int check_usages(const void *value, const char **member, struct error *err);
int check_purposes(const void *value, const char **member, struct error *err);
int check_extension(const void *value, const char **member, struct error *err);

/* Of the whole profile: what fields say together. */
int check_profile_whole(const void *value, const char **member, struct error *err);

#endif
