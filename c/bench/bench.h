/* SPDX-License-Identifier: Apache-2.0 */
/* bench/bench.h: Tarn beside other key-value stores, and beside what the hardware allows.
 *
 * A row is a workload (a line of rows.c) on a data set. A cell is one row on one engine, once: it runs in a process of its
 * own, so that memory and CPU are its own, and leaves its figures in a struct result that it shares with the parent. Engines
 * take turns, cell by cell, in each of several rounds; what is reported is the median of the rounds. All engines see the same
 * keys, in the same threads, timed in the same place (cell.c). An engine is a struct of functions; nothing outside its file
 * knows it. */
#ifndef TARN_BENCH_H
#define TARN_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KEY_LEN	    16u
#define THREADS_MAX 64u
#define DEPTH_MAX   256u
#define ROUNDS_MAX  15u
#define COUNT_MAX   1000u /* records in a batch, a multi-get or a scan */
#define RELAXED_MS  100	  /* a relaxed write is on the device so soon after it was acknowledged */
#define BINS	    60u	  /* equal parts of a cell's time, for rates over time */
#define MIB	    (UINT64_C(1) << 20)

enum answer { ANSWER_FAILED = -2, ANSWER_UNSUPPORTED = -1, ANSWER_OK = 0, ANSWER_ABSENT = 1, ANSWER_STARTED = 2 };

/* Keeps the sentence for answer_message(), of this thread, and returns `answer`. */
enum answer answer_with(enum answer answer, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *answer_message(void);

/* ---- engines ---- */

/* What an engine is told when it is opened. */
struct setup {
	const char *dir; /* of this engine and data set alone; it exists */
	uint64_t    records;
	uint32_t    value_len;
	uint64_t    cache_bytes; /* all the memory that may grow with the data */
	bool	    bounded;	 /* data is far larger than that: no help from the kernel's page cache */
	bool	    relaxed;	 /* a write may return before it is on the device: RELAXED_MS */
	bool	    loading;	 /* only load() follows: nothing needs to be durable before settle() */
};

struct record {
	uint8_t	    key[KEY_LEN];
	const void *val; /* value_len bytes */
};

struct want { /* of a multi-get */
	uint8_t	    key[KEY_LEN];
	void	   *buf; /* value_len bytes of room */
	size_t	    len;
	enum answer answer;
};

/* One call in flight. The caller owns it and lends it from start() to reap(). */
struct call {
	uint8_t	    key[KEY_LEN];
	const void *val; /* value_len bytes to put; NULL: get */
	void	   *buf; /* of a get: value_len bytes of room */
	size_t	    len;
	unsigned    index; /* below DEPTH_MAX, its own in the session */
	uint64_t    began_ns;
	enum answer answer;
};

/* Keys have KEY_LEN bytes. A session is used by one thread. What an engine cannot do is ANSWER_UNSUPPORTED; no slot is NULL. */
struct engine {
	const char *name;
	const char *(*version)(void);
	bool peer;	 /* Tarn is measured against the better of these */
	bool async;	 /* start() and reap() work: rows with a depth use them, on one thread */
	bool page_cache; /* it relies on the kernel's: where memory is bounded it needs a cgroup */
	enum answer (*open)(const struct setup *setup, void **db);
	enum answer (*load)(void *db, const struct record *recs, size_t n,
			    bool ascending); /* one thread; ascending: after all others */
	enum answer (*settle)(void *db);     /* after the last load(): brings the data into the shape and place where it stays */
	enum answer (*sync)(void *db);	     /* all writes so far are durable */
	enum answer (*disk_bytes)(void *db, uint64_t *bytes); /* that the data takes, log included */
	enum answer (*close)(void *db);
	enum answer (*session_open)(void *db, void **session);
	void (*session_close)(void *session);
	enum answer (*get)(void *session, const uint8_t *key, void *buf, size_t *len); /* copies; ABSENT */
	enum answer (*multi_get)(void *session, struct want *wants, size_t n);
	enum answer (*put)(void *session, const uint8_t *key, const void *val);
	enum answer (*batch)(void *session, const struct record *recs, size_t n);	/* all or none; no key twice */
	enum answer (*scan)(void *session, const uint8_t *key, size_t n, size_t *seen); /* looks at n records from key on */
	enum answer (*start)(void	 *session,
			     struct call *call); /* OK: done, call->answer says how; STARTED: reap() will return it */
	enum answer (*reap)(void *session, struct call **calls, unsigned max, unsigned *n); /* waits for at least one */
};

extern const struct engine engine_tarn, engine_rocksdb, engine_lmdb, engine_floor;

/* For the slots of several engines. */
enum answer directory_bytes(const char *dir, uint64_t *bytes); /* what its files take on disk */
enum answer unsupported_start(void *session, struct call *call);
enum answer unsupported_reap(void *session, struct call **calls, unsigned max, unsigned *n);

/* ---- rows ---- */

enum work {
	WORK_LOAD,
	WORK_GET,
	WORK_GET_ABSENT,
	WORK_MULTI_GET,
	WORK_SCAN,
	WORK_PUT, /* overwrites */
	WORK_BATCH,
	WORK_YCSB, /* by the mix */
	WORK_DEVICE,
};

enum spread { SPREAD_UNIFORM, SPREAD_ZIPF, SPREAD_LATEST };

struct mix { /* in percent; what is left are gets */
	uint8_t update, insert, scan, modify;
};

struct row {
	char	    scale; /* 'S', 'L' */
	const char *name, *title;
	enum work   work;
	unsigned    threads;
	unsigned depth; /* not 0: engines that can run it from one thread with so many in flight; `threads` are for the others */
	unsigned count; /* records in a batch, a multi-get, a scan */
	uint32_t value_len;
	enum spread spread;
	struct mix  mix;
	bool	    durable;
	bool	    settles; /* runs for longer; its figure is of the second half */
	double	    target;  /* least ratio of Tarn to the better peer; 0: none */
};

extern const struct row rows[];
extern const size_t	row_count;

/* ---- cells ---- */

struct options {
	const char *scales, *names, *engines, *dir, *cgroup, *plot;
	bool	    json, list;
	uint64_t    records;   /* 0: the scale's */
	uint64_t    cache_mib; /* of memory at scale L */
	double	    seconds, settle_seconds;
	unsigned    rounds, threads;
	uint32_t    value_len;
	int	    spread; /* enum spread, or -1: the row's */
};

struct cell {
	const struct engine *engine;
	const struct row    *row;
	struct setup	     setup;
	double		     warm, seconds;
	unsigned	     threads, depth;
	uint64_t	     serial;
	const char	    *cgroup; /* directory of the memory cgroup to join; NULL: none */
};

struct result {
	enum answer answer;
	char	    message[200];
	double	    rate; /* records a second, or scans */
	double	    first_rate,
		worst_rate; /* of rows that settle: of the first tenth of the time; of the worst sixtieth of the second half */
	double p50_us, p99_us, p999_us, max_us; /* of a call */
	double cpu_us;				/* of the process, for each record or scan */
	double write_factor;			/* bytes that the device wrote for each byte put; 0: nothing was put */
	double io_write_factor;			/* the same by the kernel's account of the process */
	double disk_mib, rss_mib;
	double bins[BINS];
	bool   unbounded; /* the page cache helped, although the row is about doing without */
};

/* Runs a cell in this process, once in its life. Fills *result. */
void cell_run(const struct cell *cell, struct result *result);
void cell_load(const struct cell *cell, struct result *result);
void cell_device(const struct cell *cell, struct result *result); /* raw I/O on a file in setup.dir: row->name says which */

/* ---- what was measured ---- */

#define ENGINES_MAX 4

struct entry { /* a row on an engine */
	const struct engine *engine;
	unsigned	     rounds;
	struct result	     results[ROUNDS_MAX];
	struct result	     median;
	double		     spread; /* (largest - smallest) / median of the rates */
};

struct line {		  /* a row, on all engines */
	struct row   row; /* as it was run: options may have changed it */
	unsigned     entries;
	struct entry entry[ENGINES_MAX];
};

struct report {
	const struct options *options;
	const struct engine  *engines[ENGINES_MAX];
	unsigned	      engine_count;
	struct line	     *lines;
	size_t		      count;
};

void entry_median(struct entry *entry);

/* The rate of an engine; 0 when it has none. */
double line_rate(const struct line *line, const char *engine);

/* The rate of the better peer; 0 when there is none. One that the page cache helped where it should not does not count. */
double line_peer(const struct line *line);

void report_head(const struct report *report);
void report_line(const struct line *line); /* as soon as it is known */
void report_ratios(const struct report *report);
void report_json(const struct report *report);
bool report_plot(const struct report *report, const char *path);

bool run(const struct options *options); /* false: a cell has failed */

#ifdef __cplusplus
}
#endif
#endif
