/* experiments/canvas.h: a page to draw on, written as PNG and SVG from the same strokes.
 *
 * Coordinates are in points from the upper left corner. A build without cairo has no canvas:
 * canvas_available() is then false and canvas_write answers CANVAS_LEFT_OUT.
 */
#ifndef EXPERIMENTS_CANVAS_H
#define EXPERIMENTS_CANVAS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct canvas canvas;

typedef struct color {
    double red, green, blue, alpha;
} color;

typedef enum canvas_status { CANVAS_OK = 0, CANVAS_LEFT_OUT, CANVAS_FAILED } canvas_status;

bool canvas_available(void);

/* Calls draw once for STEM.png and once for STEM.svg, over a white page. */
canvas_status canvas_write(const char *stem, double width, double height, void (*draw)(canvas *, const void *user),
                           const void *user, char *message, int message_size);

void canvas_line(canvas *page, const double *x, const double *y, int64_t count, color stroke, double width,
                 const double *dash, int dash_count);
void canvas_polygon(canvas *page, const double *x, const double *y, int64_t count, color fill);
void canvas_rectangle(canvas *page, double x, double y, double width, double height, color fill);
void canvas_circle(canvas *page, double x, double y, double radius, color fill);

/* Everything drawn between the two stays inside the rectangle. */
void canvas_clip(canvas *page, double x, double y, double width, double height);
void canvas_unclip(canvas *page);

/* Text in UTF-8. `anchor` 0 begins at x, 0.5 is centred, 1 ends there; y is the middle of small letters.
 * Turned by 90 degrees to the left where `upright` is true. */
void canvas_text(canvas *page, double x, double y, const char *text, double size, bool bold, double anchor,
                 bool upright, color fill);
double canvas_text_width(canvas *page, const char *text, double size, bool bold);

#endif
