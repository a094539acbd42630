/*
 * imprint-gpio: a fixture of switches, lamps and relays on the GPIO lines of this machine. It speaks the
 * protocol of docs/fixture.md on a local socket, so that the station needs neither GPIO nor its library.
 *
 * Lines are read every LOOK_MS; a level counts when two looks in a row saw it. Without a station everything
 * that it drives is off.
 */
#include "base/clock.h"
#include "station/gpio/wiring.h"

#include <errno.h>
#include <gpiod.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 20

static const int tone_ms[TONES] = {[TONE_GOOD] = 100, [TONE_BAD] = 1000, [TONE_CALL] = 300};
static const enum wire lamp_wires[LAMPS] = {[LAMP_WHITE] = WIRE_WHITE,
                                            [LAMP_YELLOW] = WIRE_YELLOW,
                                            [LAMP_BLUE] = WIRE_BLUE,
                                            [LAMP_GREEN] = WIRE_GREEN,
                                            [LAMP_RED] = WIRE_RED};

struct place {
    struct wiring wiring;
    int seen[WIRE_POWER], steady[WIRE_POWER]; /* in the last look; what counts */
    int64_t quiet_ms;                         /* when the buzzer ends; 0: it is off */
};

struct gpio {
    struct served served;
    struct place places[SERVED_SLOTS_MAX];
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

/* ---- what the station says ---- */

static void show_lamp(const struct place *p, unsigned lamp)
{
    for (unsigned i = LAMP_WHITE; i < LAMPS; i++)
        wiring_set(&p->wiring, lamp_wires[i], i == lamp);
}

static void switch_off(struct gpio *g)
{
    for (size_t i = 0; i < g->served.count; i++)
        for (enum wire wire = WIRE_POWER; wire < WIRES; wire++)
            wiring_set(&g->places[i].wiring, wire, false);
}

static void on_heard(void *context, const struct fixture_message *m)
{
    struct gpio *g = context;
    int slot = m ? served_find(&g->served, m->slot) : -1;
    struct place *p = slot >= 0 ? &g->places[slot] : NULL;

    if (!m) {
        switch_off(g);
    } else if (p && m->verb == FIXTURE_POWER) {
        wiring_set(&p->wiring, WIRE_POWER, m->value == FIXTURE_ON);
    } else if (p && m->verb == FIXTURE_LAMP) {
        show_lamp(p, m->value);
    } else if (p && m->verb == FIXTURE_BUZZER) {
        wiring_set(&p->wiring, WIRE_BUZZER, true);
        p->quiet_ms = clock_mono_ms() + tone_ms[m->value];
    }
}

/* ---- what the lines say ---- */

static void moved(struct gpio *g, size_t i, enum wire wire, bool on)
{
    if (wire == WIRE_LID)
        served_lid(&g->served, i, on);
    else if (on)
        served_ask(&g->served, wire == WIRE_START ? FIXTURE_START : FIXTURE_ABORT, i);
}

static void look(struct gpio *g, size_t i, int64_t now)
{
    struct place *p = &g->places[i];

    for (enum wire wire = WIRE_LID; wire < WIRE_POWER; wire++) {
        int level = wiring_read(&p->wiring, wire);

        if (level == p->seen[wire] && level != p->steady[wire]) {
            p->steady[wire] = level;
            moved(g, i, wire, level != 0);
        }
        p->seen[wire] = level;
    }
    if (p->quiet_ms && now >= p->quiet_ms) {
        wiring_set(&p->wiring, WIRE_BUZZER, false);
        p->quiet_ms = 0;
    }
}

static void run(struct gpio *g)
{
    struct pollfd polled[SERVED_POLLED];

    while (!ended) {
        int64_t now;

        served_poll(&g->served, polled);
        if (poll(polled, SERVED_POLLED, LOOK_MS) < 0)
            continue;
        served_work(&g->served, polled);
        now = clock_mono_ms();
        for (size_t i = 0; i < g->served.count; i++)
            look(g, i, now);
    }
    switch_off(g);
    served_done(&g->served);
}

/* ---- the beginning ---- */

static int take_slots(struct gpio *g, struct gpiod_chip *chip, char **texts, int count,
                      struct error *err)
{
    int rc = 0;

    if (count > SERVED_SLOTS_MAX)
        return error_set(err, ERR_USAGE, "there are too many slots");
    for (int i = 0; rc == 0 && i < count; i++) {
        struct served_slot *slot = &g->served.slots[i];

        rc = wiring_take(&g->places[i].wiring, chip, texts[i], slot->label, err);
        slot->has_lid = g->places[i].wiring.lines[WIRE_LID] != NULL;
        g->served.count++;
    }
    return rc;
}

static int begin(struct gpio *g, char **argv, int argc, struct gpiod_chip **chip, struct error *err)
{
    int listener, rc;

    *chip = gpiod_chip_open_lookup(argv[2]);
    if (!*chip)
        return error_set_errno(err, errno, "cannot open the GPIO chip '%s'", argv[2]);
    rc = take_slots(g, *chip, argv + 3, argc - 3, err);
    if (rc == 0)
        rc = served_local(argv[1], &listener, err);
    if (rc == 0)
        served_listen(&g->served, listener);
    return rc;
}

int main(int argc, char **argv)
{
    static struct gpio g = {.served = {.name = "gpio", .heard = on_heard, .context = &g}};
    struct sigaction action = {.sa_handler = on_signal};
    struct gpiod_chip *chip = NULL;
    struct error err = ERROR_INIT;

    message_language();
    if (argc < 4) {
        fprintf(stderr, "usage: imprint-gpio SOCKET CHIP SLOT:ROLE=[!]LINE,...\n");
        return error_exit_status(ERR_USAGE);
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (begin(&g, argv, argc, &chip, &err))
        error_tell("imprint-gpio", &err);
    else
        run(&g);
    if (chip)
        gpiod_chip_close(chip);
    return error_exit_status(err.code);
}
