/* The USB transport with an unmodified libusb, on devices that umockdev plays. */
#include "check_util.h"
#include "usb_rig.h"

#include "station/line/usb.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESS 1
#define WAIT_MS 5000

static struct error err;
static struct rig_usb *device;
static struct transport *t;
static int device_end; /* the device's side of what the host sends and receives */

static void plug_in(enum rig_usb_kind kind)
{
    int ends[2];

    err = (struct error)ERROR_INIT;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    rig_usb_start();
    device = rig_usb_plug(ADDRESS, kind, ends[0]);
    device_end = ends[1];
}

static void open_it(void)
{
    plug_in(RIG_USB_BULK);
    ASSERT_OK(usb_open("usb:1-1", 1, ADDRESS, &t, &err), err);
}

static int note_device(void *context, const struct usb_info *info)
{
    struct usb_info *found = context;

    ck_assert_str_eq(found->path, "");
    *found = *info;
    return 0;
}

START_TEST(a_device_is_listed_with_its_place_and_not_opened)
{
    struct usb_info found = {.path = ""};

    plug_in(RIG_USB_BULK);
    ASSERT_OK(usb_list(note_device, &found, &err), err);
    ck_assert_str_eq(found.path, "1-1");
    ck_assert_int_eq(found.vid, 0x1209);
    ck_assert_int_eq(found.pid, 0x0001);
    ck_assert_int_eq(found.bus, 1);
    ck_assert_int_eq(found.address, ADDRESS);
    ck_assert(found.bulk);
    ck_assert(!rig_usb_claimed(device));
}
END_TEST

START_TEST(another_kind_of_device_is_no_port)
{
    struct usb_info found = {.path = ""};

    plug_in(RIG_USB_HID);
    ASSERT_OK(usb_list(note_device, &found, &err), err);
    ck_assert_str_eq(found.path, "1-1");
    ck_assert(!found.bulk);
    ASSERT_FAILS(usb_open("usb:1-1", 1, ADDRESS, &t, &err), ERR_REFUSED);
}
END_TEST

START_TEST(bytes_pass_both_ways)
{
    uint8_t bytes[100], seen[200];
    size_t got;

    open_it();
    memset(bytes, 0xa5, sizeof bytes);
    ASSERT_OK(transport_write(t, bytes, sizeof bytes, WAIT_MS, &err), err);
    ck_assert_int_eq((int)read(device_end, seen, sizeof seen), sizeof bytes);
    ck_assert_mem_eq(seen, bytes, sizeof bytes);
    ck_assert_int_eq((int)write(device_end, "answer", 6), 6);
    ASSERT_OK(transport_read(t, seen, sizeof seen, &got, WAIT_MS, &err), err);
    ck_assert_uint_eq(got, 6);
    ck_assert_mem_eq(seen, "answer", 6);
    transport_close(t);
}
END_TEST

/* Without it a device waits for the rest of a transfer that ends with a full packet. */
START_TEST(a_write_of_whole_packets_ends_with_an_empty_one)
{
    static const size_t sizes[] = {511, 512, 513, 1024};
    static const unsigned empty[] = {0, 1, 1, 2};
    uint8_t bytes[1024] = {0}, seen[1024];

    open_it();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ASSERT_OK(transport_write(t, bytes, sizes[i], WAIT_MS, &err), err);
        ck_assert_int_eq((int)read(device_end, seen, sizeof seen), (int)sizes[i]);
        ck_assert_uint_eq(rig_usb_empty_packets(device), empty[i]);
    }
    transport_close(t);
}
END_TEST

START_TEST(a_long_transfer_is_read_in_pieces)
{
    uint8_t sent[1500], seen[1500];
    size_t got, all = 0;

    open_it();
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 7);
    ck_assert_int_eq((int)write(device_end, sent, sizeof sent), sizeof sent);
    while (all < sizeof sent) {
        ASSERT_OK(transport_read(t, seen + all, 512, &got, WAIT_MS, &err), err);
        ck_assert_uint_le(got, 512);
        all += got;
    }
    ck_assert_mem_eq(seen, sent, sizeof sent);
    ASSERT_FAILS(transport_read(t, seen, sizeof seen, &got, 0, &err), ERR_TIMEOUT);
    transport_close(t);
}
END_TEST

START_TEST(a_silent_device_is_a_timeout_and_goes_on_later)
{
    uint8_t byte = 1, seen[8];
    size_t got;

    open_it();
    ASSERT_FAILS(transport_read(t, seen, sizeof seen, &got, 50, &err), ERR_TIMEOUT);
    ck_assert_int_eq((int)write(device_end, "x", 1), 1);
    ASSERT_OK(transport_read(t, seen, sizeof seen, &got, WAIT_MS, &err), err);
    rig_usb_stall(device);
    ASSERT_FAILS(transport_write(t, &byte, 1, 50, &err), ERR_TIMEOUT);
    transport_close(t);
}
END_TEST

/* An empty packet is sent in time as well: the device still waits for it. */
START_TEST(an_empty_packet_that_is_not_taken_is_a_timeout)
{
    uint8_t bytes[512] = {0};
    char seen[600];

    open_it();
    ASSERT_OK(transport_write(t, bytes, 512, WAIT_MS, &err), err);
    ck_assert_int_eq((int)read(device_end, seen, sizeof seen), 512);
    rig_usb_stall(device);
    ASSERT_FAILS(transport_write(t, bytes, 0, 50, &err), ERR_TIMEOUT);
    transport_close(t);
}
END_TEST

START_TEST(an_unplugged_device_is_gone)
{
    uint8_t seen[8] = {0};
    size_t got;

    open_it();
    rig_usb_unplug(device);
    ASSERT_FAILS(transport_read(t, seen, sizeof seen, &got, WAIT_MS, &err), ERR_GONE);
    ck_assert_ptr_nonnull(strstr(err.text, "unplugged"));
    ASSERT_FAILS(transport_write(t, seen, sizeof seen, WAIT_MS, &err), ERR_GONE);
    transport_close(t);
}
END_TEST

static void *pull_out_soon(void *context)
{
    usleep(100000);
    rig_usb_unplug(device);
    return context;
}

START_TEST(a_device_that_is_unplugged_while_it_is_read_is_gone)
{
    uint8_t seen[8];
    pthread_t puller;
    size_t got;

    open_it();
    ck_assert_int_eq(pthread_create(&puller, NULL, pull_out_soon, NULL), 0);
    ASSERT_FAILS(transport_read(t, seen, sizeof seen, &got, 600000, &err), ERR_GONE);
    pthread_join(puller, NULL);
    transport_close(t);
}
END_TEST

START_TEST(one_process_holds_a_device)
{
    struct transport *second;

    open_it();
    ck_assert(rig_usb_claimed(device));
    ASSERT_FAILS(usb_open("usb:1-1", 1, ADDRESS, &second, &err), ERR_BUSY);
    transport_close(t);
    ck_assert(!rig_usb_claimed(device));
    ASSERT_OK(usb_open("usb:1-1", 1, ADDRESS, &t, &err), err);
    transport_close(t);
}
END_TEST

START_TEST(a_driver_of_the_kernel_makes_way_and_comes_back)
{
    plug_in(RIG_USB_BULK);
    rig_usb_bind_driver(device);
    ASSERT_OK(usb_open("usb:1-1", 1, ADDRESS, &t, &err), err);
    ck_assert(!rig_usb_has_driver(device));
    transport_close(t);
    ck_assert(rig_usb_has_driver(device));
}
END_TEST

START_TEST(a_device_that_is_not_there_is_missing)
{
    plug_in(RIG_USB_BULK);
    ASSERT_FAILS(usb_open("usb:1-9", 1, 9, &t, &err), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "usb:1-9"));
}
END_TEST

CHECK_MAIN("usb", a_device_is_listed_with_its_place_and_not_opened,
           another_kind_of_device_is_no_port, bytes_pass_both_ways,
           a_write_of_whole_packets_ends_with_an_empty_one, a_long_transfer_is_read_in_pieces,
           a_silent_device_is_a_timeout_and_goes_on_later,
           an_empty_packet_that_is_not_taken_is_a_timeout, an_unplugged_device_is_gone,
           a_device_that_is_unplugged_while_it_is_read_is_gone, one_process_holds_a_device,
           a_driver_of_the_kernel_makes_way_and_comes_back, a_device_that_is_not_there_is_missing)
