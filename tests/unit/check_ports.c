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

/* As the system would list them: a serial port of a USB device, its neighbours, and no USB. */
static void list_usb(void)
{
    memset(&ports, 0, sizeof ports);
    ports.list[0] = (struct port){
        .kind = PORT_USB, .name = "usb:1-2.10", .usb_id = "1209:000a", .usb_path = "1-2.10"};
    ports.list[1] = (struct port){
        .kind = PORT_USB, .name = "usb:1-2.9", .usb_id = "1209:000a", .usb_path = "1-2.9"};
    ports.list[2] = (struct port){
        .kind = PORT_SERIAL, .name = "/dev/ttyACM0", .usb_id = "1209:000b", .usb_path = "1-4"};
    ports.list[3] = (struct port){.kind = PORT_SERIAL, .name = "/dev/ttyS0"};
    ports.count = 4;
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
    ASSERT_OK(ports_assign(rules, 1, NULL, &ports, &err), err);
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
    ASSERT_OK(ports_assign(rules, 2, NULL, &ports, &err), err);
    ck_assert_uint_eq(ports.slots, 2);
    ck_assert_str_eq(slot_of("/dev/ttyS0"), "");
    ck_assert_str_eq(slot_of("/dev/ttyUSB0"), "B1");
    ck_assert_str_eq(slot_of("/dev/ttyUSB1"), "QA");
}
END_TEST

START_TEST(usb_devices_are_named_by_ids_or_by_place)
{
    static const struct port_rule ids[] = {{"usb:1209:000A", "U{n}", 1}, {"usb:1209:000b", "A", 1}};
    static const struct port_rule places[] = {{"usb_path:1-4", "A", 1},
                                              {"usb_path:1-2.*", "U{n}", 1}};
    struct error err = ERROR_INIT;

    for (int i = 0; i < 2; i++) {
        list_usb();
        ASSERT_OK(ports_assign(i ? places : ids, 2, NULL, &ports, &err), err);
        ck_assert_uint_eq(ports.slots, 3);
        ck_assert_str_eq(slot_of("usb:1-2.9"), "U1");
        ck_assert_str_eq(slot_of("usb:1-2.10"), "U2");
        ck_assert_str_eq(slot_of("/dev/ttyACM0"), "A");
        ck_assert_str_eq(slot_of("/dev/ttyS0"), "");
    }
}
END_TEST

/* A pattern of names that is too wide touches no USB device. */
START_TEST(a_name_is_that_of_a_serial_port)
{
    static const struct port_rule rules[] = {
        {"*", "S{n}", 1}, {"usb_path:*", "U{n}", 1}, {"usb:1209:0001", "V", 1}};
    struct error err = ERROR_INIT;

    list_usb();
    ASSERT_OK(ports_assign(rules, 3, NULL, &ports, &err), err);
    ck_assert_str_eq(slot_of("/dev/ttyACM0"), "S1");
    ck_assert_str_eq(slot_of("/dev/ttyS0"), "S2");
    ck_assert_str_eq(slot_of("usb:1-2.9"), "U1");
    ck_assert(ports.used[0] && ports.used[1] && !ports.used[2]);
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
    ASSERT_FAILS(ports_assign(same, 1, NULL, &ports, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "/dev/ttyUSB0"));
    list(names);
    ASSERT_FAILS(ports_assign(across, 2, NULL, &ports, &err), ERR_INPUT);
}
END_TEST

START_TEST(a_label_that_grows_too_long_is_refused)
{
    static const char *const names[] = {"/dev/ttyUSB0", NULL};
    static const struct port_rule rules[] = {
        {"/dev/ttyUSB0", "0123456789012345678901234567890{n}x", 1}};
    struct error err = ERROR_INIT;

    list(names);
    ASSERT_FAILS(ports_assign(rules, 1, NULL, &ports, &err), ERR_INPUT);
}
END_TEST

static struct port_numbers numbers;

START_TEST(a_place_keeps_its_number_whatever_else_comes_and_goes)
{
    static const char *const first[] = {"/dev/ttyACM5", NULL};
    static const char *const more[] = {"/dev/ttyACM1", "/dev/ttyACM5", "/dev/ttyACM7", NULL};
    static const char *const back[] = {"/dev/ttyACM7", NULL};
    static const struct port_rule rules[] = {{"/dev/ttyACM*", "S{n}", 1}};
    struct error err = ERROR_INIT;

    list(first);
    ASSERT_OK(ports_assign(rules, 1, &numbers, &ports, &err), err);
    ck_assert_str_eq(slot_of("/dev/ttyACM5"), "S1");
    list(more);
    ASSERT_OK(ports_assign(rules, 1, &numbers, &ports, &err), err);
    ck_assert_str_eq(slot_of("/dev/ttyACM5"), "S1");
    ck_assert_str_eq(slot_of("/dev/ttyACM1"), "S2");
    ck_assert_str_eq(slot_of("/dev/ttyACM7"), "S3");
    list(back);
    ASSERT_OK(ports_assign(rules, 1, &numbers, &ports, &err), err);
    ck_assert_str_eq(slot_of("/dev/ttyACM7"), "S3");
}
END_TEST

START_TEST(a_label_may_name_the_socket_of_the_hub)
{
    static const struct port_rule rules[] = {{"usb:1209:000a", "H{port}", 1},
                                             {"/dev/ttyS0", "T{port}", 1}};
    struct error err = ERROR_INIT;

    list_usb();
    ASSERT_OK(ports_assign(rules, 2, NULL, &ports, &err), err);
    ck_assert_str_eq(slot_of("usb:1-2.9"), "H9");
    ck_assert_str_eq(slot_of("usb:1-2.10"), "H10");
    ck_assert_str_eq(slot_of("/dev/ttyS0"), "T1"); /* no place: counted */
}
END_TEST

/* The others have their slots: a port that is plugged in later must not stop them. */
START_TEST(a_port_whose_label_is_taken_is_no_slot)
{
    static const char *const names[] = {"/dev/ttyACM1", "/dev/ttyACM2", NULL};
    static const struct port_rule rules[] = {{"/dev/ttyACM*", "S", 1}};
    struct error err = ERROR_INIT;

    list(names);
    ASSERT_FAILS(ports_assign(rules, 1, NULL, &ports, &err), ERR_INPUT);
    ck_assert_str_eq(slot_of("/dev/ttyACM1"), "S");
    ck_assert_str_eq(slot_of("/dev/ttyACM2"), "");
    ck_assert_uint_eq(ports.slots, 1);
}
END_TEST

/* One line of each: what a rule and a port make, and the first thing that differs. */
START_TEST(a_rule_says_what_differs)
{
    static const struct {
        const char *pattern;
        int port; /* of list_usb */
        const char *field, *wants, *has;
    } facts[] = {
        {"usb:1209:000a", 0, NULL, NULL, NULL},
        {"usb:1209:000A", 0, NULL, NULL, NULL},
        {"usb:120a:000a", 0, "vendor", "120a", "1209"},
        {"usb:1209:00ff", 0, "product", "00ff", "000a"},
        {"usb:1209:000b", 3, "vendor", "1209", ""},
        {"usb_path:1-2.*", 0, NULL, NULL, NULL},
        {"usb_path:1-3", 0, "usb_path", "1-3", "1-2.10"},
        {"usb_path:*", 3, "usb_path", "*", ""},
        {"/dev/ttyACM0", 2, NULL, NULL, NULL},
        {"/dev/ttyACM1", 2, "name", "/dev/ttyACM1", "/dev/ttyACM0"},
        {"*", 0, "name", "*", ""},
        {"tcp:fixture:4001", 2, "address", "tcp:fixture:4001", ""},
        {"usb:1209:000c", 4, "driver", "a serial port or a vendor-specific bulk interface",
         "usbhid"},
        {"usb_path:1-5", 4, "driver", "a serial port or a vendor-specific bulk interface",
         "usbhid"},
        {"usb:1209:000d", 4, "product", "000d", "000c"},
    };

    list_usb();
    ports.list[4] = (struct port){.kind = PORT_NONE,
                                  .name = "usb:1-5",
                                  .usb_id = "1209:000c",
                                  .usb_path = "1-5",
                                  .driver = "usbhid"};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct port_rule rule = {facts[i].pattern, "S", 1};
        const struct port *port = &ports.list[facts[i].port];
        struct port_difference why = {.field = "none"};

        ck_assert_int_eq(port_differs(&rule, port, &why), facts[i].field != NULL);
        ck_assert_int_eq(port_differs(&rule, port, NULL), facts[i].field != NULL);
        if (!facts[i].field)
            continue;
        ck_assert_str_eq(why.field, facts[i].field);
        ck_assert_str_eq(why.wants, facts[i].wants);
        ck_assert_str_eq(why.has, facts[i].has);
    }
}
END_TEST

CHECK_MAIN("ports", slots_are_counted_in_the_natural_order_of_names,
           the_first_rule_wins_and_others_are_no_slots, usb_devices_are_named_by_ids_or_by_place,
           a_name_is_that_of_a_serial_port, two_ports_never_get_one_label,
           a_label_that_grows_too_long_is_refused,
           a_place_keeps_its_number_whatever_else_comes_and_goes,
           a_label_may_name_the_socket_of_the_hub, a_port_whose_label_is_taken_is_no_slot,
           a_rule_says_what_differs)
