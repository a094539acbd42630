/*
 * agent_fixture: what the test programs of the agent share: a device, a station with two
 * credentials, and an assertion for the status that the device answers with.
 */
#ifndef TESTS_AGENT_FIXTURE_H
#define TESTS_AGENT_FIXTURE_H

#include "agent_rig.h"
#include "check_util.h"

static struct rig rig;
static struct rig_station station, other;
static struct link_hello hello;
static struct error err;

/* A new device, and a station with two credentials. */
static inline void begin_test(void)
{
    err = (struct error)ERROR_INIT;
    rig_station_init(&station, "SN-0001");
    rig_station_next(&other, &station, "SN-0002");
    rig_init(&rig, station.authority_point);
}

static inline void end_test(void)
{
    rig_done(&rig);
    rig_station_done(&station);
    rig_station_done(&other);
}

/* A device that said hello, and a bundle for it. */
static inline void prepared(uint16_t suite)
{
    begin_test();
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare(&station, &hello, suite);
}

#define ASSERT_STATUS(call, status)                                                                \
    do {                                                                                           \
        int refused_rc = (call);                                                                   \
        ck_assert_msg(refused_rc == ERR_REFUSED && err.native == (status), "%s: %s (%ld): %s",     \
                      #call, error_name(refused_rc), err.native, err.text);                        \
    } while (0)

#endif
