/*
 * order_stations: the stations of an order and their shares. Private to station/order.c.
 */
#ifndef STATION_ORDER_STATIONS_H
#define STATION_ORDER_STATIONS_H

#include "station/order.h"
#include "station/order_json.h"

/* good, max_issued, spoilage and rework of object. Errors: ERR_INPUT. */
MUST_USE int order_counts_members(const struct order_source *s, const json_t *object,
                                  struct order_counts *counts);

/* The list of stations; counts are there. Checks all invariants of order.h. Errors: ERR_INPUT. */
MUST_USE int order_stations_member(const struct order_source *s, const json_t *root,
                                   struct order *order);

#endif
