/* experiments/canvas.c: the canvas over cairo's image and SVG surfaces. */
#include "experiments/canvas.h"

#include <stdio.h>

#ifdef REVERIE_PLOT

#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>

struct canvas {
    cairo_t *cairo;
};

bool canvas_available(void) { return true; }

static const double pixels_per_point = 1.5;

#ifdef __SANITIZE_ADDRESS__
/* fontconfig keeps its fonts until the process ends and has no one to give them back. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void) { return "leak:libfontconfig"; }
const char *__lsan_default_options(void);
__attribute__((visibility("default"))) const char *__lsan_default_options(void) { return "print_suppressions=0"; }
#endif

static cairo_status_t draw_on(cairo_surface_t *surface, double scale, double width, double height,
                              void (*draw)(canvas *, const void *), const void *user) {
    canvas page = {cairo_create(surface)};
    cairo_scale(page.cairo, scale, scale);
    cairo_set_line_join(page.cairo, CAIRO_LINE_JOIN_ROUND);
    canvas_rectangle(&page, 0, 0, width, height, (color){1, 1, 1, 1});
    draw(&page, user);
    cairo_status_t status = cairo_status(page.cairo);
    cairo_destroy(page.cairo);
    return status;
}

static canvas_status answer(cairo_status_t status, const char *path, char *message, int message_size) {
    if (status == CAIRO_STATUS_SUCCESS) return CANVAS_OK;
    snprintf(message, (size_t)message_size, "%s: %s", path, cairo_status_to_string(status));
    return CANVAS_FAILED;
}

canvas_status canvas_write(const char *stem, double width, double height, void (*draw)(canvas *, const void *),
                           const void *user, char *message, int message_size) {
    char path[4096];
    snprintf(path, sizeof path, "%s.png", stem);
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(width * pixels_per_point),
                                                        (int)(height * pixels_per_point));
    cairo_status_t status = draw_on(image, pixels_per_point, width, height, draw, user);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_write_to_png(image, path);
    cairo_surface_destroy(image);
    if (status != CAIRO_STATUS_SUCCESS) return answer(status, path, message, message_size);

    snprintf(path, sizeof path, "%s.svg", stem);
    cairo_surface_t *vector = cairo_svg_surface_create(path, width, height);
    status = draw_on(vector, 1.0, width, height, draw, user);
    cairo_surface_finish(vector); /* writes */
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(vector);
    cairo_surface_destroy(vector);
    return answer(status, path, message, message_size);
}

/* ---- strokes -------------------------------------------------------------------------------------- */

static void use(canvas *page, color c) { cairo_set_source_rgba(page->cairo, c.red, c.green, c.blue, c.alpha); }

static void path(canvas *page, const double *x, const double *y, int64_t count) {
    cairo_new_path(page->cairo);
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(x[i]) && isfinite(y[i])) cairo_line_to(page->cairo, x[i], y[i]);
        else cairo_new_sub_path(page->cairo); /* a gap */
    }
}

void canvas_line(canvas *page, const double *x, const double *y, int64_t count, color stroke, double width,
                 const double *dash, int dash_count) {
    path(page, x, y, count);
    use(page, stroke);
    cairo_set_line_width(page->cairo, width);
    cairo_set_dash(page->cairo, dash, dash_count, 0.0);
    cairo_stroke(page->cairo);
}

void canvas_polygon(canvas *page, const double *x, const double *y, int64_t count, color fill) {
    path(page, x, y, count);
    use(page, fill);
    cairo_fill(page->cairo);
}

void canvas_rectangle(canvas *page, double x, double y, double width, double height, color fill) {
    cairo_rectangle(page->cairo, x, y, width, height);
    use(page, fill);
    cairo_fill(page->cairo);
}

void canvas_circle(canvas *page, double x, double y, double radius, color fill) {
    cairo_new_path(page->cairo);
    cairo_arc(page->cairo, x, y, radius, 0.0, 2.0 * M_PI);
    use(page, fill);
    cairo_fill(page->cairo);
}

void canvas_clip(canvas *page, double x, double y, double width, double height) {
    cairo_save(page->cairo);
    cairo_rectangle(page->cairo, x, y, width, height);
    cairo_clip(page->cairo);
}

void canvas_unclip(canvas *page) { cairo_restore(page->cairo); }

static cairo_text_extents_t measure(canvas *page, const char *text, double size, bool bold) {
    cairo_text_extents_t extents;
    cairo_select_font_face(page->cairo, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(page->cairo, size);
    cairo_text_extents(page->cairo, text, &extents);
    return extents;
}

double canvas_text_width(canvas *page, const char *text, double size, bool bold) {
    return measure(page, text, size, bold).x_advance;
}

void canvas_text(canvas *page, double x, double y, const char *text, double size, bool bold, double anchor,
                 bool upright, color fill) {
    double width = canvas_text_width(page, text, size, bold);
    cairo_save(page->cairo);
    cairo_translate(page->cairo, x, y);
    if (upright) cairo_rotate(page->cairo, -M_PI / 2);
    cairo_move_to(page->cairo, -anchor * width, 0.36 * size);
    use(page, fill);
    cairo_show_text(page->cairo, text);
    cairo_restore(page->cairo);
}

#else

bool canvas_available(void) { return false; }

canvas_status canvas_write(const char *stem, double width, double height, void (*draw)(canvas *, const void *),
                           const void *user, char *message, int message_size) {
    (void)stem, (void)width, (void)height, (void)draw, (void)user;
    snprintf(message, (size_t)message_size, "this build has no plots (it was configured without cairo)");
    return CANVAS_LEFT_OUT;
}

/* Never called: there is no canvas to call them with. */
void canvas_line(canvas *page, const double *x, const double *y, int64_t count, color stroke, double width,
                 const double *dash, int dash_count) {
    (void)page, (void)x, (void)y, (void)count, (void)stroke, (void)width, (void)dash, (void)dash_count;
}
void canvas_polygon(canvas *page, const double *x, const double *y, int64_t count, color fill) {
    (void)page, (void)x, (void)y, (void)count, (void)fill;
}
void canvas_rectangle(canvas *page, double x, double y, double width, double height, color fill) {
    (void)page, (void)x, (void)y, (void)width, (void)height, (void)fill;
}
void canvas_circle(canvas *page, double x, double y, double radius, color fill) {
    (void)page, (void)x, (void)y, (void)radius, (void)fill;
}
void canvas_clip(canvas *page, double x, double y, double width, double height) {
    (void)page, (void)x, (void)y, (void)width, (void)height;
}
void canvas_unclip(canvas *page) { (void)page; }
void canvas_text(canvas *page, double x, double y, const char *text, double size, bool bold, double anchor,
                 bool upright, color fill) {
    (void)page, (void)x, (void)y, (void)text, (void)size, (void)bold, (void)anchor, (void)upright, (void)fill;
}
double canvas_text_width(canvas *page, const char *text, double size, bool bold) {
    (void)page, (void)text, (void)size, (void)bold;
    return 0.0;
}

#endif
