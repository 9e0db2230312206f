/* experiments/plot.h: figures of panels, described as data and drawn in one place.
 *
 * A figure is a grid of panels with one title and one legend above them; a panel has two
 * axes and series. What is NaN or infinite is left out, as is what is not positive on a logarithmic axis.
 */
#ifndef EXPERIMENTS_PLOT_H
#define EXPERIMENTS_PLOT_H

#include "experiments/canvas.h"

enum { PLOT_SERIES = 6, PLOT_PANELS = 16 };

typedef enum plot_style { PLOT_LINE, PLOT_DASHED, PLOT_DOTTED, PLOT_FAINT, PLOT_POINTS } plot_style;

/* Colours that colour-blind readers can tell apart (Okabe and Ito, 2008). */
typedef enum plot_color {
    PLOT_BLUE,
    PLOT_VERMILLION,
    PLOT_GREEN,
    PLOT_PURPLE,
    PLOT_ORANGE,
    PLOT_BLACK,
    PLOT_COLOR_COUNT
} plot_color;

typedef struct plot_series {
    const char *label; /* NULL: not in the legend */
    plot_style style;
    plot_color color;
    int64_t count;
    const double *x, *y;        /* [count] */
    const double *low, *high;   /* [count]: a band, with band_label in the legend; NULL: none */
    const char *band_label;
    const double *shade;        /* [count]: points only, values for the colour scale; NULL: one colour */
} plot_series;

typedef struct plot_panel {
    const char *title, *x_label, *y_label;
    bool log_y;
    const char *shade_label; /* of the colour scale */
    int series_count;
    plot_series series[PLOT_SERIES];
} plot_panel;

typedef struct plot_figure {
    const char *title, *note;
    int columns;
    double panel_width, panel_height; /* points */
    int panel_count;
    plot_panel panels[PLOT_PANELS];
} plot_figure;

/* Writes STEM.png and STEM.svg. */
canvas_status plot_write(const plot_figure *figure, const char *stem, char *message, int message_size);

/* The text of a tick: 0.5, 200, 20k, 1.5M, with a true minus. `step` is the distance between ticks. */
void plot_tick_text(double value, double step, char *text, int size);

#endif
