/* The plant's programs: what they say, read with limits, and that nothing of them runs on. */
#include "check_util.h"

#include "station/hook/keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID "00112233445566778899aabbccddeeff"

/* ---- answers ---- */

static const struct {
    const char *said;
    uint8_t verdict;
    const char *text;
} answers[] = {
    {"{\"id\":\"" ID "\",\"accept\":true}", HOOK_YES, ""},
    {" {\"accept\":false,\n\"id\":\"" ID "\"}\n", HOOK_NO, ""},
    {"{\"id\":\"" ID "\",\"accept\":false,\"reason\":\"no route\"}", HOOK_NO, "no route"},
    {"{\"id\":\"" ID "\",\"accept\":true,\"reason\":\"late\",\"more\":[1]}", HOOK_YES, "late"},
    {"{\"id\":\"" ID "\",\"accept\":false,\"reason\":\"f\303\274r\\n\\u001b[2J \"}", HOOK_NO,
     "f?r??[2J"},
    {"", HOOK_FAILED, "it said nothing"},
    {"true", HOOK_FAILED, "its answer is no JSON object"},
    {"[]", HOOK_FAILED, "its answer is no JSON object"},
    {"{\"id\":\"" ID "\",\"accept\":true", HOOK_FAILED, "its answer is no JSON object"},
    {"{\"id\":\"" ID "\",\"accept\":true} x", HOOK_FAILED, "its answer is no JSON object"},
    {"{\"id\":\"" ID "\",\"accept\":true}{}", HOOK_FAILED, "its answer is no JSON object"},
    {"{\"id\":\"" ID "\",\"accept\":false,\"accept\":true}", HOOK_FAILED,
     "its answer is no JSON object"},
    {"{\"accept\":true}", HOOK_FAILED, "its answer has not the 'id' of the question"},
    {"{\"id\":1,\"accept\":true}", HOOK_FAILED, "its answer has not the 'id' of the question"},
    {"{\"id\":\"\",\"accept\":true}", HOOK_FAILED, "its answer has not the 'id' of the question"},
    {"{\"id\":\"" ID "0\",\"accept\":true}", HOOK_FAILED,
     "its answer has not the 'id' of the question"},
    {"{\"id\":\"" ID "\"}", HOOK_FAILED, "its answer has no 'accept' that is true or false"},
    {"{\"id\":\"" ID "\",\"accept\":\"true\"}", HOOK_FAILED,
     "its answer has no 'accept' that is true or false"},
    {"{\"id\":\"" ID "\",\"accept\":1}", HOOK_FAILED,
     "its answer has no 'accept' that is true or false"},
    {"{\"id\":\"" ID "\",\"accept\":false,\"reason\":7}", HOOK_FAILED,
     "the 'reason' of its answer is no text"},
};

START_TEST(an_answer_is_one_object_about_this_question)
{
    struct hook_answer a = {.verdict = 9, .text = "before"};

    answer_read(answers[_i].said, strlen(answers[_i].said), ID, &a);
    ck_assert_uint_eq(a.verdict, answers[_i].verdict);
    ck_assert_str_eq(a.text, answers[_i].text);
}
END_TEST

START_TEST(a_long_reason_is_cut_and_a_long_answer_refused)
{
    char said[ANSWER_MAX + 200];
    struct hook_answer a;
    int len =
        snprintf(said, sizeof said, "{\"id\":\"" ID "\",\"accept\":false,\"reason\":\"%0*d\"}",
                 HOOK_TEXT_MAX + 1, 7);

    answer_read(said, (size_t)len, ID, &a);
    ck_assert_uint_eq(a.verdict, HOOK_NO);
    ck_assert_uint_eq(strlen(a.text), HOOK_TEXT_MAX);
    memset(said + len, ' ', sizeof said - (size_t)len);
    answer_read(said, ANSWER_MAX, ID, &a);
    ck_assert_uint_eq(a.verdict, HOOK_NO);
    answer_read(said, ANSWER_MAX + 1, ID, &a);
    ck_assert_uint_eq(a.verdict, HOOK_FAILED);
}
END_TEST

START_TEST(a_question_without_a_sound_id_has_none)
{
    static const char *const questions[] = {
        "", "{", "[]", "{\"id\":7}", "{\"id\":\"00\"}", "{\"id\":\"" ID "0\"}"};
    char id[2 * HOOK_ID_SIZE + 1];

    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        answer_id_of(questions[i], strlen(questions[i]), id);
        ck_assert_str_eq(id, "");
    }
    answer_id_of("{\"id\":\"" ID "\"}", strlen(ID) + 9, id);
    ck_assert_str_eq(id, ID);
}
END_TEST

/* ---- messages ---- */

START_TEST(a_question_passes_whole_or_not_at_all)
{
    struct buf question, m;
    const uint8_t *view;
    enum hook_kind kind;
    uint32_t number;
    struct reader r;
    size_t len;

    buf_init(&question, HOOK_QUESTION_MAX + 1);
    buf_init(&m, 2 * HOOK_QUESTION_MAX);
    buf_put_str(&question, "{}");
    wire_put_question(&m, 77, HOOK_OUTBOX, &question);
    reader_init(&r, m.data, m.len);
    ck_assert_int_eq(wire_get_question(&r, &number, &kind, &view, &len), 0);
    ck_assert(number == 77 && kind == HOOK_OUTBOX && len == 2 && memcmp(view, "{}", 2) == 0);
    for (size_t cut = 0; cut < 6; cut++) {
        reader_init(&r, m.data, cut);
        ASSERT_FAILS(wire_get_question(&r, &number, &kind, &view, &len), ERR_FORMAT);
    }
    m.data[4] = HOOK_KINDS;
    reader_init(&r, m.data, m.len);
    ASSERT_FAILS(wire_get_question(&r, &number, &kind, &view, &len), ERR_FORMAT);
    buf_reset(&m);
    memset(buf_grow(&question, HOOK_QUESTION_MAX - 1), 'x', HOOK_QUESTION_MAX - 1);
    wire_put_question(&m, 77, HOOK_OUTBOX, &question);
    reader_init(&r, m.data, m.len);
    ASSERT_FAILS(wire_get_question(&r, &number, &kind, &view, &len), ERR_FORMAT);
    buf_done(&question);
    buf_done(&m);
}
END_TEST

START_TEST(a_verdict_out_of_range_is_refused)
{
    struct hook_answer a = {.number = 1};
    struct reader r;
    struct buf m;

    for (unsigned verdict = 0; verdict < 6; verdict++) {
        struct hook_answer sent = {.number = 1, .verdict = (uint8_t)verdict};

        buf_init(&m, 100);
        wire_put_hook_answer(&m, &sent);
        reader_init(&r, m.data, m.len);
        ck_assert_int_eq(wire_get_hook_answer(&r, &a) == 0,
                         verdict >= HOOK_YES && verdict <= HOOK_FAILED);
        buf_done(&m);
    }
}
END_TEST

/* ---- programs ---- */

static int vault_end, alive;

/* Runs a script as a program of the plant, in a process that has no other children. */
static void run(const char *script, const char *input, int timeout_ms, struct keeper *k)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    vault_end = ends[0];
    alive = ends[1];
    keeper_run(argv, input, strlen(input), timeout_ms, alive, k);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
}

static void judge(const struct keeper *k, uint8_t verdict, const char *text)
{
    struct hook_answer a;

    keeper_judge(k, 2000, ID, &a);
    ck_assert_str_eq(a.text, text);
    ck_assert_uint_eq(a.verdict, verdict);
}

static const struct {
    const char *script;
    int timeout_ms;
    uint8_t verdict;
    const char *text;
} scripts[] = {
    {"cat", 60000, HOOK_YES, ""},
    {"echo '{\"id\":\"" ID "\",\"accept\":true}'", 60000, HOOK_YES, ""},
    {"exec </dev/null; echo '{\"id\":\"" ID "\",\"accept\":false,\"reason\":\"x\"}'", 60000,
     HOOK_NO, "x"},
    {"true", 60000, HOOK_FAILED, "it said nothing"},
    {"cat; exit 3", 60000, HOOK_FAILED, "it ended with status 3"},
    {"cat; echo no route >&2; echo more >&2; exit 3", 60000, HOOK_FAILED,
     "it ended with status 3: no route"},
    {"kill -9 $$", 60000, HOOK_FAILED, "it was ended by signal 9"},
    {"trap '' TERM INT HUP; while :; do sleep 1000; done", 100, HOOK_FAILED,
     "it did not end within 2 seconds"},
    {"yes", 60000, HOOK_FAILED, "it said more than 4096 bytes"},
    {"yes >&2", 100, HOOK_FAILED, "it did not end within 2 seconds"},
    {"x=$(setsid -f sh -c 'echo up; exec sleep 1000 >/dev/null 2>&1'); test $x = up && cat", 60000,
     HOOK_YES, ""},
    {"x=$(setsid -f sh -c 'echo up; exec sleep 1000 >/dev/null 2>&1'); sleep 1000", 500,
     HOOK_FAILED, "it did not end within 2 seconds"},
    {"(sleep 1000 &) ; cat", 60000, HOOK_YES, ""},
    {"env | grep -qv '^\\(PATH\\|LANG\\|PWD\\|OLDPWD\\|SHLVL\\|_\\)=' || cat", 60000, HOOK_YES, ""},
    {"test \"$(pwd)\" = / && test -z \"$SECRET\" && cat", 60000, HOOK_YES, ""},
    {"sudo -n true 2>/dev/null; grep -q 'NoNewPrivs:.1' /proc/self/status && cat", 60000, HOOK_YES,
     ""},
};

START_TEST(a_program_answers_or_is_ended_with_all_that_it_started)
{
    static struct keeper k;

    ck_assert_int_eq(setenv("SECRET", "1234", 1), 0);
    run(scripts[_i].script, "{\"id\":\"" ID "\",\"accept\":true}\n", scripts[_i].timeout_ms, &k);
    judge(&k, scripts[_i].verdict, scripts[_i].text);
}
END_TEST

START_TEST(a_program_inherits_no_descriptor)
{
    static struct keeper k;
    int other = dup(STDERR_FILENO); /* not even one that is to be inherited */

    ck_assert_int_ge(other, 3);
    run("ls /proc/self/fd | tr '\\n' ' ' >&2; exit 1", "", 60000, &k);
    /* the shell's own and one that ls opens */
    ck_assert_str_eq(k.complaint, "0 1 2 3");
}
END_TEST

START_TEST(a_program_that_is_not_there_says_so)
{
    const char *const argv[] = {"/nowhere/mes", NULL};
    static struct keeper k;

    keeper_run(argv, "", 0, 60000, -1, &k);
    judge(&k, HOOK_FAILED, "it ended with status 127: cannot start it: No such file or directory");
}
END_TEST

START_TEST(a_program_ends_when_the_vault_is_gone)
{
    const char *const argv[] = {"/bin/sh", "-c", "sleep 1000 & sleep 1000", NULL};
    static struct keeper k;
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    close(ends[0]);
    keeper_run(argv, "", 0, 3600 * 1000, ends[1], &k);
    ck_assert_int_eq(k.how, KEEPER_ABANDONED);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(a_large_question_reaches_a_program_that_reads_late)
{
    static char input[HOOK_QUESTION_MAX + 1];
    static struct keeper k;

    memset(input, 'x', HOOK_QUESTION_MAX);
    run("sleep 0.1; test $(wc -c) = 4096 && echo '{\"id\":\"" ID "\",\"accept\":true}'", input,
        60000, &k);
    judge(&k, HOOK_YES, "");
}
END_TEST

CHECK_ITEMS_MAIN("hook", EACH_ROW(an_answer_is_one_object_about_this_question, answers),
                 ONCE(a_long_reason_is_cut_and_a_long_answer_refused),
                 ONCE(a_question_without_a_sound_id_has_none),
                 ONCE(a_question_passes_whole_or_not_at_all),
                 ONCE(a_verdict_out_of_range_is_refused),
                 EACH_ROW(a_program_answers_or_is_ended_with_all_that_it_started, scripts),
                 ONCE(a_program_inherits_no_descriptor), ONCE(a_program_that_is_not_there_says_so),
                 ONCE(a_program_ends_when_the_vault_is_gone),
                 ONCE(a_large_question_reaches_a_program_that_reads_late))
