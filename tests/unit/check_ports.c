/* Port rules: which port is which slot. */
#include "check_util.h"

#include "station/line/ports.h"

#include <stdio.h>
#include <string.h>

static struct ports ports;

static void list(const char *const *names)
{
    memset(&ports, 0, sizeof ports);
    for (; *names; names++)
        snprintf(ports.list[ports.count++].name, PORT_NAME_MAX + 1, "%s", *names);
}

static const char *slot_of(const char *name)
{
    for (size_t i = 0; i < ports.count; i++)
        if (strcmp(ports.list[i].name, name) == 0)
            return ports.list[i].slot;
    return "no such port";
}

START_TEST(slots_are_counted_in_the_natural_order_of_names)
{
    static const char *const names[] = {"/dev/ttyACM10", "/dev/ttyACM2", "/dev/ttyACM1", NULL};
    static const struct port_rule rules[] = {{"/dev/ttyACM*", "A{n}-left", 9600}};
    struct error err = ERROR_INIT;

    list(names);
    ASSERT_OK(ports_assign(rules, 1, &ports, &err), err);
    ck_assert_uint_eq(ports.slots, 3);
    ck_assert_str_eq(slot_of("/dev/ttyACM1"), "A1-left");
    ck_assert_str_eq(slot_of("/dev/ttyACM2"), "A2-left");
    ck_assert_str_eq(slot_of("/dev/ttyACM10"), "A3-left");
    ck_assert_int_eq(ports.list[0].baud, 9600);
}
END_TEST

START_TEST(the_first_rule_wins_and_others_are_no_slots)
{
    static const char *const names[] = {"/dev/ttyS0", "/dev/ttyUSB0", "/dev/ttyUSB1", NULL};
    static const struct port_rule rules[] = {{"/dev/ttyUSB1", "QA", 1},
                                             {"/dev/ttyUSB*", "B{n}", 2}};
    struct error err = ERROR_INIT;

    list(names);
    ASSERT_OK(ports_assign(rules, 2, &ports, &err), err);
    ck_assert_uint_eq(ports.slots, 2);
    ck_assert_str_eq(slot_of("/dev/ttyS0"), "");
    ck_assert_str_eq(slot_of("/dev/ttyUSB0"), "B1");
    ck_assert_str_eq(slot_of("/dev/ttyUSB1"), "QA");
}
END_TEST

START_TEST(two_ports_never_get_one_label)
{
    static const char *const names[] = {"/dev/ttyUSB0", "/dev/ttyUSB1", NULL};
    static const struct port_rule same[] = {{"/dev/ttyUSB*", "B", 1}};
    static const struct port_rule across[] = {{"/dev/ttyUSB0", "B1", 1},
                                              {"/dev/ttyUSB1", "B{n}", 1}};
    struct error err = ERROR_INIT;

    list(names);
    ASSERT_FAILS(ports_assign(same, 1, &ports, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "/dev/ttyUSB0"));
    list(names);
    ASSERT_FAILS(ports_assign(across, 2, &ports, &err), ERR_INPUT);
}
END_TEST

START_TEST(a_label_that_grows_too_long_is_refused)
{
    static const char *const names[] = {"/dev/ttyUSB0", NULL};
    static const struct port_rule rules[] = {
        {"/dev/ttyUSB0", "0123456789012345678901234567890{n}x", 1}};
    struct error err = ERROR_INIT;

    list(names);
    ASSERT_FAILS(ports_assign(rules, 1, &ports, &err), ERR_INPUT);
}
END_TEST

CHECK_MAIN("ports", slots_are_counted_in_the_natural_order_of_names,
           the_first_rule_wins_and_others_are_no_slots, two_ports_never_get_one_label,
           a_label_that_grows_too_long_is_refused)
