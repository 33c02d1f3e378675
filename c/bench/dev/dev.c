/* SPDX-License-Identifier: Apache-2.0 */
/* dev: what tarn/dev_queue.h costs in C, in one line of JSON. For tests/bench-dev, which compares.
 *
 *	dev nop DEPTH SECONDS				the submit and reap of an I/O that does nothing, on mem:
 *	dev URI BS DEPTH SECONDS [buffered]		random reads of BS bytes, one thread, registered buffers, always DEPTH in flight
 *
 * Each run reads other blocks: those that were read lately may be in a cache of the host's. An I/O that has been reaped is submitted again, with all that were reaped with it, in the call that reaps the next. */
#include <tarn/tarn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define DEPTH_MAX 4096

struct run {
	tarn_dev       *dev;
	tarn_dev_queue *queue;
	char	       *buf;
	uint64_t	bs, blocks, dice;
	uint32_t	depth;
	bool		nop;
	tarn_dev_io	ios[DEPTH_MAX];
	tarn_dev_io    *ready[DEPTH_MAX];
	uint64_t	done;
};

static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "dev: %s: %s\n", what, tarn_last_error());
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t ns_of(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * 1000000000u + (uint64_t)tv.tv_usec * 1000u;
}

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return ns_of(u.ru_utime) + ns_of(u.ru_stime);
}

/* splitmix64, then a multiplication instead of a division. */
static uint64_t random_block(struct run *r)
{
	uint64_t z = r->dice += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint64_t)((unsigned __int128)(z ^ z >> 31) * r->blocks >> 64);
}

static void open_run(struct run *r, const char *uri, bool buffered)
{
	tarn_dev_options       options = { .struct_size = sizeof(options), .flags = buffered ? TARN_DEV_BUFFERED : 0 };
	tarn_dev_queue_options queue   = { .struct_size = sizeof(queue), .flags = TARN_DEV_QUEUE_SINGLE, .depth = r->depth };
	tarn_dev_info	       info    = { .struct_size = sizeof(info) };
	tarn_dev_vec	       vec     = { .len = r->depth * r->bs };

	check(tarn_dev_open(uri, &options, &r->dev), uri);
	check(tarn_dev_get_info(r->dev, &info), uri);
	check(tarn_dev_queue_open(r->dev, &queue, &r->queue), "queue");
	r->blocks = info.size / r->bs;
	r->buf = vec.ptr = tarn_dev_alloc(vec.len, 0);
	check(r->buf && r->blocks ? 0 : -1, "no memory, or no block of that size");
	check(tarn_dev_queue_register(r->queue, &vec, 1), "register");
}

static void prepare(struct run *r, tarn_dev_io *io)
{
	if (!r->nop)
		io->offset = random_block(r) * r->bs;
}

static void first(struct run *r)
{
	for (uint32_t i = 0; i < r->depth; i++) {
		tarn_dev_io *io = &r->ios[i];

		*io = (tarn_dev_io){
			.opcode = TARN_DEV_READ, .flags = TARN_DEV_IO_FIXED, .buf = r->buf + i * r->bs, .len = r->bs
		};
		if (r->nop)
			*io = (tarn_dev_io){ .opcode = TARN_DEV_NOP };
		prepare(r, io);
		r->ready[i] = io;
	}
}

static void loop(struct run *r, uint64_t end_ns)
{
	static tarn_dev_io *out[DEPTH_MAX];
	uint32_t	    n = r->depth, started;

	while (now_ns() < end_ns) {
		n = tarn_dev_queue_submit_and_reap(r->queue, r->ready, n, &started, 1, r->depth, -1, out);
		for (uint32_t i = 0; i < n; i++) {
			check(out[i]->rc, out[i]->message);
			prepare(r, out[i]);
			r->ready[i] = out[i];
		}
		r->done += n;
	}
}

static double number(const char *text, double most)
{
	char  *end;
	double value = strtod(text, &end);

	check(end != text && !*end && value > 0 && value <= most ? 0 : -1, text);
	return value;
}

int main(int argc, char **argv)
{
	static struct run r;
	bool		  buffered;
	uint64_t	  began, cpu, ns;
	double		  seconds;

	r.nop = argc == 4 && strcmp(argv[1], "nop") == 0;
	if (!r.nop && argc != 5 && argc != 6) {
		fprintf(stderr, "usage: dev nop DEPTH SECONDS | dev URI BS DEPTH SECONDS [buffered]\n");
		return 2;
	}
	buffered = argc == 6 && strcmp(argv[5], "buffered") == 0;
	seconds	 = number(argv[r.nop ? 3 : 4], 3600);
	r.depth	 = (uint32_t)number(argv[r.nop ? 2 : 3], DEPTH_MAX);
	r.dice	 = now_ns();
	r.bs	 = r.nop ? 4096 : (uint64_t)number(argv[2], 1 << 30);
	open_run(&r, r.nop ? "mem:64M" : argv[1], buffered);
	first(&r);
	began = now_ns();
	cpu   = cpu_ns();
	loop(&r, began + (uint64_t)(seconds * 1e9));
	ns = now_ns() - began;
	printf("{\"ios\": %llu, \"iops\": %.1f, \"ns_per_io\": %.2f, \"cpu_ns_per_io\": %.2f}\n", (unsigned long long)r.done,
	       (double)r.done * 1e9 / (double)ns, (double)ns / (double)r.done, (double)(cpu_ns() - cpu) / (double)r.done);
	tarn_dev_queue_close(r.queue, -1);
	tarn_dev_close(r.dev);
	return 0;
}
