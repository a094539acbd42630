/* The USB transport with an unmodified libusb, on devices that umockdev plays. */
#include "check_util.h"
#include "usb_rig.h"

#include "station/line/stream.h"
#include "station/line/usb.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESS 1
#define WAIT_MS 5000

static struct error err;
static struct usb_hub *hub;
static pthread_t mover;
static volatile bool moving;
static bool pulled; /* nobody gives back what is not there */
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

/* What the opener does all day. */
static void *move(void *context)
{
    struct pollfd polled[32];

    while (moving) {
        size_t count = usb_hub_poll(hub, polled, sizeof polled / sizeof *polled);

        (void)poll(polled, count, 10);
        usb_hub_work(hub);
    }
    return context;
}

static void stop_moving(void)
{
    moving = false;
    pthread_join(mover, NULL);
}

static int open_device(int address, struct transport **out)
{
    int fd, rc;

    if (!hub)
        hub = usb_hub_new();
    ck_assert_ptr_nonnull(hub);
    rc = usb_hub_open(hub, address == ADDRESS ? "usb:1-1" : "usb:1-9", 1, address, &fd, &err);
    if (rc)
        return rc;
    moving = true;
    ck_assert_int_eq(pthread_create(&mover, NULL, move, NULL), 0);
    return stream_open(fd, STREAM_USB, "usb:1-1", out, &err);
}

static void close_it(void)
{
    transport_close(t);
    for (int i = 0; i < 500 && !pulled && rig_usb_claimed(device); i++)
        usleep(10000);
    stop_moving();
}

static void open_it(void)
{
    plug_in(RIG_USB_BULK);
    ASSERT_OK(open_device(ADDRESS, &t), err);
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
    ASSERT_FAILS(open_device(ADDRESS, &t), ERR_REFUSED);
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
    close_it();
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
        for (int tries = 0; tries < 500 && rig_usb_empty_packets(device) < empty[i]; tries++)
            usleep(10000); /* it follows by itself */
        usleep(20000);
        ck_assert_uint_eq(rig_usb_empty_packets(device), empty[i]);
    }
    close_it();
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
    close_it();
}
END_TEST

/* More than lies between writer and device. */
static int write_a_lot(void)
{
    static const uint8_t bytes[65536];

    return transport_write(t, bytes, sizeof bytes, 50, &err);
}

START_TEST(a_silent_device_is_a_timeout_and_goes_on_later)
{
    uint8_t seen[8];
    size_t got;

    open_it();
    ASSERT_FAILS(transport_read(t, seen, sizeof seen, &got, 50, &err), ERR_TIMEOUT);
    ck_assert_int_eq((int)write(device_end, "x", 1), 1);
    ASSERT_OK(transport_read(t, seen, sizeof seen, &got, WAIT_MS, &err), err);
    rig_usb_stall(device);
    ASSERT_FAILS(write_a_lot(), ERR_TIMEOUT);
    close_it();
}
END_TEST

/* While a device takes nothing what it says still arrives, and what was sent goes on later. */
START_TEST(a_reader_that_takes_nothing_loses_nothing)
{
    enum { MANY = 64, SIZE = 1024 };
    uint8_t bytes[SIZE], seen[SIZE];
    size_t all = 0, got;

    open_it();
    for (int i = 0; i < MANY; i++) { /* more than the sockets hold between them */
        memset(bytes, i, sizeof bytes);
        if (send(device_end, bytes, sizeof bytes, MSG_DONTWAIT) != SIZE) {
            usleep(20000);
            ck_assert_uint_gt(transport_read(t, seen, 1, &got, WAIT_MS, &err) == 0, 0);
            ck_assert_uint_eq(seen[0], (uint8_t)(all / SIZE));
            all++;
            i--;
        }
    }
    while (all < MANY * SIZE) {
        ASSERT_OK(transport_read(t, seen, sizeof seen, &got, WAIT_MS, &err), err);
        for (size_t i = 0; i < got; i++)
            ck_assert_uint_eq(seen[i], (uint8_t)((all + i) / SIZE));
        all += got;
    }
    close_it();
}
END_TEST

START_TEST(an_unplugged_device_is_gone)
{
    uint8_t seen[8] = {0};
    size_t got;

    open_it();
    rig_usb_unplug(device);
    pulled = true;
    ASSERT_FAILS(transport_read(t, seen, sizeof seen, &got, WAIT_MS, &err), ERR_GONE);
    ck_assert_ptr_nonnull(strstr(err.text, "unplugged"));
    ASSERT_FAILS(transport_write(t, seen, sizeof seen, WAIT_MS, &err), ERR_GONE);
    close_it();
}
END_TEST

static void *pull_out_soon(void *context)
{
    usleep(100000);
    rig_usb_unplug(device);
    pulled = true;
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
    close_it();
}
END_TEST

START_TEST(one_process_holds_a_device)
{
    struct transport *second;

    open_it();
    ck_assert(rig_usb_claimed(device));
    ASSERT_FAILS(open_device(ADDRESS, &second), ERR_BUSY);
    close_it();
    ck_assert(!rig_usb_claimed(device));
    ASSERT_OK(open_device(ADDRESS, &t), err);
    close_it();
}
END_TEST

START_TEST(a_driver_of_the_kernel_makes_way_and_comes_back)
{
    plug_in(RIG_USB_BULK);
    rig_usb_bind_driver(device);
    ASSERT_OK(open_device(ADDRESS, &t), err);
    ck_assert(!rig_usb_has_driver(device));
    close_it();
    ck_assert(rig_usb_has_driver(device));
}
END_TEST

START_TEST(a_device_that_is_not_there_is_missing)
{
    plug_in(RIG_USB_BULK);
    ASSERT_FAILS(open_device(9, &t), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "usb:1-9"));
}
END_TEST

CHECK_MAIN("usb", a_device_is_listed_with_its_place_and_not_opened,
           another_kind_of_device_is_no_port, bytes_pass_both_ways,
           a_write_of_whole_packets_ends_with_an_empty_one, a_long_transfer_is_read_in_pieces,
           a_silent_device_is_a_timeout_and_goes_on_later,
           a_reader_that_takes_nothing_loses_nothing, an_unplugged_device_is_gone,
           a_device_that_is_unplugged_while_it_is_read_is_gone, one_process_holds_a_device,
           a_driver_of_the_kernel_makes_way_and_comes_back, a_device_that_is_not_there_is_missing)
