/* What the operator's screen knows: events in, tiles, words and letters out; no terminal. */
#include "check_util.h"

#include "station/board/layout.h"
#include "station/board/model.h"
#include "station/board/words.h"

#include <stdio.h>
#include <string.h>

static struct board b;

static void make_board(void)
{
    memset(&b, 0, sizeof b);
    board_init(&b);
}

static void take(const char *line)
{
    board_take(&b, line, strlen(line));
}

static const struct board_slot *slot(const char *label)
{
    int at = board_find(&b, label);

    ck_assert_int_ge(at, 0);
    return &b.slots[at];
}

/* ---- slots ---- */

START_TEST(a_slot_goes_through_its_states)
{
    static const struct {
        const char *line;
        enum board_state state;
        const char *word, *serial;
        int percent;
    } steps[] = {
        {"{\"event\":\"empty\",\"slot\":\"S1\"}", BOARD_EMPTY, "EMPTY", "", 0},
        {"{\"event\":\"wait\",\"slot\":\"S1\"}", BOARD_WAIT, "READY", "", 0},
        {"{\"event\":\"hello\",\"slot\":\"S1\"}", BOARD_HELLO, "FOUND", "", 0},
        {"{\"event\":\"keygen\",\"serial\":\"P-1\",\"slot\":\"S1\"}", BOARD_KEYGEN, "KEYGEN", "P-1",
         0},
        {"{\"event\":\"deliver\",\"serial\":\"P-1\",\"slot\":\"S1\"}", BOARD_DELIVER, "WRITING",
         "P-1", 0},
        {"{\"event\":\"progress\",\"serial\":\"P-1\",\"slot\":\"S1\",\"done\":500,\"total\":2000}",
         BOARD_DELIVER, "WRITING", "P-1", 25},
        {"{\"event\":\"unheard\",\"slot\":\"S1\",\"serial\":\"X\"}", BOARD_DELIVER, "WRITING",
         "P-1", 25},
        {"{\"event\":\"prove\",\"serial\":\"P-1\",\"slot\":\"S1\"}", BOARD_PROVE, "CHECKING", "P-1",
         25},
        {"{\"event\":\"pass\",\"serial\":\"P-1\",\"slot\":\"S1\",\"again\":true,\"ms\":4}",
         BOARD_PASS, "PASS", "P-1", 25},
        {"{\"event\":\"out\",\"slot\":\"S1\"}", BOARD_PASS, "PASS", "P-1", 25},
        {"{\"event\":\"wait\",\"slot\":\"S1\"}", BOARD_WAIT, "READY", "", 0},
    };

    make_board();
    take("{\"event\":\"state\",\"state\":\"running\"}");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        take(steps[i].line);
        ck_assert_int_eq(slot("S1")->state, steps[i].state);
        ck_assert_str_eq(words_state(&b, slot("S1")), steps[i].word);
        ck_assert_str_eq(slot("S1")->serial, steps[i].serial);
        ck_assert_int_eq(board_percent(slot("S1")), steps[i].percent);
        ck_assert(slot("S1")->again == (steps[i].state == BOARD_PASS));
    }
    ck_assert_uint_eq(b.count, 1);
}
END_TEST

START_TEST(a_scan_is_asked_for_and_told)
{
    make_board();
    take("{\"event\":\"state\",\"state\":\"running\"}");
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    take("{\"event\":\"scanned\",\"state\":\"slot\",\"slot\":\"S1\",\"text\":\"now the unit\"}");
    ck_assert_str_eq(b.notice, "S1: now the unit");
    ck_assert_str_eq(words_state(&b, slot("S1")), "READY");
    take("{\"event\":\"scanned\",\"state\":\"armed\",\"slot\":\"S1\",\"serial\":\"P-1\"}");
    ck_assert_str_eq(words_state(&b, slot("S1")), "ARMED");
    take("{\"event\":\"scanned\",\"state\":\"refused\",\"text\":\"wrong product\"}");
    ck_assert_str_eq(b.notice, "wrong product");
    ck_assert_str_eq(words_state(&b, slot("S1")), "ARMED");
    take("{\"event\":\"scanned\",\"state\":\"expired\",\"slot\":\"S1\"}");
    ck_assert_str_eq(words_state(&b, slot("S1")), "READY");
    take("{\"event\":\"scan\",\"scan\":\"unit\",\"slot\":\"S1\"}");
    ck_assert_str_eq(words_state(&b, slot("S1")), "SCAN");
    ck_assert_str_eq(words_next(&b, slot("S1")), "Scan this slot, then its unit.");
    take("{\"event\":\"scan\",\"scan\":\"label\",\"serial\":\"P-1\",\"slot\":\"S1\"}");
    ck_assert_str_eq(words_next(&b, slot("S1")), "Scan the label of this unit.");
    ck_assert_uint_eq(b.count, 1);
}
END_TEST

/* Whatever comes and goes before the vault said that it is over, or a device got its serial. */
START_TEST(a_slot_stays_armed_as_long_as_the_vault_has_it)
{
    make_board();
    take("{\"event\":\"state\",\"state\":\"running\"}");
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    take("{\"event\":\"scanned\",\"state\":\"armed\",\"slot\":\"S1\",\"serial\":\"P-1\"}");
    take("{\"event\":\"hello\",\"slot\":\"S1\"}");
    take("{\"event\":\"fail\",\"slot\":\"S1\",\"error\":\"ERR_GONE\"}");
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    ck_assert_str_eq(words_state(&b, slot("S1")), "ARMED");
    take("{\"event\":\"deliver\",\"slot\":\"S1\",\"serial\":\"P-1\"}");
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    ck_assert_str_eq(words_state(&b, slot("S1")), "READY");
}
END_TEST

START_TEST(a_disabled_slot_says_who_may_help_and_is_in_sight)
{
    make_board();
    take("{\"event\":\"fail\",\"slot\":\"S2\",\"action\":\"reseat\",\"text\":\"no answer\"}");
    take("{\"event\":\"fail\",\"slot\":\"S1\",\"action\":\"reseat\",\"text\":\"no answer\"}");
    take("{\"event\":\"disabled\",\"slot\":\"S1\",\"reason\":\"failures\",\"text\":\"3 units\"}");
    ck_assert_int_eq(slot("S1")->state, BOARD_DISABLED);
    ck_assert_str_eq(words_state(&b, slot("S1")), "DISABLED");
    ck_assert_str_eq(slot("S1")->text, "3 units");
    ck_assert_ptr_nonnull(strstr(words_next(&b, slot("S1")), "F3"));
    ck_assert_str_eq(words_next_short(slot("S1")), "use another");
    ck_assert_int_eq(board_last_failure(&b), 0);
    take("{\"event\":\"disabled\",\"slot\":\"S1\",\"reason\":\"contacts\",\"text\":\"worn\"}");
    ck_assert_ptr_null(strstr(words_next(&b, slot("S1")), "F3"));
    ck_assert_ptr_nonnull(strstr(words_next(&b, slot("S1")), "engineer"));
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    ck_assert_int_eq(board_last_failure(&b), 1);
}
END_TEST

START_TEST(a_failure_says_why_and_what_to_do_and_the_last_one_is_known)
{
    make_board();
    take("{\"event\":\"fail\",\"slot\":\"S1\",\"error\":\"ERR_TIMEOUT\",\"action\":\"reseat\","
         "\"text\":\"no answer\"}");
    take("{\"event\":\"fail\",\"slot\":\"S2\",\"action\":\"never_heard_of\",\"text\":\"odd\"}");
    ck_assert_int_eq(board_last_failure(&b), 1);
    ck_assert_str_eq(slot("S1")->text, "no answer");
    ck_assert_ptr_nonnull(strstr(words_next(&b, slot("S1")), "Press the device into its slot"));
    ck_assert_str_eq(words_next_short(slot("S1")), "reseat it");
    ck_assert_ptr_nonnull(strstr(words_next(&b, slot("S2")), "Call the engineer"));
    take("{\"event\":\"wait\",\"slot\":\"S2\"}");
    ck_assert_int_eq(board_last_failure(&b), 0);
    ck_assert_str_eq(slot("S2")->text, "");
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    ck_assert_int_eq(board_last_failure(&b), -1);
}
END_TEST

START_TEST(a_retry_is_told_until_the_next_device)
{
    make_board();
    take("{\"event\":\"hello\",\"slot\":\"S1\"}");
    take("{\"event\":\"retry\",\"slot\":\"S1\",\"attempt\":2,\"limit\":3,\"text\":\"late\"}");
    ck_assert_int_eq((int)slot("S1")->attempt, 2);
    ck_assert_int_eq((int)slot("S1")->limit, 3);
    ck_assert_int_eq(slot("S1")->state, BOARD_HELLO);
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    ck_assert_int_eq((int)slot("S1")->attempt, 0);
}
END_TEST

START_TEST(slots_are_in_the_order_of_their_numbers)
{
    static const char *const labels[] = {"S10", "S2", "S1", "A1", "S02", "S", "S2b", "S9"};
    static const char *const sorted[] = {"A1", "S", "S1", "S02", "S2", "S2b", "S9", "S10"};
    char line[100];

    make_board();
    for (size_t i = 0; i < 8; i++) {
        snprintf(line, sizeof line, "{\"event\":\"wait\",\"slot\":\"%s\"}", labels[i]);
        take(line);
    }
    ck_assert_uint_eq(b.count, 8);
    for (size_t i = 0; i < 8; i++)
        ck_assert_str_eq(b.slots[i].label, sorted[i]);
}
END_TEST

START_TEST(no_more_slots_than_there_is_room_for)
{
    char line[100];

    make_board();
    for (int i = 0; i < BOARD_SLOTS_MAX + 20; i++) {
        snprintf(line, sizeof line, "{\"event\":\"wait\",\"slot\":\"S%d\"}", i);
        take(line);
    }
    ck_assert_uint_eq(b.count, BOARD_SLOTS_MAX);
}
END_TEST

/* ---- the whole line ---- */

START_TEST(counts_and_states_of_the_line_are_shown)
{
    char text[200];

    make_board();
    ck_assert_str_eq(words_line(&b), "STARTING");
    ck_assert_ptr_nonnull(strstr(words_counts(&b, 78, text, sizeof text), "yield -   pace -"));
    take("{\"event\":\"begin\",\"order\":\"ACME-1\",\"product\":\"0950\",\"version\":1}");
    take("{\"event\":\"state\",\"state\":\"paused\"}");
    take("{\"event\":\"counts\",\"passed\":2,\"again\":5,\"failed\":1,\"good\":100,\"pace\":120,"
         "\"remaining\":98,\"proven\":2,\"available\":98}");
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    ck_assert_str_eq(b.order, "ACME-1");
    ck_assert_str_eq(words_line(&b), "PAUSED");
    ck_assert_str_eq(words_state(&b, slot("S1")), "PAUSED");
    ck_assert_str_eq(words_counts(&b, 78, text, sizeof text),
                     "passed 2 (+5 again)   failed 1   yield 66 %   pace 120/h   left 98 of 100");
    take("{\"event\":\"counts\",\"passed\":2,\"failed\":1,\"pace\":null}");
    ck_assert_int_eq((int)b.pace, -1);
    take("{\"event\":\"end\",\"passed\":7,\"failed\":1,\"reason\":\"done\"}");
    ck_assert_str_eq(words_line(&b), "ENDED");
    ck_assert_str_eq(b.reason, "done");
}
END_TEST

/* Nothing is cut: what fits no more is left out whole. */
START_TEST(the_counts_of_a_large_order_fit_the_smallest_terminal)
{
    static const struct {
        size_t width;
        const char *text;
    } rows[] = {
        {90, "passed 12345 (+678 again)   failed 901   yield 93 %   pace 1200/h   left 86754 of "
             "100000"},
        {85,
         "passed 12345 (+678 again)  failed 901  yield 93 %  pace 1200/h  left 86754 of 100000"},
        {78, "passed 12345  failed 901  yield 93 %  pace 1200/h  left 86754 of 100000"},
        {60, "passed 12345  failed 901  yield 93 %  left 86754 of 100000"},
        {50, "passed 12345  failed 901  left 86754 of 100000"},
        {10, "passed 12345  failed 901  left 86754 of 100000"},
    };
    char text[200];

    make_board();
    take("{\"event\":\"counts\",\"passed\":12345,\"again\":678,\"failed\":901,\"good\":100000,"
         "\"pace\":1200,\"remaining\":86754}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_str_eq(words_counts(&b, rows[i].width, text, sizeof text), rows[i].text);
}
END_TEST

START_TEST(what_the_plant_said_of_a_unit_that_passed_is_a_notice)
{
    make_board();
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    take("{\"event\":\"pass\",\"slot\":\"S1\",\"plant\":\"it did not answer\"}");
    ck_assert_str_eq(b.notice, "S1: it did not answer");
    ck_assert_int_eq(slot("S1")->state, BOARD_PASS);
    take("{\"event\":\"out\",\"slot\":\"S1\"}");
    take("{\"event\":\"wait\",\"slot\":\"S1\"}");
    ck_assert_str_eq(b.notice, "S1: it did not answer"); /* the next one will have it too */
}
END_TEST

START_TEST(a_notice_is_gone_when_it_holds_no_more)
{
    make_board();
    take("{\"event\":\"notice\",\"text\":\"no port matches\"}");
    take("{\"event\":\"empty\",\"slot\":\"S1\"}");
    ck_assert_str_eq(b.notice, "no port matches");
    take("{\"event\":\"wait\",\"slot\":\"S1\"}"); /* a port came */
    ck_assert_str_eq(b.notice, "");
    take(
        "{\"event\":\"notice\",\"text\":\"devices are begun\",\"command\":\"resume\",\"ok\":true}");
    take("{\"event\":\"state\",\"state\":\"running\"}");
    ck_assert_str_eq(b.notice, "devices are begun");
    take("{\"event\":\"hello\",\"slot\":\"S1\"}");
    ck_assert_str_eq(b.notice, "");
    board_notice(&b, "warning", 7);
    take("{\"event\":\"deliver\",\"slot\":\"S1\"}");
    ck_assert_str_eq(b.notice, "warning");
    take("{\"event\":\"wait\",\"slot\":\"S2\"}");
    ck_assert_str_eq(b.notice, "");
}
END_TEST

START_TEST(every_action_has_words_of_its_own_that_fit)
{
    static const char *const actions[] = {"reseat", "set_aside", "free_port", "generate",
                                          "again",  "scan",      "swap",      "job",
                                          "order",  "restart",   "call"};
    const char *before = "";
    char line[120];

    make_board();
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        snprintf(line, sizeof line, "{\"event\":\"fail\",\"slot\":\"S1\",\"action\":\"%s\"}",
                 actions[i]);
        take(line);
        ck_assert_str_ne(words_next(&b, slot("S1")), before);
        before = words_next(&b, slot("S1"));
        ck_assert_uint_le(strlen(before), 78);
        ck_assert_uint_le(strlen(words_next_short(slot("S1"))), 9);
        ck_assert((strstr(before, "aside") != NULL) == (strcmp(actions[i], "set_aside") == 0));
    }
}
END_TEST

/* ---- what is hostile ---- */

START_TEST(nothing_but_printable_ascii_and_bounded_texts_come_out)
{
    static const char *const members[] = {"text", "serial", "slot", "action"};
    char line[4000], filler[1500];

    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = 0;
    for (size_t i = 0; i < 4; i++) {
        make_board();
        snprintf(line, sizeof line,
                 "{\"event\":\"fail\",\"slot\":\"S1\",\"%s\":\"a\\u001b]0;x\\u0007\\u0000\\u009b"
                 "\xc3\xa9\\r\\n\\u202e%s\"}",
                 i == 2 ? "order" : members[i], filler);
        if (i == 2)
            snprintf(line, sizeof line, "{\"event\":\"wait\",\"slot\":\"\\u001b[2J%s\"}", filler);
        take(line);
        ck_assert_uint_eq(b.count, 1);
        for (const char *p = (const char *)&b.slots[0]; p < b.slots[0].action; p++)
            ck_assert_int_ne(*p, 0x1b);
        for (const char *p = b.slots[0].text; *p; p++)
            ck_assert(*p >= 0x20 && *p < 0x7f);
        for (const char *p = b.slots[0].label; *p; p++)
            ck_assert(*p >= 0x20 && *p < 0x7f);
    }
}
END_TEST

START_TEST(what_is_no_event_is_a_notice_and_nothing_else)
{
    static const char *const lines[] = {
        "\x1b[31mpanic\x07", "{", "[]", "{\"event\":7}", "7", "{\"event\":\"a\",\"event\":\"a\"}"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        make_board();
        take(lines[i]);
        ck_assert_uint_eq(b.count, 0);
        ck_assert_uint_eq(strlen(b.notice), strlen(lines[i]));
        ck_assert_ptr_null(strchr(b.notice, 0x1b));
    }
    make_board();
    take("{\"event\":\"wait\",\"slot\":7}");
    take("{\"event\":\"wait\",\"slot\":\"\"}");
    take("{\"event\":\"counts\",\"passed\":-3,\"failed\":\"x\",\"good\":1.5}");
    ck_assert_uint_eq(b.count, 0);
    ck_assert(b.passed == 0 && b.failed == 0 && b.good == 0);
}
END_TEST

/* ---- layout ---- */

START_TEST(tiles_fit_and_letters_are_as_large_as_they_can_be)
{
    static const struct {
        size_t count;
        int width, height, columns, rows, pages, wide;
    } sizes[] = {
        {1, 80, 18, 1, 1, 1, 4},   {2, 80, 18, 2, 1, 1, 2},   {8, 80, 18, 4, 2, 1, 1},
        {32, 80, 18, 8, 4, 1, 0},  {32, 160, 54, 6, 6, 1, 1}, {0, 80, 18, 1, 1, 1, 4},
        {100, 80, 18, 8, 9, 2, 0}, {3, 12, 3, 1, 1, 3, 0},
    };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct layout l = layout_tiles(sizes[i].count, sizes[i].width, sizes[i].height);
        struct letters letters = layout_letters(4, l.width - 2, l.height - 4);

        ck_assert_int_eq(l.columns, sizes[i].columns);
        ck_assert_int_eq(l.rows, sizes[i].rows);
        ck_assert_int_eq(l.pages, sizes[i].pages);
        ck_assert_int_eq(letters.wide, sizes[i].wide);
    }
}
END_TEST

START_TEST(no_size_of_the_terminal_leaves_a_tile_outside)
{
    for (int width = 1; width < 200; width += 3)
        for (int height = 1; height < 70; height++)
            for (size_t count = 0; count <= BOARD_SLOTS_MAX; count += 17) {
                struct layout l = layout_tiles(count, width, height);

                ck_assert_int_ge(width, l.columns * l.width);
                ck_assert_int_ge(height, l.rows * l.height);
                ck_assert_int_ge(l.columns * l.rows * l.pages, (int)count);
            }
}
END_TEST

START_TEST(letters_are_what_they_are_called)
{
    static const char *const word = "PASFIL";
    static const char *const rows[] = {"###.###.###.###.###.#..", "#.#.#.#.#...#....#..#..",
                                       "###.###.###.###..#..#..", "#...#.#...#.#....#..#..",
                                       "#...#.#.###.#...###.###"};

    for (int row = 0; row < LAYOUT_LETTER_HEIGHT; row++)
        for (int column = 0; column < 23; column++)
            ck_assert_int_eq(column % 4 == 3 ? 0 : layout_dot(word[column / 4], column % 4, row),
                             rows[row][column] == '#');
    ck_assert_int_eq(layout_dot('X', 0, 0), 0);
}
END_TEST

START_TEST(a_text_is_broken_at_spaces)
{
    static const char *const lines[] = {"press the", "device", "verylongwo", "rd in"};
    const char *text = "  press the device  verylongword in";
    char line[11];

    for (size_t i = 0; i < 4; i++) {
        ck_assert(words_wrap(&text, 10, line));
        ck_assert_str_eq(line, lines[i]);
    }
    ck_assert(!words_wrap(&text, 10, line));
}
END_TEST

CHECK_MAIN("board", a_slot_goes_through_its_states, a_scan_is_asked_for_and_told,
           a_slot_stays_armed_as_long_as_the_vault_has_it,
           a_disabled_slot_says_who_may_help_and_is_in_sight,
           a_failure_says_why_and_what_to_do_and_the_last_one_is_known,
           a_retry_is_told_until_the_next_device, slots_are_in_the_order_of_their_numbers,
           no_more_slots_than_there_is_room_for, counts_and_states_of_the_line_are_shown,
           the_counts_of_a_large_order_fit_the_smallest_terminal,
           what_the_plant_said_of_a_unit_that_passed_is_a_notice,
           a_notice_is_gone_when_it_holds_no_more, every_action_has_words_of_its_own_that_fit,
           nothing_but_printable_ascii_and_bounded_texts_come_out,
           what_is_no_event_is_a_notice_and_nothing_else,
           tiles_fit_and_letters_are_as_large_as_they_can_be,
           no_size_of_the_terminal_leaves_a_tile_outside, letters_are_what_they_are_called,
           a_text_is_broken_at_spaces)
