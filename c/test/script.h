/* SPDX-License-Identifier: Apache-2.0 */
/* test/script.h: workloads of a store as text, and a model that knows what must come out.
 *
 * A script is commands separated by ';'; their arguments are numbers, and script_commands[] says what each does. Keys are numbered, and
 * so are the four trees. Always true, between two commands:
 *   - worlds[0] is what has been acknowledged; each later world has one more batch, applied but not acknowledged. What the store holds
 *     is one of them, and which one is settled after a reopen (script_match);
 *   - a command that failed may be run again: it goes on where it failed, and does not apply its batch twice.
 * Values follow from tree, key and version, so the model keeps no bytes. */
#ifndef TARN_SCRIPT_H
#define TARN_SCRIPT_H

#include "harness.h"

#include "../src/device/sim.h"
#include "../src/store/internal.h"
#include "store_tools.h"

#define SCRIPT_KEYS   400u
#define SCRIPT_TREES  4u
#define SCRIPT_TREE   16u /* the id of the first */
#define SCRIPT_SNAPS  12u
#define SCRIPT_WORLDS 8u
#define SCRIPT_BATCH  256u
#define SCRIPT_VALUE  (1u << 18)
#define SCRIPT_KEY    300u

struct entry {
	uint32_t version; /* 0: absent */
	uint32_t len;
};
struct map {
	struct entry keys[SCRIPT_KEYS];
};
struct world {
	struct map live[SCRIPT_TREES];
	struct {
		unsigned   tree;
		uint64_t   epoch; /* 0: not known, the batch was not answered */
		struct map map;
	} snaps[SCRIPT_SNAPS];
	unsigned snaps_n;
};

struct script {
	struct device	    *dev;
	struct store	    *store; /* NULL: not open */
	uint64_t	     cache_bytes;
	unsigned	     tree;
	uint32_t	     version; /* of the last value that was made */
	struct world	     worlds[SCRIPT_WORLDS];
	unsigned	     worlds_n; /* 1 and up */
	struct world	     trial;    /* script_match()'s */
	bool		     applied;  /* the command being run has applied its batch */
	uint64_t	     lsn;
	struct store_reader *reader; /* that a `hold` opened, */
	struct entry	     held;   /* for this value of this key of this tree */
	unsigned	     held_tree, held_key;
	uint64_t	     put_off; /* puts that read no leaf, but for the store's that is open */
	const char	    *wrong;   /* what the store answered that it must not */
	uint8_t		    *got, *want, *list;
	char		     text[160];
};

/* ---- keys and values ---- */

static inline tarn_buf script_key(unsigned k, uint8_t key[SCRIPT_KEY])
{
	size_t len = k % 20 == 3 ? 290 : 4;

	memset(key, 'k', len);
	key[0] = (uint8_t)(k >> 8), key[1] = (uint8_t)k;
	return (tarn_buf){ key, len };
}

static inline void script_value(uint8_t *to, unsigned tree, unsigned k, struct entry e)
{
	test_fill(to, e.len, ((uint64_t)e.version << 20) + tree * SCRIPT_KEYS + k);
}

static inline int script_wrong(struct script *s, const char *what, unsigned tree, unsigned k)
{
	snprintf(s->text, sizeof(s->text), "%s: tree %u, key %u", what, tree, k);
	s->wrong = s->text;
	return 1;
}

/* ---- worlds ---- */

static inline struct world *script_now(struct script *s)
{
	return &s->worlds[s->worlds_n - 1];
}

static inline void script_acknowledge(struct script *s)
{
	s->worlds[0] = *script_now(s);
	s->worlds_n  = 1;
}

static inline void world_change(struct world *w, unsigned tree, const struct store_mutation *m, unsigned k, struct entry e)
{
	unsigned i = 0;

	switch (m->change) {
	case STORE_PUT:
		w->live[tree].keys[k] = e;
		break;
	case STORE_DEL:
		w->live[tree].keys[k] = (struct entry){ 0 };
		break;
	case STORE_DROP:
		memset(&w->live[tree], 0, sizeof(w->live[tree]));
		for (unsigned n = w->snaps_n; i < n; i++)
			if (w->snaps[i].tree != tree)
				w->snaps[i - (n - w->snaps_n)] = w->snaps[i];
			else
				w->snaps_n--;
		break;
	case STORE_SNAP:
		w->snaps[w->snaps_n].tree  = tree;
		w->snaps[w->snaps_n].epoch = 0;
		w->snaps[w->snaps_n++].map = w->live[tree];
		break;
	case STORE_UNSNAP:
		while (w->snaps[i].tree != tree || w->snaps[i].epoch != m->revision)
			i++;
		memmove(&w->snaps[i], &w->snaps[i + 1], (w->snaps_n - i - 1) * sizeof(w->snaps[0]));
		w->snaps_n--;
		break;
	case STORE_CHECK:
		break;
	}
}

/* ---- comparing: 0 the same, 1 it differs (and s->wrong), negative an error ---- */

static inline int match_value(struct script *s, struct store_at at, unsigned tree, unsigned k, struct entry e)
{
	uint8_t key[SCRIPT_KEY];
	size_t	len = SCRIPT_VALUE;
	int	rc  = store_get(s->store, at, script_key(k, key), s->got, &len, NULL, 0);

	if (rc == -TARN_E_NONEXIST)
		return e.version ? script_wrong(s, "a key is missing", tree, k) : 0;
	if (rc)
		return rc;
	if (!e.version)
		return script_wrong(s, "a key that was deleted, or never was", tree, k);
	script_value(s->want, tree, k, e);
	return len == e.len && !memcmp(s->got, s->want, len) ? 0 : script_wrong(s, "a wrong value", tree, k);
}

/* Lists all of it, one batch after the other, and compares what is there and what is not. */
static inline int match_list(struct script *s, struct store_at at, unsigned tree, const struct map *map)
{
	static uint8_t	   last[SCRIPT_KEY];
	struct store_range range = { .flags = TARN_RANGE_KEYS_ONLY };
	tarn_listing	   out	 = { .more = 1 };
	unsigned	   next	 = 0;

	while (out.more) {
		int rc = store_list(s->store, at, &range, 0, s->list, 16384, &out, 0);

		if (rc)
			return rc;
		for (size_t off = 0; off < out.used;) {
			const tarn_entry *e   = (const void *)(s->list + off);
			const uint8_t	 *key = (const uint8_t *)(e + 1);
			unsigned	  k   = (unsigned)key[0] << 8 | key[1];

			for (; next < k && next < SCRIPT_KEYS; next++)
				if (map->keys[next].version)
					return script_wrong(s, "a key is missing from the list", tree, next);
			if (k >= SCRIPT_KEYS || e->key_len > SCRIPT_KEY || k < next || e->val_len != map->keys[k].len ||
			    !map->keys[k].version)
				return script_wrong(s, "the list has what should not be there", tree, k);
			next = k + 1;
			memcpy(last, key, e->key_len);
			range.start = (tarn_buf){ last, e->key_len };
			range.flags |= TARN_RANGE_AFTER;
			off = ROUND_UP(off + sizeof(*e) + e->key_len, 8);
		}
	}
	for (; next < SCRIPT_KEYS; next++)
		if (map->keys[next].version)
			return script_wrong(s, "a key is missing at the end of the list", tree, next);
	return 0;
}

static inline int match_map(struct script *s, struct store_at at, unsigned tree, const struct map *map)
{
	struct store_range all = { .flags = 0 };
	uint64_t	   n   = 0, count;
	int		   rc  = match_list(s, at, tree, map);

	for (unsigned k = 0; k < SCRIPT_KEYS && !rc; k++) {
		n += map->keys[k].version != 0;
		if (map->keys[k].version || k % 16 == 5)
			rc = match_value(s, at, tree, k, map->keys[k]);
	}
	rc = rc ? rc : store_count(s->store, at, &all, &count, 0);
	return rc ? rc : count == n ? 0 : script_wrong(s, "a wrong count", tree, (unsigned)count);
}

/* The tree's snapshots are those of the world, no more and no less; epochs that nobody was told are filled in. */
static inline int match_epochs(struct script *s, struct world *w, unsigned tree)
{
	uint64_t epochs[SCRIPT_SNAPS + 1];
	size_t	 n = SCRIPT_SNAPS + 1, i = 0;
	int	 rc = store_snapshots(s->store, SCRIPT_TREE + tree, 0, epochs, &n);

	for (unsigned j = 0; j < w->snaps_n && !rc; j++) {
		if (w->snaps[j].tree != tree)
			continue;
		if (i == n || (w->snaps[j].epoch && w->snaps[j].epoch != epochs[i]))
			return script_wrong(s, "a snapshot is missing", tree, j);
		w->snaps[j].epoch = epochs[i++];
	}
	return rc ? rc : i == n ? 0 : script_wrong(s, "a snapshot too many", tree, (unsigned)i);
}

static inline int match_world(struct script *s, struct world *w)
{
	int rc = 0;

	for (unsigned t = 0; t < SCRIPT_TREES && !rc; t++) {
		rc = match_epochs(s, w, t);
		rc = rc ? rc : match_map(s, live(SCRIPT_TREE + t), t, &w->live[t]);
	}
	for (unsigned j = 0; j < w->snaps_n && !rc; j++) {
		unsigned t = w->snaps[j].tree;

		rc = match_map(s, (struct store_at){ SCRIPT_TREE + t, w->snaps[j].epoch }, t, &w->snaps[j].map);
	}
	return rc;
}

/* Is it one of the worlds? After a reopen (settle) that one is what is acknowledged from now on. */
static inline int script_match(struct script *s, bool settle)
{
	int rc = 1;

	for (unsigned i = 0; i < s->worlds_n && rc > 0; i++) {
		s->trial = s->worlds[i];
		rc	 = match_world(s, &s->trial);
	}
	if (!rc)
		s->wrong = NULL;
	if (!rc && settle) {
		s->worlds[0] = s->trial;
		s->worlds_n  = 1;
	}
	return rc;
}

/* ---- commands: 0, or the store's error ---- */

static inline bool script_readonly(struct script *s)
{
	struct store_stat stat;

	store_stat(s->store, &stat);
	return stat.readonly;
}

struct change {
	struct store_mutation m;
	unsigned	      k;
	struct entry	      e;
};

static inline void push_world(struct script *s, const struct change *c, unsigned n)
{
	struct world *w = &s->worlds[s->worlds_n];

	assert_true(s->worlds_n < SCRIPT_WORLDS);
	*w = *script_now(s);
	s->worlds_n++;
	for (unsigned i = 0; i < n; i++)
		world_change(w, s->tree, &c[i].m, c[i].k, c[i].e);
}

/* What has an lsn may be in the log, also when it could not be committed. */
static inline int apply(struct script *s, const struct change *c, unsigned n, unsigned flags)
{
	static struct store_mutation muts[SCRIPT_BATCH];
	int			     rc;

	s->lsn = 0;
	for (unsigned i = 0; i < n; i++)
		muts[i] = c[i].m;
	rc = store_apply(s->store, muts, n, flags, &s->lsn, NULL);
	if (s->lsn)
		push_world(s, c, n);
	for (unsigned i = 0; i < n && !rc; i++)
		if (c[i].m.change == STORE_SNAP)
			script_now(s)->snaps[script_now(s)->snaps_n - 1].epoch = s->lsn;
	s->applied = !rc;
	return rc;
}

static inline int commit(struct script *s)
{
	int rc = store_commit(s->store, s->lsn);

	if (!rc) {
		s->applied = false;
		script_acknowledge(s);
	}
	return rc;
}

static inline int change_one(struct script *s, struct change *c)
{
	int rc = 0;

	c->m.tree = SCRIPT_TREE + s->tree;
	if (!s->applied)
		rc = apply(s, c, 1, s->version % 2 ? STORE_COMMITS : 0);
	return rc ? rc : commit(s);
}

static inline void new_value(struct script *s, struct change *c, unsigned k, uint32_t len)
{
	c->k	    = k;
	c->e	    = (struct entry){ ++s->version, len };
	c->m.change = STORE_PUT;
	script_value(s->want, s->tree, k, c->e);
	c->m.val = (tarn_buf){ s->want, len };
}

/* put K LEN */
static inline int do_put(struct script *s, const unsigned a[3])
{
	uint8_t	      key[SCRIPT_KEY];
	struct change c = { .m.key = script_key(a[0], key) };

	new_value(s, &c, a[0], a[1]);
	return change_one(s, &c);
}

/* lazy K LEN: a put that nobody waits for; `sync` does */
static inline int do_lazy(struct script *s, const unsigned a[3])
{
	uint8_t	      key[SCRIPT_KEY];
	struct change c = { .m.tree = SCRIPT_TREE + s->tree, .m.key = script_key(a[0], key) };
	int	      rc;

	new_value(s, &c, a[0], a[1]);
	rc	   = apply(s, &c, 1, 0);
	s->applied = false;
	return rc;
}

static inline int do_sync(struct script *s, const unsigned a[3])
{
	(void)a;
	s->lsn = 0;
	return commit(s);
}

/* new K LEN: only when it is absent; else EXIST, and it is so in the model too */
static inline int do_new(struct script *s, const unsigned a[3])
{
	uint8_t	      key[SCRIPT_KEY];
	struct change c	    = { .m.key = script_key(a[0], key), .m.cond = TARN_COND_INSERT };
	bool	      there = !s->applied && script_now(s)->live[s->tree].keys[a[0]].version;
	int	      rc;

	new_value(s, &c, a[0], a[1]);
	rc = change_one(s, &c);
	return there && rc == -TARN_E_EXIST ? 0 : there && !rc ? script_wrong(s, "EXIST was not said", s->tree, a[0]) : rc;
}

/* batch FROM TO LEN; batchdel FROM TO */
static inline int many(struct script *s, const unsigned a[3], enum store_change change)
{
	static struct change changes[SCRIPT_BATCH];
	static uint8_t	     keys[SCRIPT_BATCH][SCRIPT_KEY];
	unsigned	     n	  = 0;
	uint8_t		    *vals = s->list;
	int		     rc	  = 0;

	for (unsigned k = a[0]; k < a[1] && !s->applied; k++) {
		struct change *c = &changes[n++];

		*c	 = (struct change){ .k = k, .m = { .change = change, .tree = SCRIPT_TREE + s->tree } };
		c->m.key = script_key(k, keys[n - 1]);
		if (change == STORE_PUT) {
			new_value(s, c, k, a[2]);
			c->m.val.ptr = memcpy(vals, s->want, a[2]);
			vals += a[2];
		}
	}
	if (n)
		rc = apply(s, changes, n, 0);
	return rc ? rc : commit(s);
}

static inline int do_batch(struct script *s, const unsigned a[3])
{
	return many(s, a, STORE_PUT);
}

static inline int do_batchdel(struct script *s, const unsigned a[3])
{
	return many(s, a, STORE_DEL);
}

static inline int do_del(struct script *s, const unsigned a[3])
{
	uint8_t	      key[SCRIPT_KEY];
	struct change c = { .k = a[0], .m = { .change = STORE_DEL, .key = script_key(a[0], key) } };

	return change_one(s, &c);
}

static inline int do_drop(struct script *s, const unsigned a[3])
{
	(void)a;
	return change_one(s, &(struct change){ .m.change = STORE_DROP });
}

static inline int do_snap(struct script *s, const unsigned a[3])
{
	(void)a;
	return change_one(s, &(struct change){ .m.change = STORE_SNAP });
}

/* unsnap I: of the tree's snapshots the I-th oldest */
static inline int do_unsnap(struct script *s, const unsigned a[3])
{
	struct change c = { .m.change = STORE_UNSNAP };
	unsigned      n = 0;

	for (unsigned j = 0; j < script_now(s)->snaps_n; j++)
		if (script_now(s)->snaps[j].tree == s->tree && n++ == a[0])
			c.m.revision = script_now(s)->snaps[j].epoch;
	return s->applied || c.m.revision ? change_one(s, &c) : 0;
}

/* value K LEN: in pieces */
static inline int do_value(struct script *s, const unsigned a[3])
{
	uint8_t		    key[SCRIPT_KEY];
	struct change	    c	  = { .m.key = script_key(a[0], key) };
	struct store_value *value = NULL;
	int		    rc	  = 0;

	new_value(s, &c, a[0], a[1]);
	if (!s->applied)
		rc = store_value_new(s->store, &value);
	for (uint32_t off = 0; off < a[1] && value && !rc; off += 30000)
		rc = store_value_append(value, s->want + off, MIN(30000u, a[1] - off));
	c.m.val	  = (tarn_buf){ NULL, 0 };
	c.m.value = value;
	rc	  = rc ? rc : change_one(s, &c);
	if (rc && !s->applied)
		store_value_free(value);
	return rc;
}

static inline int do_tree(struct script *s, const unsigned a[3])
{
	s->tree = a[0];
	return 0;
}

static inline int do_checkpoint(struct script *s, const unsigned a[3])
{
	(void)a;
	return store_checkpoint(s->store);
}

static inline int do_spill(struct script *s, const unsigned a[3])
{
	(void)a;
	return spill_now(s->store, true);
}

static inline int do_get(struct script *s, const unsigned a[3])
{
	return match_value(s, live(SCRIPT_TREE + s->tree), s->tree, a[0], script_now(s)->live[s->tree].keys[a[0]]);
}

static inline int do_verify(struct script *s, const unsigned a[3])
{
	(void)a;
	return match_world(s, script_now(s));
}

static inline int do_list(struct script *s, const unsigned a[3])
{
	(void)a;
	return match_map(s, live(SCRIPT_TREE + s->tree), s->tree, &script_now(s)->live[s->tree]);
}

static inline int do_many(struct script *s, const unsigned a[3])
{
	static uint8_t	 keys[32][SCRIPT_KEY];
	struct store_get gets[32];
	int		 rc;

	for (unsigned i = 0; i < 32; i++)
		gets[i] = (struct store_get){
			.key = script_key(a[0] + i, keys[i]), .buf = s->got + i * 4096, .len = 4096, .rc = -TARN_E_INPROGRESS
		};
	rc = store_get_many(s->store, live(SCRIPT_TREE + s->tree), gets, 32, 0);
	for (unsigned i = 0; i < 32 && !rc; i++) {
		struct entry e = script_now(s)->live[s->tree].keys[a[0] + i];

		if (gets[i].rc && gets[i].rc != -TARN_E_NONEXIST && gets[i].rc != -TARN_E_REC2BIG)
			return gets[i].rc;
		if ((gets[i].rc == -TARN_E_NONEXIST) != !e.version || (e.version && gets[i].len != e.len))
			return script_wrong(s, "a wrong answer of many", s->tree, a[0] + i);
	}
	return rc;
}

/* hold K: a reader, which stays open until `release` has read all of it */
static inline int do_hold(struct script *s, const unsigned a[3])
{
	tarn_kv_stat stat;
	uint8_t	     key[SCRIPT_KEY];

	s->held	     = script_now(s)->live[s->tree].keys[a[0]];
	s->held_tree = s->tree;
	s->held_key  = a[0];
	return store_reader_open(s->store, live(SCRIPT_TREE + s->tree), script_key(a[0], key), &stat, &s->reader);
}

static inline void close_reader(struct script *s)
{
	if (s->reader)
		store_reader_close(s->reader);
	s->reader = NULL;
}

static inline int do_release(struct script *s, const unsigned a[3])
{
	size_t len = 0, at = 0;
	int    rc = 0;

	(void)a;
	while (s->reader && at < s->held.len && !rc) {
		len = 10000;
		rc  = store_reader_read(s->reader, at, s->got + at, &len);
		at += len;
	}
	if (rc || !s->reader)
		return rc;
	close_reader(s);
	script_value(s->want, s->held_tree, s->held_key, s->held);
	return memcmp(s->got, s->want, s->held.len) ? script_wrong(s, "a reader's bytes", s->held_tree, s->held_key) : 0;
}

static inline int do_check(struct script *s, const unsigned a[3])
{
	(void)a;
	return store_check(s->store, NULL);
}

static inline int do_scrub(struct script *s, const unsigned a[3])
{
	struct store_report report = { .found = NULL };

	(void)a;
	return store_scrub(s->store, &report);
}

static inline int script_open(struct script *s)
{
	return store_open(s->dev, &(struct store_options){ .cache_bytes = s->cache_bytes }, &s->store);
}

static inline void count_put_off(struct script *s)
{
	struct store_stat stat;

	store_stat(s->store, &stat);
	s->put_off += stat.put_off;
}

/* Whatever a close answers, the store is gone, and all that was acknowledged is on disk. */
static inline int do_reopen(struct script *s, const unsigned a[3])
{
	int rc = 0;

	(void)a;
	close_reader(s);
	if (s->store) {
		struct store *store = s->store;

		count_put_off(s);
		s->store = NULL;
		rc	 = store_close(store);
	}
	rc = rc ? rc : script_open(s);
	return rc ? rc : script_match(s, true);
}

/* Reopens, and what was read to compare is not in memory any more. */
static inline int do_cold(struct script *s, const unsigned a[3])
{
	int rc = do_reopen(s, a);

	if (!rc) {
		struct store *store = s->store;

		s->store = NULL;
		rc	 = store_close(store);
	}
	return rc ? rc : script_open(s);
}

static inline int do_crash(struct script *s, const unsigned a[3])
{
	(void)a;
	close_reader(s);
	if (s->store) {
		count_put_off(s);
		store_abandon(s->store);
	}
	s->store = NULL;
	return do_reopen(s, a);
}

static const struct {
	const char *name;
	int (*run)(struct script *s, const unsigned args[3]);
} script_commands[] = {
	{ "put", do_put },
	{ "lazy", do_lazy },
	{ "sync", do_sync },
	{ "new", do_new },
	{ "batch", do_batch },
	{ "batchdel", do_batchdel },
	{ "del", do_del },
	{ "drop", do_drop },
	{ "snap", do_snap },
	{ "unsnap", do_unsnap },
	{ "value", do_value },
	{ "tree", do_tree },
	{ "checkpoint", do_checkpoint },
	{ "spill", do_spill },
	{ "get", do_get },
	{ "verify", do_verify },
	{ "list", do_list },
	{ "many", do_many },
	{ "hold", do_hold },
	{ "release", do_release },
	{ "check", do_check },
	{ "scrub", do_scrub },
	{ "reopen", do_reopen },
	{ "cold", do_cold },
	{ "crash", do_crash },
};

struct command {
	int (*run)(struct script *s, const unsigned args[3]);
	unsigned args[3];
};

/* The next command of the text, and the text behind it; NULL at its end. */
static inline const char *script_parse(const char *text, struct command *c)
{
	char name[16] = "";

	*c = (struct command){ .run = NULL };
	if (sscanf(text, " %15[a-z] %u %u %u", name, &c->args[0], &c->args[1], &c->args[2]) < 1)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(script_commands); i++)
		if (!strcmp(script_commands[i].name, name))
			c->run = script_commands[i].run;
	if (!c->run)
		fail_msg("no command %s", name);
	text += strcspn(text, ";");
	return *text ? text + 1 : text;
}

static inline struct script *script_new(uint64_t cache_bytes)
{
	struct script *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->cache_bytes = cache_bytes;
	s->worlds_n    = 1;
	s->got	       = malloc(SCRIPT_VALUE);
	s->want	       = malloc(SCRIPT_VALUE);
	s->list	       = malloc(SCRIPT_VALUE);
	assert_true(s->got && s->want && s->list);
	return s;
}

static inline void script_free(struct script *s)
{
	free(s->got);
	free(s->want);
	free(s->list);
	free(s);
}

#endif
