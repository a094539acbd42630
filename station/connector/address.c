#include "station/connector/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HOST_MAX 128
#define PORT_MAX 5 /* digits */

bool address_is(const char *text)
{
    return strncmp(text, ADDRESS_TCP, strlen(ADDRESS_TCP)) == 0 ||
           strncmp(text, ADDRESS_UNIX, strlen(ADDRESS_UNIX)) == 0;
}

static bool is_port(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= PORT_MAX && strspn(text, "0123456789") == len && atoi(text) > 0 &&
           atoi(text) <= UINT16_MAX;
}

/* Splits HOST:PORT and [HOST]:PORT. */
static int split(const char *text, char host[HOST_MAX + 1], const char **port)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';

    if (bracketed) {
        text++;
        len -= 2;
    }
    if (len == 0 || len > HOST_MAX || !is_port(colon + 1) || (!bracketed && memchr(text, ':', len)))
        return ERR_INPUT;
    memcpy(host, text, len);
    host[len] = 0;
    *port = colon + 1;
    return 0;
}

/* One allocation, as address_free expects of a local address. */
static int find_local(const char *path, struct addrinfo **list)
{
    struct local {
        struct addrinfo info;
        struct sockaddr_un address;
    } * local;

    if (path[0] != '/' || strlen(path) >= sizeof local->address.sun_path)
        return ERR_INPUT;
    local = calloc(1, sizeof *local);
    if (!local)
        return ERR_INTERNAL;
    local->address.sun_family = AF_UNIX;
    strcpy(local->address.sun_path, path);
    local->info = (struct addrinfo){.ai_family = AF_UNIX,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_addrlen = sizeof local->address,
                                    .ai_addr = (struct sockaddr *)&local->address};
    *list = &local->info;
    return 0;
}

static int find_tcp(const char *text, int flags, struct addrinfo **list, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    char host[HOST_MAX + 1];
    const char *port;
    int rc = split(text, host, &port);

    if (rc)
        return rc;
    rc = getaddrinfo(host, port, &hints, list);
    if (rc == EAI_NONAME && flags)
        return 0; /* a name: it is looked up when it is needed */
    return rc ? error_set(err, ERR_MISSING, "cannot look up '%s': %s", host, gai_strerror(rc)) : 0;
}

static int find(const char *text, int flags, struct addrinfo **list, struct error *err)
{
    int rc = ERR_INPUT;

    *list = NULL;
    if (strncmp(text, ADDRESS_TCP, strlen(ADDRESS_TCP)) == 0)
        rc = find_tcp(text + strlen(ADDRESS_TCP), flags, list, err);
    else if (strncmp(text, ADDRESS_UNIX, strlen(ADDRESS_UNIX)) == 0)
        rc = find_local(text + strlen(ADDRESS_UNIX), list);
    if (rc == ERR_INPUT)
        return error_set(err, rc,
                         "'%s' is neither tcp:HOST:PORT nor unix: and an absolute path of at most "
                         "107 characters",
                         text);
    return rc == ERR_INTERNAL ? error_set(err, rc, "out of memory") : rc;
}

int address_find(const char *text, struct addrinfo **list, struct error *err)
{
    return find(text, 0, list, err);
}

int address_check(const char *text, struct error *err)
{
    struct addrinfo *list;
    int rc = find(text, AI_NUMERICHOST, &list, err);

    if (rc == 0)
        address_free(list);
    return rc;
}

void address_free(struct addrinfo *list)
{
    if (list && list->ai_family == AF_UNIX)
        free(list);
    else if (list)
        freeaddrinfo(list);
}

uint16_t address_port(const struct addrinfo *a)
{
    switch (a->ai_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_port);
    default:
        return 0;
    }
}
