/*
 * imprint-hook: runs the plant's programs, so that neither the vault nor the line does. It has no PIN, no
 * device and no database; `imprint run` and `imprint outbox` start it where station.yaml names such programs.
 * It takes questions on its socket (station/wire/hook.h), starts a keeper for each, and ends with the vault.
 *
 * The station's folder is out of sight for it and for the programs (station/confine/hide.h).
 *
 * usage: imprint-hook FOLDER [KIND PROGRAM COUNT ARGUMENT...]...
 */
#include "station/confine/confine.h"
#include "station/confine/hide.h"
#include "station/hook/keeper.h"
#include "station/wire/channel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL_FD    CHANNEL_LINE_FD /* where it is started with its socket */
#define ARGUMENTS_MAX 16

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process, which this one does not allow. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

struct program {
    const char *argv[ARGUMENTS_MAX + 2]; /* argv[0] NULL: none of this kind */
};

static int kind_of(const char *name)
{
    for (int kind = 0; kind < HOOK_KINDS; kind++)
        if (strcmp(name, hook_name((enum hook_kind)kind)) == 0)
            return kind;
    return -1;
}

static bool read_arguments(char **argv, int count, struct program programs[HOOK_KINDS])
{
    int at = 2;

    while (at + 2 < count) {
        int kind = kind_of(argv[at]), number = atoi(argv[at + 2]);

        if (kind < 0 || number < 0 || number > ARGUMENTS_MAX || at + 2 + number >= count)
            return false;
        programs[kind].argv[0] = argv[at + 1];
        for (int i = 0; i < number; i++)
            programs[kind].argv[1 + i] = argv[at + 3 + i];
        at += 3 + number;
    }
    return count > 2 && at == count;
}

static void answer(const struct hook_answer *a)
{
    struct buf m;

    buf_init(&m, WIRE_MAX);
    wire_put_hook_answer(&m, a);
    (void)!channel_send(CONTROL_FD, &m, NULL); /* a vault that is gone wants none */
    buf_done(&m);
}

/* The keeper: a process for one question. */
static void keep(const struct program *program, enum hook_kind kind, uint32_t number,
                 const uint8_t *question, size_t len)
{
    struct hook_answer a = {.number = number, .verdict = HOOK_FAILED};
    char id[2 * HOOK_ID_SIZE + 1];
    static struct keeper k;

    answer_id_of(question, len, id);
    keeper_run(program->argv, question, len, hook_timeout_ms(kind), CONTROL_FD, &k);
    keeper_judge(&k, hook_timeout_ms(kind), id, &a);
    answer(&a);
}

static void start_keeper(const struct program *program, enum hook_kind kind, uint32_t number,
                         const uint8_t *question, size_t len)
{
    struct hook_answer a = {.number = number, .verdict = HOOK_FAILED};
    pid_t pid = program->argv[0] ? fork() : -1;

    if (pid == 0) {
        (void)signal(SIGCHLD, SIG_DFL);
        keep(program, kind, number, question, len);
        _exit(0);
    }
    if (pid > 0)
        return;
    snprintf(a.text, sizeof a.text, "the system cannot start it: %s",
             program->argv[0] ? strerror(errno) : "there is none");
    answer(&a);
}

/* Until the vault closes its end. */
static void serve(const struct program programs[HOOK_KINDS], struct buf *m)
{
    while (channel_receive(CONTROL_FD, m, NULL) == 0) {
        const uint8_t *question;
        enum hook_kind kind;
        uint32_t number;
        struct reader r;
        size_t len;

        reader_init(&r, m->data, m->len);
        if (wire_get_question(&r, &number, &kind, &question, &len))
            return;
        start_keeper(&programs[kind], kind, number, question, len);
    }
}

int main(int argc, char **argv)
{
    static struct program programs[HOOK_KINDS];
    struct error err = ERROR_INIT;
    struct buf m;

    message_language();
    if (!read_arguments(argv, argc, programs)) {
        fprintf(stderr, "imprint-hook: 'imprint run' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    signal(SIGINT, SIG_IGN); /* Ctrl-C goes to the whole terminal: what was asked is answered */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for a keeper: it answers by itself */
    if (!hide_folder(argv[1]))
        fprintf(stderr, "imprint-hook: this kernel does not hide the station's folder: the plant's "
                        "programs could read it\n");
    if (confine_memory(&err)) {
        error_tell("imprint-hook", &err);
        return error_exit_status(err.code);
    }
    buf_init(&m, WIRE_MAX);
    serve(programs, &m);
    buf_done(&m);
    return 0;
}
