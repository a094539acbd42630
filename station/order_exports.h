/*
 * order_exports: the platforms that an order's devices are exported to, and their rules.
 *
 * A serial or profile that a platform would refuse is refused when the order and the job are read, not
 * when ten thousand devices have it. manifests/platforms/platform.h has the platforms.
 */
#ifndef STATION_ORDER_EXPORTS_H
#define STATION_ORDER_EXPORTS_H

#include "station/order.h"
#include "station/order_json.h"

/* The member "exports", once the stations were read: no serial of theirs may break a rule. */
MUST_USE int order_exports_member(const struct order_source *s, const json_t *root,
                                  struct order *order);

/* One serial, such as a scanned one, against every platform. Errors: ERR_REFUSED. */
MUST_USE int order_exports_serial(const struct order *order, const char *serial, struct error *err);

/*
 * A certificate of the profile, as a device would get it, against every platform. values: those of
 * the job and its order. Errors: ERR_REFUSED; those of sample_make.
 */
MUST_USE int order_exports_profile(const struct order *order, const struct cert_profile *profile,
                                   const char *const values[VALUE_COUNT], struct error *err);

#endif
