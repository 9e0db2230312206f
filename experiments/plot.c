/* experiments/plot.c: axes, ticks, series, legends and colour scales. */
#include "experiments/plot.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const color ink = {0.13, 0.15, 0.18, 1}, soft = {0.38, 0.41, 0.46, 1}, grid = {0.90, 0.91, 0.93, 1},
                   frame = {0.72, 0.74, 0.78, 1};

static const color palette[] = {
    [PLOT_BLUE] = {0.000, 0.447, 0.698, 1},  [PLOT_VERMILLION] = {0.835, 0.369, 0.000, 1},
    [PLOT_GREEN] = {0.000, 0.620, 0.451, 1}, [PLOT_PURPLE] = {0.800, 0.475, 0.655, 1},
    [PLOT_ORANGE] = {0.902, 0.624, 0.000, 1}, [PLOT_BLACK] = {0.13, 0.15, 0.18, 1},
};
_Static_assert(sizeof palette / sizeof *palette == PLOT_COLOR_COUNT, "one colour a name");

/* From dark blue over green to yellow, even in lightness: points on viridis (Smith and van der Walt, 2015). */
static const color scale[] = {
    {0.267, 0.005, 0.329, 1}, {0.278, 0.176, 0.484, 1}, {0.230, 0.322, 0.546, 1}, {0.173, 0.449, 0.558, 1},
    {0.128, 0.567, 0.551, 1}, {0.158, 0.684, 0.502, 1}, {0.369, 0.789, 0.383, 1}, {0.678, 0.864, 0.190, 1},
    {0.993, 0.906, 0.144, 1},
};

static color faded(color c, double alpha) {
    c.alpha = alpha;
    return c;
}

static color scale_color(double at) {
    const int last = (int)(sizeof scale / sizeof *scale) - 1;
    at = fmin(fmax(at, 0.0), 1.0) * last;
    int i = at < last ? (int)at : last - 1;
    double t = at - i;
    const color *a = &scale[i], *b = &scale[i + 1];
    return (color){a->red + t * (b->red - a->red), a->green + t * (b->green - a->green),
                   a->blue + t * (b->blue - a->blue), 1};
}

/* ---- ticks ------------------------------------------------------------------------------------------ */

/* 1, 2 or 5 times a power of ten, so that about `wanted` steps fill the range. */
static double tick_step(double range, int wanted) {
    double raw = range / wanted, power = pow(10.0, floor(log10(raw))), m = raw / power;
    return power * (m < 1.5 ? 1.0 : m < 3.5 ? 2.0 : m < 7.5 ? 5.0 : 10.0);
}

void plot_tick_text(double value, double step, char *text, int size) {
    const char *unit = "";
    double divisor = 1.0;
    double largest = fmax(fabs(value), step);
    if (largest >= 1e6) divisor = 1e6, unit = "M";
    else if (largest >= 1e4 || (fabs(value) >= 1e3 && fmod(step, 100.0) == 0.0)) divisor = 1e3, unit = "k";
    if (fabs(value) < step * 1e-6) {
        snprintf(text, (size_t)size, "0");
        return;
    }
    double digits = ceil(-log10(step / divisor) - 1e-9);
    const char *minus = value < 0.0 ? "\u2212" : "";
    if (fabs(value) / divisor < 1e-4 || digits > 6.0) snprintf(text, (size_t)size, "%s%.1e", minus, fabs(value));
    else snprintf(text, (size_t)size, "%s%.*f%s", minus, digits > 0.0 ? (int)digits : 0, fabs(value) / divisor, unit);
}

/* 0.01, 1, 100; where `raise` is asked for 10⁻², 1, 10². */
static void power_text(int power, bool raise, char *text, int size) {
    static const char *const raised[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                         "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
    if (power == 0) snprintf(text, (size_t)size, "1");
    else if (!raise) snprintf(text, (size_t)size, "%.*f", power < 0 ? -power : 0, pow(10.0, power));
    else {
        int p = abs(power);
        snprintf(text, (size_t)size, "10%s%s%s", power < 0 ? "\u207b" : "", p >= 10 ? raised[p / 10 % 10] : "",
                 raised[p % 10]);
    }
}

/* ---- ranges and mapping ----------------------------------------------------------------------------- */

typedef struct range {
    double low, high;
} range;

typedef struct view {
    double x, y, width, height; /* of the panel's inside, on the page */
    range across, up;           /* in data; `up` in log10 where log_y */
    bool log_y;
} view;

static double along(const view *v, double value) {
    return v->x + (value - v->across.low) / (v->across.high - v->across.low) * v->width;
}

static double above(const view *v, double value) {
    if (v->log_y) value = value > 0.0 ? log10(value) : NAN;
    return v->y + v->height - (value - v->up.low) / (v->up.high - v->up.low) * v->height;
}

static void widen(range *r, const double *values, int64_t count, bool logarithm) {
    for (int64_t i = 0; values && i < count; i++) {
        double value = logarithm ? (values[i] > 0.0 ? log10(values[i]) : NAN) : values[i];
        if (!isfinite(value)) continue;
        r->low = fmin(r->low, value);
        r->high = fmax(r->high, value);
    }
}

static range settle(range r, double margin) {
    if (r.low > r.high) return (range){0.0, 1.0}; /* nothing to show */
    double spread = r.high - r.low, least = 1e-9 * fmax(fabs(r.low), fabs(r.high)) + 1e-12;
    if (spread < least) return (range){r.low - fmax(0.5 * fabs(r.low), 0.05), r.high + fmax(0.5 * fabs(r.low), 0.05)};
    return (range){r.low - margin * spread, r.high + margin * spread};
}

static void panel_ranges(const plot_panel *panel, view *v) {
    range across = {DBL_MAX, -DBL_MAX}, up = {DBL_MAX, -DBL_MAX};
    bool points = false;
    for (int s = 0; s < panel->series_count; s++) {
        const plot_series *series = &panel->series[s];
        widen(&across, series->x, series->count, false);
        widen(&up, series->y, series->count, panel->log_y);
        widen(&up, series->low, series->count, panel->log_y);
        widen(&up, series->high, series->count, panel->log_y);
        points |= series->style == PLOT_POINTS;
    }
    v->log_y = panel->log_y;
    v->across = settle(across, points ? 0.05 : 0.0);
    v->up = settle(up, 0.06);
}

/* ---- axes ------------------------------------------------------------------------------------------- */

enum { MAX_TICKS = 16 };

typedef struct ticks {
    int count;
    double at[MAX_TICKS]; /* in the range's own terms */
    char text[MAX_TICKS][24];
} ticks;

static ticks linear_ticks(range r, int wanted) {
    ticks t = {0};
    double step = tick_step(r.high - r.low, wanted);
    for (double i = ceil(r.low / step - 1e-9); i * step <= r.high + 1e-9 * step && t.count < MAX_TICKS; i++) {
        t.at[t.count] = i * step;
        plot_tick_text(i * step, step, t.text[t.count++], sizeof t.text[0]);
    }
    return t;
}

/* Whole powers of ten; 2 and 5 times them too where the range is short. */
static ticks log_ticks(range r) {
    ticks t = {0};
    double decades = r.high - r.low;
    int every = decades > 8.0 ? (int)ceil(decades / 6.0) : 1;
    bool raise = r.low < -3.3 || r.high > 3.3;
    for (int p = (int)floor(r.low); p <= (int)ceil(r.high); p++) {
        static const double times[] = {1.0, 2.0, 5.0};
        for (int m = 0; m < (decades < 2.2 ? 3 : 1); m++) {
            double at = p + log10(times[m]);
            if (at < r.low || at > r.high || p % every != 0 || t.count == MAX_TICKS) continue;
            t.at[t.count] = at;
            if (m == 0) power_text(p, raise, t.text[t.count], sizeof t.text[0]);
            else if (!raise) plot_tick_text(times[m] * pow(10.0, p), pow(10.0, p), t.text[t.count], sizeof t.text[0]);
            t.count++;
        }
    }
    return t;
}

static const double tick_size = 8.5, label_size = 9.5;

static void draw_axes(canvas *page, const plot_panel *panel, const view *v, const ticks *across, const ticks *up) {
    for (int i = 0; i < up->count; i++) {
        double y = v->y + v->height - (up->at[i] - v->up.low) / (v->up.high - v->up.low) * v->height;
        canvas_line(page, (double[]){v->x, v->x + v->width}, (double[]){y, y}, 2, grid, 0.8, NULL, 0);
        canvas_text(page, v->x - 5, y, up->text[i], tick_size, false, 1.0, false, soft);
    }
    for (int i = 0; i < across->count; i++) {
        double x = along(v, across->at[i]);
        canvas_line(page, (double[]){x, x}, (double[]){v->y, v->y + v->height}, 2, grid, 0.8, NULL, 0);
        canvas_text(page, x, v->y + v->height + 10, across->text[i], tick_size, false, 0.5, false, soft);
    }
    canvas_line(page, (double[]){v->x, v->x, v->x + v->width}, (double[]){v->y, v->y + v->height, v->y + v->height}, 3,
                frame, 1.0, NULL, 0);
    if (panel->x_label) {
        canvas_text(page, v->x + v->width / 2, v->y + v->height + 25, panel->x_label, label_size, false, 0.5, false,
                    ink);
    }
    if (panel->title) canvas_text(page, v->x, v->y - 10, panel->title, 10.5, true, 0.0, false, ink);
}

/* ---- series ------------------------------------------------------------------------------------------ */

static const double dashes[] = {6, 3}, dots[] = {1.5, 2.5};

static void draw_stroke(canvas *page, const double *x, const double *y, int64_t count, const plot_series *series) {
    color c = palette[series->color];
    switch (series->style) {
    case PLOT_DASHED: canvas_line(page, x, y, count, c, 1.6, dashes, 2); break;
    case PLOT_DOTTED: canvas_line(page, x, y, count, c, 1.8, dots, 2); break;
    case PLOT_FAINT: canvas_line(page, x, y, count, faded(c, 0.28), 0.9, NULL, 0); break;
    default: canvas_line(page, x, y, count, c, 1.9, NULL, 0); break;
    }
}

static range shade_range(const plot_panel *panel) {
    range r = {DBL_MAX, -DBL_MAX};
    for (int s = 0; s < panel->series_count; s++) widen(&r, panel->series[s].shade, panel->series[s].count, false);
    return settle(r, 0.0);
}

static void draw_band(canvas *page, const view *v, const plot_series *series, double *x, double *y) {
    int64_t n = 0;
    for (int64_t i = 0; i < series->count; i++) x[n] = along(v, series->x[i]), y[n++] = above(v, series->low[i]);
    for (int64_t i = series->count - 1; i >= 0; i--) x[n] = along(v, series->x[i]), y[n++] = above(v, series->high[i]);
    canvas_polygon(page, x, y, n, faded(palette[series->color], 0.18));
}

/* Bands lie below single trajectories, and those below everything else. */
enum layer { LAYER_BANDS, LAYER_FAINT, LAYER_REST, LAYERS };

static void draw_series(canvas *page, const plot_panel *panel, const view *v, const plot_series *series,
                        enum layer layer) {
    if (layer == LAYER_BANDS ? !series->low : (layer == LAYER_FAINT) != (series->style == PLOT_FAINT)) return;
    double *x = calloc((size_t)series->count + 1, 4 * sizeof *x), *y = x ? x + 2 * (series->count + 1) : NULL;
    if (!x) return;
    if (layer == LAYER_BANDS) {
        draw_band(page, v, series, x, y);
        free(x);
        return;
    }
    range shades = series->shade ? shade_range(panel) : (range){0, 1};
    for (int64_t i = 0; i < series->count; i++) {
        x[i] = along(v, series->x[i]);
        y[i] = above(v, series->y[i]);
        if (series->style != PLOT_POINTS || !isfinite(y[i])) continue;
        color c = series->shade ? scale_color((series->shade[i] - shades.low) / (shades.high - shades.low))
                                : palette[series->color];
        canvas_circle(page, x[i], y[i], 1.7, faded(c, 0.75));
    }
    if (series->style != PLOT_POINTS) draw_stroke(page, x, y, series->count, series);
    free(x);
}

static void draw_scale(canvas *page, const plot_panel *panel, const view *v) {
    const double x = v->x + v->width + 10, width = 9;
    range r = shade_range(panel);
    ticks t = linear_ticks(r, 4);
    for (int i = 0; i < 64; i++) {
        double height = v->height / 64;
        canvas_rectangle(page, x, v->y + v->height - (i + 1) * height, width, height + 0.4,
                         scale_color((i + 0.5) / 64));
    }
    for (int i = 0; i < t.count; i++) {
        double y = v->y + v->height - (t.at[i] - r.low) / (r.high - r.low) * v->height;
        canvas_text(page, x + width + 4, y, t.text[i], tick_size, false, 0.0, false, soft);
    }
}

/* ---- panel and figure ---------------------------------------------------------------------------------- */

static void draw_panel(canvas *page, const plot_panel *panel, double x, double y, double width, double height) {
    view v = {.x = x, .y = y + 20};
    panel_ranges(panel, &v);
    v.height = height - 20 - (panel->x_label ? 40 : 26);
    ticks up = panel->log_y ? log_ticks(v.up) : linear_ticks(v.up, v.height > 160 ? 6 : 4);
    double widest = 0.0;
    for (int i = 0; i < up.count; i++) widest = fmax(widest, canvas_text_width(page, up.text[i], tick_size, false));
    double left = widest + 8 + (panel->y_label ? 18 : 4), right = panel->shade_label ? 52 : 12;
    v.x = x + left;
    v.width = width - left - right;
    ticks across = linear_ticks(v.across, v.width > 260 ? 6 : 4);
    draw_axes(page, panel, &v, &across, &up);
    if (panel->y_label) canvas_text(page, x + 7, v.y + v.height / 2, panel->y_label, label_size, false, 0.5, true, ink);
    canvas_clip(page, v.x - 1, v.y - 2, v.width + 3, v.height + 3);
    for (int layer = 0; layer < LAYERS; layer++) {
        for (int s = 0; s < panel->series_count; s++) {
            draw_series(page, panel, &v, &panel->series[s], (enum layer)layer);
        }
    }
    canvas_unclip(page);
    if (panel->shade_label) {
        draw_scale(page, panel, &v);
        canvas_text(page, v.x + v.width + 48, v.y - 10, panel->shade_label, label_size, false, 1.0, false, soft);
    }
}

static const double margin = 16, header = 50;

/* ---- the legend: each label once, from whatever panel has it ------------------------------------------------- */

typedef struct legend {
    int count;
    struct legend_entry {
        const char *label;
        const plot_series *series;
        bool band;
        double x;
        int line;
    } entry[2 * PLOT_PANELS * PLOT_SERIES];
} legend;

static bool knows(const legend *l, const char *label) {
    for (int i = 0; i < l->count; i++) {
        if (strcmp(l->entry[i].label, label) == 0) return true;
    }
    return false;
}

static void collect_labels(legend *l, const plot_figure *figure) {
    for (int p = 0; p < figure->panel_count; p++) {
        for (int s = 0; s < 2 * figure->panels[p].series_count; s++) {
            const plot_series *series = &figure->panels[p].series[s / 2];
            const char *label = s % 2 ? series->band_label : series->label;
            if (!label || knows(l, label)) continue;
            l->entry[l->count++] = (struct legend_entry){.label = label, .series = series, .band = s % 2};
        }
    }
}

static double page_width(const plot_figure *figure) { return margin * 2 + figure->columns * figure->panel_width; }

/* Where each label goes, in as many lines as they need; by a guess of the texts' widths, which is made before there is
 * a page. */
static legend lay_out(const plot_figure *figure) {
    const double letter = 0.6 * label_size, right = page_width(figure) - margin;
    double x = margin;
    int line = 0;
    legend l = {0};
    collect_labels(&l, figure);
    for (int i = 0; i < l.count; i++) {
        const double width = 26 + letter * (double)strlen(l.entry[i].label);
        if (x > margin && x + width > right) x = margin, line++;
        l.entry[i].x = x;
        l.entry[i].line = line;
        x += width + 12;
    }
    return l;
}

static const double legend_line = 16;

static void draw_legend(canvas *page, const legend *l) {
    for (int i = 0; i < l->count; i++) {
        const struct legend_entry *e = &l->entry[i];
        const double x = e->x, y = 42 + legend_line * e->line;
        if (e->band) canvas_rectangle(page, x, y - 5, 20, 10, faded(palette[e->series->color], 0.22));
        else if (e->series->style == PLOT_POINTS) canvas_circle(page, x + 10, y, 3, palette[e->series->color]);
        else draw_stroke(page, (double[]){x, x + 20}, (double[]){y, y}, 2, e->series);
        canvas_text(page, x + 26, y, e->label, label_size, false, 0.0, false, ink);
    }
}

/* Of the first row of panels. */
static double top_of(const legend *l) {
    return l->count ? header + 8 + legend_line * l->entry[l->count - 1].line : header - 14;
}

static void draw_figure(canvas *page, const void *user) {
    const plot_figure *figure = user;
    canvas_text(page, margin, 22, figure->title, 14, true, 0.0, false, ink);
    const legend labels = lay_out(figure);
    const double top = top_of(&labels);
    if (figure->note) canvas_text(page, page_width(figure) - margin, 22, figure->note, 9.5, false, 1.0, false, soft);
    draw_legend(page, &labels);
    for (int p = 0; p < figure->panel_count; p++) {
        draw_panel(page, &figure->panels[p], margin + (p % figure->columns) * figure->panel_width,
                   top + (p / figure->columns) * figure->panel_height, figure->panel_width, figure->panel_height);
    }
}

canvas_status plot_write(const plot_figure *figure, const char *stem, char *message, int message_size) {
    int rows = (figure->panel_count + figure->columns - 1) / figure->columns;
    const legend labels = lay_out(figure);
    double height = top_of(&labels) + rows * figure->panel_height + 4;
    return canvas_write(stem, page_width(figure), height, draw_figure, figure, message, message_size);
}
