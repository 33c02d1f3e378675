/* SPDX-License-Identifier: Apache-2.0 */
/* plot.c: the ratios as a picture: a bar for each row from 1, on a logarithmic scale, and a mark where its target is. */
#include "bench.h"

#include <math.h>
#include <stdio.h>

#define LEFT  380.0 /* of the axis, in pixels: titles are to the left of it */
#define WIDTH 560.0 /* of the axis */
#define RIGHT 130.0 /* of it: figures */
#define TOP   70.0
#define STEP  22.0 /* from row to row */
#define LEAST 0.05 /* ratios at the ends of the axis */
#define MOST  64.0
#define MET   "#2a7f62"
#define SHORT "#c2571a"
#define PLAIN "#5b7c99" /* no target */

static double x_of(double ratio)
{
	double part = log(fmin(fmax(ratio, LEAST), MOST) / LEAST) / log(MOST / LEAST);

	return LEFT + part * WIDTH;
}

static unsigned plotted(const struct report *report)
{
	unsigned n = 0;

	for (size_t i = 0; i < report->count; i++)
		n += report->lines[i].row.scale != 'D';
	return n;
}

static void plot_axis(FILE *svg, double bottom)
{
	static const double ticks[] = { 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50 };

	for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++) {
		double x = x_of(ticks[i]);

		fprintf(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='%s' stroke-width='%s'/>\n", x, TOP - 8, x,
			bottom, ticks[i] == 1 ? "#222" : "#ddd", ticks[i] == 1 ? "2" : "1");
		fprintf(svg, "<text x='%.1f' y='%.1f' text-anchor='middle'>%g</text>\n", x, TOP - 14, ticks[i]);
	}
}

static void plot_bar(FILE *svg, double ratio, double target, double y)
{
	double	    one = x_of(1), x = x_of(ratio);
	const char *colour = target <= 0 ? PLAIN : ratio >= target ? MET : SHORT;

	fprintf(svg, "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='%s'/>\n", fmin(one, x), y - 12,
		fmax(fabs(x - one), 1.5), STEP - 8, colour);
	fprintf(svg, "<text x='%.1f' y='%.1f'>%.2fx</text>\n", LEFT + WIDTH + 12, y, ratio);
}

static void plot_line(FILE *svg, const struct line *line, double y)
{
	double tarn = line_rate(line, "tarn"), peer = line_peer(line), target = x_of(line->row.target);

	fprintf(svg, "<text x='%.1f' y='%.1f' text-anchor='end'>%c %s</text>\n", LEFT - 12, y, line->row.scale, line->row.title);
	if (tarn > 0 && peer > 0)
		plot_bar(svg, tarn / peer, line->row.target, y);
	else
		fprintf(svg, "<text x='%.1f' y='%.1f' fill='#888'>not measured</text>\n", LEFT + WIDTH + 12, y);
	if (line->row.target > 0)
		fprintf(svg, "<path d='M%.1f %.1f v%.1f' stroke='#000' stroke-width='2.5'/>\n", target, y - 15, STEP - 2);
}

bool report_plot(const struct report *report, const char *path)
{
	FILE  *svg    = fopen(path, "w");
	double bottom = TOP + plotted(report) * STEP, y = TOP + 14;

	if (!svg)
		return false;
	fprintf(svg,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' font-family='sans-serif' font-size='12'>\n",
		LEFT + WIDTH + RIGHT, bottom + 20);
	fprintf(svg, "<rect width='100%%' height='100%%' fill='#fff'/>\n");
	fprintf(svg, "<text x='%.1f' y='24' font-size='15'>Tarn to the better of RocksDB and LMDB</text>\n", LEFT);
	fprintf(svg, "<text x='%.1f' y='42' fill='#555'>rates, as a ratio; black marks are targets</text>\n", LEFT);
	plot_axis(svg, bottom);
	for (size_t i = 0; i < report->count; i++) {
		if (report->lines[i].row.scale == 'D')
			continue;
		plot_line(svg, &report->lines[i], y);
		y += STEP;
	}
	fprintf(svg, "</svg>\n");
	return fclose(svg) == 0;
}
