#include "function.h"

#include <asm/byteorder.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/usb/functionfs.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define ENDPOINT_IN  (1 | USB_DIR_IN)
#define ENDPOINT_OUT (2 | USB_DIR_OUT)
#define PACKET_FULL                                                                                \
    64 /* bytes of a bulk packet at each speed, USB 2.0 section 5.8.3, USB 3.2 8.12.1 */
#define PACKET_HIGH  512
#define PACKET_SUPER 1024
#define NAME         "imprint"

struct __attribute__((packed)) function {
    struct usb_interface_descriptor interface;
    struct usb_endpoint_descriptor_no_audio in, out;
};

struct __attribute__((packed)) super_function {
    struct usb_interface_descriptor interface;
    struct usb_endpoint_descriptor_no_audio in;
    struct usb_ss_ep_comp_descriptor in_companion;
    struct usb_endpoint_descriptor_no_audio out;
    struct usb_ss_ep_comp_descriptor out_companion;
};

struct __attribute__((packed)) descriptors {
    struct usb_functionfs_descs_head_v2 head;
    __le32 full_count, high_count, super_count;
    struct function full, high;
    struct super_function super;
};

struct __attribute__((packed)) strings {
    struct usb_functionfs_strings_head head;
    __le16 language;
    char name[sizeof NAME];
};

/* Class 255 is what the station looks for: a vendor-specific interface, which no kernel driver takes. */
#define INTERFACE                                                                                  \
    {                                                                                              \
        .bLength = USB_DT_INTERFACE_SIZE, .bDescriptorType = USB_DT_INTERFACE, .bNumEndpoints = 2, \
        .bInterfaceClass = USB_CLASS_VENDOR_SPEC, .iInterface = 1                                  \
    }
#define ENDPOINT(address, packet)                                                                  \
    {                                                                                              \
        .bLength = USB_DT_ENDPOINT_SIZE, .bDescriptorType = USB_DT_ENDPOINT,                       \
        .bEndpointAddress = (address), .bmAttributes = USB_ENDPOINT_XFER_BULK,                     \
        .wMaxPacketSize = __constant_cpu_to_le16(packet)                                           \
    }
#define COMPANION                                                                                  \
    {                                                                                              \
        .bLength = USB_DT_SS_EP_COMP_SIZE, .bDescriptorType = USB_DT_SS_ENDPOINT_COMP              \
    }
#define FUNCTION(packet)                                                                           \
    {                                                                                              \
        INTERFACE, ENDPOINT(ENDPOINT_IN, packet), ENDPOINT(ENDPOINT_OUT, packet)                   \
    }

static const struct descriptors descriptors = {
    .head = {.magic = __constant_cpu_to_le32(FUNCTIONFS_DESCRIPTORS_MAGIC_V2),
             .length = __constant_cpu_to_le32(sizeof descriptors),
             .flags = __constant_cpu_to_le32(FUNCTIONFS_HAS_FS_DESC | FUNCTIONFS_HAS_HS_DESC |
                                             FUNCTIONFS_HAS_SS_DESC)},
    .full_count = __constant_cpu_to_le32(3),
    .high_count = __constant_cpu_to_le32(3),
    .super_count = __constant_cpu_to_le32(5),
    .full = FUNCTION(PACKET_FULL),
    .high = FUNCTION(PACKET_HIGH),
    .super = {INTERFACE, ENDPOINT(ENDPOINT_IN, PACKET_SUPER), COMPANION,
              ENDPOINT(ENDPOINT_OUT, PACKET_SUPER), COMPANION},
};

static const struct strings strings = {
    .head = {.magic = __constant_cpu_to_le32(FUNCTIONFS_STRINGS_MAGIC),
             .length = __constant_cpu_to_le32(sizeof strings),
             .str_count = __constant_cpu_to_le32(1),
             .lang_count = __constant_cpu_to_le32(1)},
    .language = __constant_cpu_to_le16(0x0409), /* English (US) */
    .name = NAME,
};

/*
 * The link has no control requests. One that nobody answered would keep the host waiting: moving bytes
 * against its direction refuses it.
 */
static void refuse(int control, const struct usb_ctrlrequest *request)
{
    ssize_t n =
        request->bRequestType & USB_DIR_IN ? read(control, NULL, 0) : write(control, NULL, 0);

    (void)n; /* it fails, which is how the request is refused */
}

static void *keep_control(void *context)
{
    int control = *(const int *)context;
    struct usb_functionfs_event events[4];
    ssize_t n;

    while ((n = read(control, events, sizeof events)) > 0)
        for (size_t i = 0; i < (size_t)n / sizeof *events; i++)
            if (events[i].type == FUNCTIONFS_SETUP)
                refuse(control, &events[i].u.setup);
    return NULL;
}

static int open_file(const char *folder, const char *name, int *fd, struct error *err)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    *fd = open(path, O_RDWR | O_CLOEXEC);
    return *fd < 0 ? error_set_errno(err, errno, "cannot open '%s'", path) : 0;
}

static int start_thread(int control, struct error *err)
{
    static int kept;
    pthread_t thread;
    int code;

    kept = control;
    code = pthread_create(&thread, NULL, keep_control, &kept);
    return code ? error_set_errno(err, code, "cannot start a thread") : 0;
}

int function_open(const char *folder, int *control, int *in, int *out, struct error *err)
{
    int rc = open_file(folder, "ep0", control, err);

    if (rc)
        return rc;
    if (write(*control, &descriptors, sizeof descriptors) < 0 ||
        write(*control, &strings, sizeof strings) < 0)
        return error_set_errno(err, errno, "'%s' does not take the descriptors", folder);
    rc = start_thread(*control, err);
    if (rc == 0)
        rc = open_file(folder, "ep1", in, err);
    return rc ? rc : open_file(folder, "ep2", out, err);
}
