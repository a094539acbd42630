#include "station/cli/device_port.h"

#include "base/clock.h"
#include "station/connector/address.h"
#include "station/line/ports.h"
#include "station/line/serial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 100

static int connect_to(const struct addrinfo *a, const char *name, int *out, struct error *err)
{
    int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen)) {
        (void)error_set(err, errno == ENOENT ? ERR_MISSING : ERR_IO, "cannot connect to '%s': %s",
                        name, strerror(errno));
        if (fd >= 0)
            close(fd);
        return err->code;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a local one has no delay */
    *out = fd;
    return 0;
}

static int open_address(const char *name, int *fd, struct error *err)
{
    struct addrinfo *list;
    int rc = address_find(name, &list, err);

    if (rc)
        return rc;
    rc = ERR_IO;
    for (const struct addrinfo *a = list; a && rc; a = a->ai_next)
        rc = connect_to(a, name, fd, err);
    address_free(list);
    return rc;
}

/* The port that a rule of a job would mean by this name. */
static int find_usb(const struct device_port *p, struct port *out, struct error *err)
{
    static struct ports ports; /* too large for the stack */
    const struct port_rule rule = {p->name, "device", p->baud};
    int rc = ports_find(&rule, 1, NULL, &ports, err);

    for (size_t i = 0; rc == 0 && i < ports.count; i++)
        if (ports.list[i].rule == 0) {
            *out = ports.list[i];
            return 0;
        }
    return rc ? rc : error_set(err, ERR_MISSING, "there is no device '%s'", p->name);
}

static int open_usb(struct device_port *p, enum offer_kind *kind, int *fd, struct error *err)
{
    struct port port;
    int rc = find_usb(p, &port, err);

    if (rc)
        return rc;
    *kind = port.kind == PORT_SERIAL ? OFFER_SERIAL : OFFER_USB;
    if (port.kind == PORT_SERIAL)
        return serial_open(port.name, p->baud, fd, err);
    if (!p->hub && !(p->hub = usb_hub_new()))
        return error_set(err, ERR_IO, "cannot open '%s': this machine has no USB", p->name);
    return usb_hub_open(p->hub, p->name, port.usb_bus, port.usb_address, fd, err);
}

int device_port_open(struct device_port *p, enum offer_kind *kind, int *fd, struct error *err)
{
    if (address_is(p->name)) {
        *kind = OFFER_ADDRESS;
        return open_address(p->name, fd, err);
    }
    if (strncmp(p->name, RULE_USB, strlen(RULE_USB)) == 0 ||
        strncmp(p->name, RULE_USB_PATH, strlen(RULE_USB_PATH)) == 0)
        return open_usb(p, kind, fd, err);
    *kind = OFFER_SERIAL;
    return serial_open(p->name, p->baud, fd, err);
}

int device_port_wait(struct device_port *p, enum offer_kind *kind, int *fd, struct error *err)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    int64_t deadline = clock_mono_ms() + DEVICE_PORT_WAIT_MS;
    int rc = device_port_open(p, kind, fd, err);

    while (rc && clock_mono_ms() < deadline) {
        (void)nanosleep(&pause, NULL);
        rc = device_port_open(p, kind, fd, err);
    }
    return rc;
}

void device_port_close(struct device_port *p)
{
    usb_hub_free(p->hub);
    p->hub = NULL;
}
