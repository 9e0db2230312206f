/* Figures on a canvas that only takes notes: tick texts, everything on the page, gaps for what is not finite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/pca.c"
#include "experiments/plot.c"

struct canvas {
    double width, height;
    int texts, lines, points, clips;
    char text[512][96];
};
static struct canvas page;

static void on_page(double x, double y) {
    if (!(x >= 0 && x <= page.width && y >= 0 && y <= page.height)) fail_msg("(%g, %g) is off the page", x, y);
}

canvas_status canvas_write(const char *stem, double width, double height, void (*draw)(canvas *, const void *), const void *user,
                           char *message, int message_size) {
    (void)stem, (void)message, (void)message_size;
    page = (struct canvas){.width = width, .height = height};
    draw(&page, user);
    assert_int_equal(page.clips, 0);
    return CANVAS_OK;
}
void canvas_line(canvas *c, const double *x, const double *y, int64_t count, color stroke, double width, const double *dash, int dash_count) {
    (void)stroke, (void)width, (void)dash, (void)dash_count;
    c->lines++;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(x[i]) && isfinite(y[i])) on_page(x[i], y[i]);
    }
}
void canvas_polygon(canvas *c, const double *x, const double *y, int64_t count, color fill) { canvas_line(c, x, y, count, fill, 0, NULL, 0); }
void canvas_rectangle(canvas *c, double x, double y, double width, double height, color fill) {
    (void)c, (void)fill;
    on_page(x, y);
    on_page(x + width, y + height);
}
void canvas_circle(canvas *c, double x, double y, double radius, color fill) {
    (void)radius, (void)fill;
    c->points++;
    on_page(x, y);
}
void canvas_clip(canvas *c, double x, double y, double width, double height) {
    c->clips++;
    on_page(x, y);
    on_page(x + width, y + height);
}
void canvas_unclip(canvas *c) { c->clips--; }
double canvas_text_width(canvas *c, const char *text, double size, bool bold) {
    (void)c, (void)bold;
    return 0.6 * size * (double)strlen(text);
}
void canvas_text(canvas *c, double x, double y, const char *text, double size, bool bold, double anchor, bool upright, color fill) {
    (void)fill;
    on_page(x, y);
    if (!upright && anchor == 0.0) on_page(x + canvas_text_width(c, text, size, bold), y);
    assert_in_range(c->texts, 0, 511);
    snprintf(c->text[c->texts++], 96, "%s", text);
}

static bool written(const char *text) {
    for (int i = 0; i < page.texts; i++) {
        if (strcmp(page.text[i], text) == 0) return true;
    }
    return false;
}

/* ---- tick texts ------------------------------------------------------------------------------------------ */

static void tick_texts(void **unused) {
    (void)unused;
    static const struct {
        double value, step;
        const char *text;
    } cases[] = {
        {0, 1, "0"},          {1e-17, 0.1, "0"},      {0.5, 0.5, "0.5"},      {1, 0.5, "1.0"},           {-0.25, 0.05, "\u22120.25"},
        {200, 100, "200"},    {1000, 500, "1.0k"},      {500, 500, "500"},      {1500, 500, "1.5k"},       {20000, 5000, "20k"},
        {2.5e6, 5e5, "2.5M"}, {3e6, 1e6, "3M"},       {1010, 5, "1010"},      {-20000, 10000, "\u221220k"}, {0.00002, 0.00001, "2.0e-05"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        plot_tick_text(cases[i].value, cases[i].step, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

static void ticks_fill_the_range(void **unused) {
    (void)unused;
    for (double size = 1e-9; size < 1e9; size *= 3.7) {
        for (double low = -size; low <= size; low += size / 3) {
            ticks t = linear_ticks((range){low, low + size}, 6);
            assert_in_range(t.count, 3, 13);
            for (int i = 0; i < t.count; i++) assert_true(t.at[i] >= low - 1e-6 * size && t.at[i] <= low + size * (1 + 1e-6));
        }
    }
    ticks t = log_ticks((range){-6.2, 0.3});
    assert_string_equal(t.text[0], "10\u207b\u2076");
    assert_string_equal(t.text[t.count - 1], "1");
    t = log_ticks((range){-1.1, 0.5});
    assert_string_equal(t.text[0], "0.1");
    assert_int_equal(t.count, 5); /* 0.1 0.2 0.5 1 2 */
    t = log_ticks((range){-300, 300});
    assert_in_range(t.count, 3, MAX_TICKS);
}

/* ---- figures ----------------------------------------------------------------------------------------------- */

enum { N = 200 };

static void everything_is_on_the_page(void **unused) {
    (void)unused;
    static double x[N], y[N], low[N], high[N];
    for (int i = 0; i < N; i++) {
        x[i] = 50.0 * i;
        y[i] = exp(-i / 20.0) * (1 + 0.5 * sin(i));
        low[i] = 0.5 * y[i];
        high[i] = 2.0 * y[i];
    }
    plot_figure figure = {.title = "title", .note = "note", .columns = 2, .panel_width = 300, .panel_height = 200, .panel_count = 5};
    for (int p = 0; p < 5; p++) {
        figure.panels[p] = (plot_panel){.title = "panel", .x_label = "across", .y_label = "up", .log_y = p == 1, .series_count = 2};
        figure.panels[p].series[0] = (plot_series){.label = "line", .style = PLOT_LINE, .count = N, .x = x, .y = y, .low = low, .high = high,
                                                   .band_label = "band"};
        figure.panels[p].series[1] = (plot_series){.label = "points", .style = PLOT_POINTS, .count = N, .x = x, .y = high, .shade = y};
    }
    figure.panels[4].shade_label = "shade";
    assert_int_equal(plot_write(&figure, "nowhere", NULL, 0), CANVAS_OK);
    assert_int_equal(page.points, 5 * N + 1); /* and the legend's */
    assert_true(written("title") && written("note") && written("across") && written("up") && written("line") && written("band"));
    assert_true(written("10k") && written("shade"));
}

static void what_is_not_finite_is_left_out(void **unused) {
    (void)unused;
    double x[4] = {0, 1, 2, 3}, bad[4] = {NAN, INFINITY, -INFINITY, NAN}, some[4] = {1, NAN, -5, 2}, same[4] = {7, 7, 7, 7};
    plot_figure figure = {.title = "t", .columns = 2, .panel_width = 200, .panel_height = 150, .panel_count = 4};
    figure.panels[0] = (plot_panel){.series_count = 1, .series = {{.style = PLOT_POINTS, .count = 4, .x = x, .y = bad}}};
    figure.panels[1] = (plot_panel){.log_y = true, .series_count = 1, .series = {{.style = PLOT_POINTS, .count = 4, .x = x, .y = some}}};
    figure.panels[2] = (plot_panel){.series_count = 1, .series = {{.style = PLOT_LINE, .count = 4, .x = x, .y = same}}};
    figure.panels[3] = (plot_panel){.series_count = 1, .series = {{.style = PLOT_LINE, .count = 0, .x = x, .y = same}}};
    assert_int_equal(plot_write(&figure, "nowhere", NULL, 0), CANVAS_OK);
    assert_int_equal(page.points, 2); /* 1 and 2; -5 has no logarithm */
}

/* Labels that do not fit beside each other go to further lines, and push the panels down. */
static void a_long_legend_is_broken(void **unused) {
    (void)unused;
    static const char *const labels[] = {"train.learning_rate=0.001, actor.entropy=0.0003: median of 5 runs",
                                         "train.learning_rate=0.003, actor.entropy=0.0003: median of 5 runs",
                                         "train.learning_rate=0.001, actor.entropy=0.003: median of 5 runs", "short"};
    double x[2] = {0, 1}, height[2];
    plot_figure figure = {.title = "t", .columns = 1, .panel_width = 500, .panel_height = 150, .panel_count = 1};
    for (int count = 1; count <= 4; count += 3) {
        plot_panel *panel = &figure.panels[0];
        *panel = (plot_panel){.series_count = count};
        for (int s = 0; s < count; s++) {
            panel->series[s] = (plot_series){.label = labels[s], .color = (plot_color)s, .count = 2, .x = x, .y = x};
        }
        assert_int_equal(plot_write(&figure, "nowhere", NULL, 0), CANVAS_OK); /* nothing is off the page */
        for (int s = 0; s < count; s++) assert_true(written(labels[s]));
        height[count > 1] = page.height;
    }
    assert_true(height[1] > height[0] + 2 * 15 && height[1] < height[0] + 3 * 17);
}

/* ---- principal components ------------------------------------------------------------------------------------ */

static void components_of_a_known_cloud(void **unused) {
    (void)unused;
    /* 3 units along one direction, 1 along another, 0.1 along the rest, about a far centre */
    enum { COUNT = 500, SIZE = 4 };
    static const double first[SIZE] = {0.5, 0.5, 0.5, 0.5}, second[SIZE] = {0.5, -0.5, 0.5, -0.5}, third[SIZE] = {0.5, 0.5, -0.5, -0.5};
    static float rows[COUNT * SIZE];
    static double x[COUNT], y[COUNT];
    double share[2] = {0};
    for (int i = 0; i < COUNT; i++) {
        double a = 3.0 * sqrt(2) * cos(2 * M_PI * i / COUNT), b = sqrt(2) * sin(2 * M_PI * i / COUNT), c = 0.1 * sqrt(2) * cos(14 * M_PI * i / COUNT);
        for (int d = 0; d < SIZE; d++) rows[i * SIZE + d] = (float)(100 + a * first[d] + b * second[d] + c * third[d]);
    }
    assert_true(pca_project(rows, COUNT, SIZE, x, y, share));
    assert_true(fabs(share[0] - 9.0 / 10.01) < 1e-4);
    assert_true(fabs(share[1] - 1.0 / 10.01) < 1e-4);
    for (int i = 0; i < COUNT; i++) {
        assert_true(fabs(fabs(x[i]) - fabs(3.0 * sqrt(2) * cos(2 * M_PI * i / COUNT))) < 1e-3);
        assert_true(fabs(fabs(y[i]) - fabs(sqrt(2) * sin(2 * M_PI * i / COUNT))) < 1e-3);
    }
    float line[3] = {1, 2, 3};
    assert_true(pca_project(line, 3, 1, x, y, share));
    assert_true(fabs(share[0] - 1.0) < 1e-12 && share[1] == 0.0 && fabs(x[2] - 1.0) < 1e-6);
}

/* Of many columns: the same cloud, each of its axes spread over 32 of 128 columns, with little noise in all. */
static void components_of_many_columns(void **unused) {
    (void)unused;
    enum { COUNT = 500, SIZE = 128 };
    static float rows[COUNT * SIZE];
    static double x[COUNT], y[COUNT];
    double share[2] = {0};
    for (int i = 0; i < COUNT; i++) {
        const double a = 3.0 * sqrt(2) * cos(2 * M_PI * i / COUNT), b = sqrt(2) * sin(2 * M_PI * i / COUNT);
        for (int d = 0; d < SIZE; d++) {
            const double axis = d < 32 ? a : d < 64 ? -b : 0;
            rows[i * SIZE + d] = (float)(5 + axis / sqrt(32) + 0.001 * sin(i * 12.9898 + d * 78.233));
        }
    }
    assert_true(pca_project(rows, COUNT, SIZE, x, y, share));
    assert_true(fabs(share[0] - 0.9) < 1e-4 && fabs(share[1] - 0.1) < 1e-4);
    for (int i = 0; i < COUNT; i++) {
        assert_true(fabs(fabs(x[i]) - fabs(3.0 * sqrt(2) * cos(2 * M_PI * i / COUNT))) < 1e-2);
        assert_true(fabs(fabs(y[i]) - fabs(sqrt(2) * sin(2 * M_PI * i / COUNT))) < 1e-2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tick_texts),
        cmocka_unit_test(ticks_fill_the_range),
        cmocka_unit_test(everything_is_on_the_page),
        cmocka_unit_test(what_is_not_finite_is_left_out),
        cmocka_unit_test(a_long_legend_is_broken),
        cmocka_unit_test(components_of_a_known_cloud),
        cmocka_unit_test(components_of_many_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
