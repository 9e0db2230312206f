/* experiments/progress.c: rate, time left and key figures while work goes on. */
#include "experiments/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "experiments/program.h"

const char *progress_count(int64_t count, char text[32]) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)(count < 0 ? 0 : count)), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

const char *progress_time(double seconds, char text[32]) {
    if (!(seconds >= 0.0 && seconds < 1e9)) seconds = 0.0;
    long whole = lround(seconds);
    if (whole >= 3600) snprintf(text, 32, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else snprintf(text, 32, "%ld:%02ld", whole / 60, whole % 60);
    return text;
}

void progress_begin(progress *p, progress_mode mode, const char *what, const char *unit, int64_t total) {
    const char *terminal = getenv("TERM");
    if (mode == PROGRESS_AUTO) {
        bool live = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
        mode = live ? PROGRESS_BAR : PROGRESS_PLAIN;
    }
    double now = program_seconds();
    *p = (progress){.mode = mode, .what = what, .unit = unit, .total = total, .begun = now, .shown = now};
}

/* Columns of the terminal; 80 where it does not say. */
static int columns(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

/* The first `width` columns of a line of UTF-8 text in which every character takes one. */
static int bytes_that_fit(const char *line, int width) {
    int at = 0;
    for (; line[at]; at++) {
        bool begins = ((unsigned char)line[at] & 0xc0) != 0x80;
        if (begins && width-- == 0) break;
    }
    return at;
}

static void draw(progress *p, int64_t done, double rate, double left, const char *details) {
    enum { BAR = 16 };
    char line[512], bar[BAR * 3 + 1] = "", count[32], total[32], speed[32], time[32];
    int filled = p->total > 0 ? (int)(BAR * done / p->total) : 0;
    for (int i = 0; i < BAR; i++) strcat(bar, i < filled ? "\u2501" : "\u2500"); /* heavy, then light */
    snprintf(line, sizeof line, "%s %s %s/%s  %s/s  %s left  %s", p->what, bar, progress_count(done, count),
             progress_count(p->total, total), progress_count((int64_t)rate, speed), progress_time(left, time), details);
    int fit = bytes_that_fit(line, columns() - 1);
    if (line[fit]) { /* whole figures only */
        while (fit > 0 && line[fit] != ' ') fit--;
    }
    fprintf(stderr, "\r%.*s\033[K", fit, line);
    fflush(stderr);
    p->drawn = true;
}

static void print(const progress *p, int64_t done, double rate, double left, const char *details) {
    fprintf(stderr, "%s %s=%lld of=%lld per_second=%.0f left=%.0fs %s\n", p->what, p->unit, (long long)done,
            (long long)p->total, rate, left, details);
}

void progress_show(progress *p, int64_t done, const char *details) {
    if (p->mode == PROGRESS_NONE) return;
    double now = program_seconds(), pause = p->mode == PROGRESS_BAR ? 0.1 : 2.0;
    if (now - p->shown < pause) return;
    p->shown = now;
    double rate = done > 0 ? (double)done / fmax(now - p->begun, 1e-9) : 0.0;
    double left = rate > 0.0 ? (double)(p->total - done) / rate : 0.0;
    if (p->mode == PROGRESS_BAR) draw(p, done, rate, left, details);
    else print(p, done, rate, left, details);
}

void progress_end(progress *p) {
    if (p->drawn) fprintf(stderr, "\r\033[K");
    p->drawn = false;
}
