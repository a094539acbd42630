/* Reports: text stays text, plots are to scale, figures add up. */
#include "check_util.h"

#include "station/report/figures.h"
#include "station/report/markup.h"
#include "station/report/page.h"
#include "station/report/plot.h"
#include "station/report/svg.h"

#include <stdio.h>

static struct buf out;

static void setup(void)
{
    buf_init(&out, 1 << 20);
}

static void teardown(void)
{
    buf_done(&out);
}

static const char *text_of(struct buf *b)
{
    buf_put_u8(b, 0);
    ck_assert(!buf_failed(b));
    return (const char *)b->data;
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;

    while ((text = strstr(text, what))) {
        n++;
        text += strlen(what);
    }
    return n;
}

/* ---- markup ---- */

static const struct {
    const char *text, *markup;
} escapes[] = {
    {"PUMP-0000001", "PUMP-0000001"},
    {"", ""},
    {"<script>", "&lt;script&gt;"},
    {"a&b", "a&amp;b"},
    {"&amp;", "&amp;amp;"},
    {"\"' onload='x", "&quot;&#39; onload=&#39;x"},
    {"]]>-->", "]]&gt;--&gt;"},
    {"\x1b[2J\x7f\n", "&#xFFFD;[2J&#xFFFD;&#xFFFD;"},
    {"\xe2\x80\xae", "&#xFFFD;&#xFFFD;&#xFFFD;"},
};

START_TEST(text_is_no_markup)
{
    markup_text(&out, escapes[_i].text);
    ck_assert_str_eq(text_of(&out), escapes[_i].markup);
}
END_TEST

START_TEST(elements_hold_text)
{
    markup_element(&out, "td", "n", "</td>");
    markup_element(&out, "th", NULL, "%s");
    markup_printf(&out, "%s", "<b>");
    ck_assert_str_eq(text_of(&out), "<td class=\"n\">&lt;/td&gt;</td><th>%s</th>&lt;b&gt;");
}
END_TEST

/* ---- svg and plots ---- */

START_TEST(shapes)
{
    svg_begin(&out, 100, 20.55, "a \"plot\"");
    svg_rect(&out, "pass", 0, -0.25, 10.04, 1.0 / 3, NULL);
    svg_rect(&out, "fail", 1, 2, 3, 4, "<tip>");
    svg_text(&out, "tick", SVG_END, 5, 6, "a<b");
    svg_end(&out);
    ck_assert_str_eq(
        text_of(&out),
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 100 20.6\" "
        "aria-label=\"a &quot;plot&quot;\">\n"
        "<rect class=\"pass\" x=\"0\" y=\"-0.3\" width=\"10\" height=\"0.3\"/>\n"
        "<rect class=\"fail\" x=\"1\" y=\"2\" width=\"3\" height=\"4\"><title>&lt;tip&gt;</title>"
        "</rect>\n"
        "<text class=\"tick\" text-anchor=\"end\" x=\"5\" y=\"6\">a&lt;b</text>\n"
        "</svg>\n");
}
END_TEST

static const struct {
    int64_t most, steps, step;
} steps[] = {{0, 5, 1},  {1, 5, 1},   {5, 5, 1},    {6, 5, 2},    {10, 5, 2},
             {11, 5, 5}, {67, 5, 20}, {100, 5, 20}, {101, 5, 50}, {123456, 5, 50000}};

START_TEST(scales_are_round)
{
    ck_assert_int_eq(plot_step(steps[_i].most, steps[_i].steps), steps[_i].step);
}
END_TEST

/* The number behind name=" in the first element of a class. */
static double attribute(const char *text, const char *class, const char *name)
{
    char begin[64], member[32];
    const char *at;

    snprintf(begin, sizeof begin, "class=\"%s\"", class);
    snprintf(member, sizeof member, " %s=\"", name);
    at = strstr(text, begin);
    ck_assert_ptr_nonnull(at);
    at = strstr(at, member);
    ck_assert_ptr_nonnull(at);
    return strtod(at + strlen(member), NULL);
}

START_TEST(columns_are_to_scale)
{
    const struct plot_value values[] = {{.label = "06:00", .pass = 30, .fail = 10},
                                        {.label = "07:00"}};
    const char *text;
    double pass, fail;

    plot_columns(&out, "pace", values, 2);
    text = text_of(&out);
    pass = attribute(text, "pass", "height");
    fail = attribute(text, "fail", "height");
    ck_assert(pass > 2.99 * fail && pass < 3.01 * fail);
    ck_assert_double_eq_tol(attribute(text, "fail", "y") + fail, attribute(text, "pass", "y"),
                            0.11);
    ck_assert_uint_eq(count_of(text, "<rect"), 2); /* nothing of a column without attempts */
    ck_assert_uint_eq(count_of(text, ">40</text>"), 1);
}
END_TEST

START_TEST(bars_are_to_scale)
{
    const struct plot_value values[] = {{.label = "S1", .pass = 900, .fail = 100},
                                        {.label = "<S2>", .pass = 500, .fail = 500}};
    const char *text;

    plot_bars(&out, "yield", values, 2, 1000);
    text = text_of(&out);
    ck_assert_double_eq_tol(attribute(text, "pass", "width"), 9 * attribute(text, "fail", "width"),
                            1);
    ck_assert_uint_eq(count_of(text, "&lt;S2&gt;"), 1);
    ck_assert_uint_eq(count_of(text, "<S2>"), 0);
}
END_TEST

/* ---- figures ---- */

static struct report_attempt attempt(int64_t at, const char *slot, int code, bool again)
{
    struct report_attempt a = {.at = at, .code = code, .again = again, .text = (char *)"why"};

    strcpy(a.slot, slot);
    return a;
}

static struct figures f; /* too large for the stack */

START_TEST(attempts_add_up)
{
    struct report_attempt attempts[] = {
        attempt(1000, "S10", 0, false),        attempt(1010, "S2", ERR_TIMEOUT, false),
        attempt(1020, "S2", 0, false),         attempt(1030, "S2", 0, true),
        attempt(1040, "S10", ERR_GONE, false), attempt(1100, "S1", ERR_TIMEOUT, false),
        attempt(4600, "S1", 0, false),
    };
    struct report_unit units[] = {{.state = "proven", .proven = 1000},
                                  {.state = "proven", .proven = 1020, .failed = 1},
                                  {.state = "revoked", .proven = 4600, .failed = 1},
                                  {.state = "claimed"}};
    struct report r = {.filter = {.kind = HISTORY_ORDER, .name = "A"},
                       .units = units,
                       .unit_count = 4,
                       .attempts = attempts,
                       .attempt_count = sizeof attempts / sizeof *attempts};
    struct figures_count sum = {0};

    figures_take(&r, &f);
    ck_assert_int_eq(f.all.passed, 3);
    ck_assert_int_eq(f.all.again, 1);
    ck_assert_int_eq(f.all.failed, 3);
    ck_assert_int_eq(f.proven, 2);
    ck_assert_int_eq(f.revoked, 1);
    ck_assert_int_eq(f.open, 1);
    ck_assert_int_eq(f.first_try, 1);
    ck_assert_uint_eq(f.slot_count, 3);
    ck_assert_str_eq(f.slots[0].slot, "S1");
    ck_assert_str_eq(f.slots[1].slot, "S2");
    ck_assert_str_eq(f.slots[2].slot, "S10");
    ck_assert_int_eq(f.slots[1].count.again, 1);
    ck_assert_uint_eq(f.reason_count, 2);
    ck_assert_int_eq(f.reasons[0].code, ERR_TIMEOUT);
    ck_assert_int_eq(f.reasons[0].count, 2);
    for (size_t i = 0; i < f.bin_count; i++) {
        sum.passed += f.bins[i].passed;
        sum.failed += f.bins[i].failed;
    }
    ck_assert_int_eq(sum.passed, 3);
    ck_assert_int_eq(sum.failed, 3);
    ck_assert_int_eq(figures_pace(&r, &f), 30); /* three in an hour */
}
END_TEST

START_TEST(nothing_adds_up_to_nothing)
{
    struct report r = {.filter = {.kind = HISTORY_ORDER, .name = "A"}};

    figures_take(&r, &f);
    ck_assert_uint_eq(f.bin_count, 0);
    ck_assert_int_eq(figures_yield(&f.all), -1);
    ck_assert_int_eq(figures_pace(&r, &f), -1);
    page_write(&r, &f, NULL, 0, &out);
    ck_assert_ptr_nonnull(strstr(text_of(&out), "No attempt failed."));
}
END_TEST

static const int64_t spans[] = {1,     59,        60,         3600,        8 * 3600,
                                86400, 7 * 86400, 60 * 86400, 400 * 86400, 4000LL * 86400};

START_TEST(bins_are_few_and_cover_all)
{
    struct report_attempt attempts[] = {attempt(1763712345, "S1", 0, false),
                                        attempt(1763712345 + spans[_i], "S1", ERR_GONE, false)};
    struct report r = {
        .filter = {.kind = HISTORY_LOT, .name = "A"}, .attempts = attempts, .attempt_count = 2};

    figures_take(&r, &f);
    ck_assert_uint_ge(f.bin_count, 1);
    ck_assert_uint_le(f.bin_count, FIGURES_BINS_MAX);
    ck_assert_int_eq(f.bins[0].passed, 1);
    ck_assert_int_eq(f.bins[f.bin_count - 1].failed, 1);
}
END_TEST

static const struct {
    struct figures_count count;
    int64_t yield;
} yields[] = {{{0, 0, 0}, -1},  {{1, 0, 0}, 1000},    {{0, 5, 1}, 0},
              {{2, 0, 1}, 667}, {{1999, 0, 1}, 1000}, {{1, 0, 2}, 333}};

START_TEST(yield_is_passed_of_both)
{
    ck_assert_int_eq(figures_yield(&yields[_i].count), yields[_i].yield);
}
END_TEST

START_TEST(what_codes_mean)
{
    ck_assert_str_eq(figures_meaning(ERR_GONE), "a device disappeared");
    ck_assert_str_eq(figures_meaning(-200), "a failure");
}
END_TEST

/* ---- the page ---- */

START_TEST(a_page_says_what_was_verified)
{
    struct report r = {.filter = {.kind = HISTORY_TIME, .from = 1763712000, .to = 1763740800},
                       .made = 1763740900,
                       .verified = {.entries = 12, .macs = _i}};

    figures_take(&r, &f);
    page_write(&r, &f, NULL, 0, &out);
    ck_assert_ptr_nonnull(
        strstr(text_of(&out), _i ? "were verified with the token" : "NOT verified"));
    ck_assert_ptr_nonnull(strstr((char *)out.data, "Shift 2025-11-21 08:00 to 16:00 UTC"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("report");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, text_is_no_markup, 0, sizeof escapes / sizeof *escapes);
    tcase_add_test(tcase, elements_hold_text);
    tcase_add_test(tcase, shapes);
    tcase_add_loop_test(tcase, scales_are_round, 0, sizeof steps / sizeof *steps);
    tcase_add_test(tcase, columns_are_to_scale);
    tcase_add_test(tcase, bars_are_to_scale);
    tcase_add_test(tcase, attempts_add_up);
    tcase_add_test(tcase, nothing_adds_up_to_nothing);
    tcase_add_loop_test(tcase, bins_are_few_and_cover_all, 0, sizeof spans / sizeof *spans);
    tcase_add_loop_test(tcase, yield_is_passed_of_both, 0, sizeof yields / sizeof *yields);
    tcase_add_test(tcase, what_codes_mean);
    tcase_add_loop_test(tcase, a_page_says_what_was_verified, 0, 2);
    return check_run_case("report", tcase, 300);
}
