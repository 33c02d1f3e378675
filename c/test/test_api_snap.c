/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_snap.c: snapshots through the public API. */
#include "api_scratch.h"

static tarn_cont *open_epoch(struct scratch *s, uint64_t epoch)
{
	tarn_cont *cont = NULL;

	assert_ok(tarn_cont_open_snap(s->pool, "neo", epoch, NULL, &cont, NULL));
	return cont;
}

static tarn_kv *open_stadium(tarn_cont *cont)
{
	tarn_kv *kv = NULL;

	assert_ok(tarn_kv_open(cont, "stadium", 0, &kv, NULL));
	return kv;
}

static void close_both(tarn_kv *kv, tarn_cont *cont)
{
	assert_ok(tarn_kv_close(kv));
	assert_ok(tarn_cont_close(cont));
}

static uint64_t count_of(tarn_kv *kv)
{
	uint64_t count;

	assert_ok(tarn_kv_count(kv, NULL, &count, NULL));
	return count;
}

static uint64_t take(struct scratch *s, const char *name)
{
	uint64_t epoch = 0;

	assert_ok(tarn_snap_create(s->cont, name, &epoch, NULL));
	assert_true(epoch > 0);
	return epoch;
}

static void test_names(void **state)
{
	struct scratch *s = *state;
	tarn_snap_info	infos[4];
	char		label[TARN_LABEL_MAX + 2];
	uint64_t	first = take(s, "zebra"), second = take(s, NULL), third = take(s, "ant");
	size_t		n = 0;

	memset(label, 'x', sizeof(label) - 1);
	label[sizeof(label) - 1] = 0;
	assert_error(tarn_snap_create(s->cont, "ant", NULL, NULL), EXIST);
	assert_says("ant");
	assert_error(tarn_snap_create(s->cont, "", NULL, NULL), INVAL);
	assert_error(tarn_snap_create(s->cont, "a b", NULL, NULL), INVAL);
	assert_error(tarn_snap_create(s->cont, label, NULL, NULL), INVAL);
	assert_true(first < second && second < third);

	assert_ok(tarn_snap_list(s->cont, NULL, &n, NULL));
	assert_int_equal(n, 3);
	n = 2;
	assert_error(tarn_snap_list(s->cont, infos, &n, NULL), TRUNC);
	assert_int_equal(n, 3);
	n = 4;
	assert_ok(tarn_snap_list(s->cont, infos, &n, NULL));
	assert_int_equal(n, 3);
	assert_string_equal(infos[0].name, "zebra");
	assert_string_equal(infos[1].name, "");
	assert_string_equal(infos[2].name, "ant");
	assert_int_equal(infos[0].epoch, first);
	assert_int_equal(infos[1].epoch, second);
	assert_int_equal(infos[2].epoch, third);
	assert_true(infos[0].created_ns > UINT64_C(1000000000000000000) && infos[0].created_ns <= infos[2].created_ns);
}

/* What is read through a snapshot is what was there, whatever has come since. */
static void test_view(void **state)
{
	struct scratch	*s    = *state;
	tarn_range	 all  = { .flags = TARN_RANGE_KEYS_ONLY };
	tarn_object_info info = { "", 0, 0, 0 };
	uint64_t	 buf[512], epoch;
	size_t		 n = 4;
	tarn_object_info infos[4];
	tarn_listing	 listing;
	tarn_cont	*cont;
	tarn_kv		*kv;

	put_text(s->kv, "a", "1");
	put_text(s->kv, "b", "2");
	epoch = take(s, "then");
	put_text(s->kv, "a", "changed");
	put_text(s->kv, "c", "new");
	assert_ok(tarn_kv_del(s->kv, text("b"), TARN_COND_UPDATE, NULL));
	assert_ok(tarn_object_create(s->cont, "later", NULL));

	assert_ok(tarn_cont_open_snap(s->pool, "neo", 0, "then", &cont, NULL));
	kv = open_stadium(cont);
	assert_value(kv, text("a"), text("1"));
	assert_value(kv, text("b"), text("2"));
	assert_error(tarn_kv_exists(kv, text("c"), NULL, NULL), NONEXIST);
	assert_int_equal(count_of(kv), 2);
	assert_ok(tarn_kv_list(kv, &all, 0, buf, sizeof(buf), &listing, NULL));
	assert_int_equal(listing.count, 2);
	assert_ok(tarn_object_list(cont, NULL, infos, &n, NULL));
	assert_int_equal(n, 1);
	assert_string_equal(infos[0].name, "stadium");
	assert_error(tarn_object_query(cont, "later", &info, NULL), NONEXIST);
	assert_ok(tarn_object_query(s->cont, "later", &info, NULL));
	close_both(kv, cont);
	cont = open_epoch(s, epoch);
	kv   = open_stadium(cont);
	assert_value(kv, text("a"), text("1"));
	close_both(kv, cont);
	assert_value(s->kv, text("a"), text("changed"));
}

static void test_read_only(void **state)
{
	struct scratch *s     = *state;
	tarn_mutation	mut   = { .key = text("a"), .val = text("x") };
	tarn_prop	prop  = { .id = TARN_PROP_DESCRIPTION, .string = "no" };
	uint64_t	epoch = take(s, NULL);
	tarn_cont_info	info;
	tarn_writer    *writer;
	tarn_cont      *cont = open_epoch(s, epoch);
	tarn_kv	       *kv   = open_stadium(cont), *none;

	assert_error(tarn_kv_put(kv, text("a"), text("1"), TARN_COND_NONE, NULL), EP_RO);
	assert_error(tarn_kv_del(kv, text("a"), TARN_COND_NONE, NULL), EP_RO);
	assert_error(tarn_kv_apply(kv, &mut, 1, NULL, NULL), EP_RO);
	assert_error(tarn_kv_del_range(kv, NULL, NULL, NULL), EP_RO);
	assert_error(tarn_writer_open(kv, text("a"), TARN_COND_NONE, &writer), EP_RO);
	assert_error(tarn_object_create(cont, "o", NULL), EP_RO);
	assert_says("snapshot");
	assert_error(tarn_object_destroy(cont, "stadium", NULL), EP_RO);
	assert_error(tarn_kv_open(cont, "o", TARN_KV_CREATE, &none, NULL), EP_RO);
	assert_error(tarn_cont_set_props(cont, &prop, 1, NULL), EP_RO);
	assert_error(tarn_snap_create(cont, NULL, NULL, NULL), EP_RO);
	assert_error(tarn_snap_destroy(cont, epoch, NULL), EP_RO);
	assert_ok(tarn_cont_query(cont, &info, NULL));
	assert_int_equal(info.epoch, epoch);
	assert_int_equal(info.snapshots, 1);
	assert_int_equal(info.objects, 1);
	assert_int_equal(info.open_handles, 2);
	close_both(kv, cont);
	assert_ok(tarn_cont_query(s->cont, &info, NULL));
	assert_int_equal(info.epoch, 0);
}

static void test_destroy(void **state)
{
	struct scratch *s     = *state;
	uint64_t	epoch = take(s, "once"), other = take(s, "twice");
	tarn_cont      *cont = open_epoch(s, epoch), *again = open_epoch(s, epoch), *none;

	assert_error(tarn_snap_destroy(s->cont, epoch, NULL), BUSY);
	assert_says("2 handles");
	assert_ok(tarn_cont_close(again));
	assert_ok(tarn_snap_destroy(s->cont, other, NULL));
	assert_ok(tarn_cont_close(cont));
	assert_ok(tarn_snap_destroy(s->cont, epoch, NULL));
	assert_error(tarn_snap_destroy(s->cont, epoch, NULL), NONEXIST);
	assert_error(tarn_snap_destroy(s->cont, 0, NULL), NONEXIST);
	assert_error(tarn_cont_open_snap(s->pool, "neo", epoch, NULL, &none, NULL), NONEXIST);
	assert_error(tarn_cont_open_snap(s->pool, "neo", 0, "once", &none, NULL), NONEXIST);
	assert_says("once");
	assert_error(tarn_cont_open_snap(s->pool, "nobody", 0, "once", &none, NULL), CONT_NONEXIST);
	assert_error(tarn_cont_open_snap(s->pool, "neo", 0, NULL, &none, NULL), INVAL);
	assert_error(tarn_cont_open_snap(s->pool, "neo", 7, "once", &none, NULL), INVAL);
	assert_error(tarn_cont_open_snap(s->pool, NULL, 7, NULL, &none, NULL), INVAL);
	assert_error(tarn_cont_open_snap(NULL, "neo", 7, NULL, &none, NULL), NO_HDL);
	assert_error(tarn_snap_list(s->cont, NULL, NULL, NULL), INVAL);
	assert_true(take(s, "once") > other);
}

/* The disk's flushes are not what is tested. */
static void relax(struct scratch *s)
{
	tarn_prop prop = { .id = TARN_PROP_DURABILITY, .number = TARN_DURABILITY_RELAXED };

	assert_ok(tarn_cont_set_props(s->cont, &prop, 1, NULL));
}

static uint64_t free_bytes(struct scratch *s)
{
	tarn_pool_info info;

	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	assert_ok(tarn_pool_query(s->pool, &info, NULL));
	return info.free_bytes;
}

/* ---- against copies of the container ---- */

#define KEYS	300
#define SNAPS	24
#define BIG	40000 /* bytes: goes to extents */
#define NOTHING UINT32_MAX

/* What each key's value is made of. */
struct model {
	uint32_t now[KEYS];
	struct {
		uint64_t epoch; /* 0: free */
		uint32_t was[KEYS];
	} snaps[SNAPS];
};

static char big[BIG];

static tarn_buf key_of(uint32_t k, char buf[16])
{
	snprintf(buf, 16, "key%05u", k * 7919 % 100000);
	return text(buf);
}

static tarn_buf value_of(uint32_t what)
{
	size_t len = what % 9 == 0 ? BIG - what % 5000 : 20 + what % 180;

	test_fill(big, len, what);
	return (tarn_buf){ big, len };
}

static void assert_state(tarn_kv *kv, const uint32_t *state)
{
	char	 key[16];
	uint64_t n = 0;

	for (uint32_t k = 0; k < KEYS; k++) {
		if (state[k] == NOTHING) {
			assert_error(tarn_kv_exists(kv, key_of(k, key), NULL, NULL), NONEXIST);
			continue;
		}
		assert_value(kv, key_of(k, key), value_of(state[k]));
		n++;
	}
	assert_int_equal(count_of(kv), n);
}

static void assert_snapshots(struct scratch *s, const struct model *m)
{
	for (int i = 0; i < SNAPS; i++) {
		tarn_cont *cont;
		tarn_kv	  *kv;

		if (!m->snaps[i].epoch)
			continue;
		cont = open_epoch(s, m->snaps[i].epoch);
		kv   = open_stadium(cont);
		assert_state(kv, m->snaps[i].was);
		close_both(kv, cont);
	}
}

static void change(struct scratch *s, struct model *m, struct rng *rng)
{
	uint32_t k = (uint32_t)rng_below(rng, KEYS), what = (uint32_t)rng_below(rng, 1 << 20);
	char	 key[16];

	if (rng_below(rng, 4) == 0) {
		assert_ok(tarn_kv_del(s->kv, key_of(k, key), TARN_COND_NONE, NULL));
		m->now[k] = NOTHING;
	} else {
		assert_ok(tarn_kv_put(s->kv, key_of(k, key), value_of(what), TARN_COND_NONE, NULL));
		m->now[k] = what;
	}
}

static void snap_or_unsnap(struct scratch *s, struct model *m, struct rng *rng)
{
	uint32_t i = (uint32_t)rng_below(rng, SNAPS);

	if (m->snaps[i].epoch) {
		assert_ok(tarn_snap_destroy(s->cont, m->snaps[i].epoch, NULL));
		m->snaps[i].epoch = 0;
		return;
	}
	m->snaps[i].epoch = take(s, NULL);
	memcpy(m->snaps[i].was, m->now, sizeof(m->now));
}

static void test_model(void **state)
{
	struct scratch *s = *state;
	struct model   *m = calloc(1, sizeof(*m));
	uint64_t	n = test_number("N", 6000), before = free_bytes(s);
	struct rng	rng;

	assert_non_null(m);
	relax(s);
	rng_seed(&rng, test_seed());
	memset(m->now, 0xff, sizeof(m->now));
	for (uint64_t i = 0; i < n; i++) {
		uint64_t what = rng_below(&rng, 1000);

		if (what < 950)
			change(s, m, &rng);
		else if (what < 985)
			snap_or_unsnap(s, m, &rng);
		else if (what < 990)
			assert_ok(tarn_pool_checkpoint(s->pool, NULL));
		else if (what < 993)
			assert_ok(tarn_pool_check(s->pool, NULL, NULL, NULL));
		else if (what < 995)
			assert_ok(tarn_pool_scrub(s->pool, NULL, NULL, NULL));
		else if (what < 997)
			scratch_reopen(s);
		else
			assert_snapshots(s, m);
	}
	assert_state(s->kv, m->now);
	for (int i = 0; i < SNAPS; i++)
		if (m->snaps[i].epoch)
			assert_ok(tarn_snap_destroy(s->cont, m->snaps[i].epoch, NULL));
	assert_ok(tarn_kv_del_range(s->kv, NULL, NULL, NULL));
	assert_true(free_bytes(s) + (64 << 10) >= before);
	free(m);
}

#define MANY 1000

static void test_thousand(void **state)
{
	struct scratch *s      = *state;
	tarn_snap_info *infos  = calloc(MANY, sizeof(*infos));
	uint64_t       *epochs = calloc(MANY, sizeof(*epochs)), before = free_bytes(s);
	size_t		n = MANY;
	char		buf[32];

	assert_non_null(infos);
	assert_non_null(epochs);
	relax(s);
	for (uint64_t i = 0; i < MANY; i++) {
		snprintf(buf, sizeof(buf), "%" PRIu64, i);
		put_text(s->kv, "last", buf);
		put_text(s->kv, buf, "there");
		epochs[i] = take(s, i % 2 ? buf : NULL);
	}
	scratch_reopen(s);
	assert_ok(tarn_snap_list(s->cont, infos, &n, NULL));
	assert_int_equal(n, MANY);
	for (uint64_t i = 0; i < MANY; i++) {
		assert_int_equal(infos[i].epoch, epochs[i]);
		if (i % 50 == 0) {
			tarn_cont *cont = open_epoch(s, epochs[i]);
			tarn_kv	  *kv	= open_stadium(cont);

			snprintf(buf, sizeof(buf), "%" PRIu64, i);
			assert_value(kv, text("last"), text(buf));
			assert_int_equal(count_of(kv), i + 2);
			close_both(kv, cont);
		}
	}
	assert_ok(tarn_pool_check(s->pool, NULL, NULL, NULL));
	for (uint64_t i = 0; i < MANY; i++)
		assert_ok(tarn_snap_destroy(s->cont, epochs[(i * 7 + 3) % MANY], NULL));
	assert_ok(tarn_kv_del_range(s->kv, NULL, NULL, NULL));
	assert_true(free_bytes(s) + (64 << 10) >= before);
	free(epochs);
	free(infos);
}

/* ---- ends ---- */

static void test_container_goes(void **state)
{
	struct scratch *s = *state;
	tarn_cont      *cont;
	uint64_t	epoch = take(s, "kept");
	size_t		n     = 0;

	put_text(s->kv, "a", "1");
	assert_ok(tarn_kv_close(s->kv));
	assert_ok(tarn_object_destroy(s->cont, "stadium", NULL));
	cont = open_epoch(s, epoch);
	assert_ok(tarn_cont_close(s->cont));
	assert_error(tarn_cont_destroy(s->pool, "neo", TARN_DESTROY_FORCE, NULL), BUSY);
	assert_ok(tarn_cont_close(cont));
	assert_error(tarn_cont_destroy(s->pool, "neo", 0, NULL), BUSY);
	assert_says("1 snapshots");
	assert_ok(tarn_cont_destroy(s->pool, "neo", TARN_DESTROY_FORCE, NULL));
	assert_ok(tarn_cont_create(s->pool, "neo", TARN_CONT_KV, NULL, 0, NULL, NULL));
	assert_ok(tarn_cont_open(s->pool, "neo", 0, &s->cont, NULL));
	assert_ok(tarn_snap_list(s->cont, NULL, &n, NULL));
	assert_int_equal(n, 0);
	assert_error(tarn_cont_open_snap(s->pool, "neo", epoch, NULL, &cont, NULL), NONEXIST);
	assert_ok(tarn_kv_open(s->cont, "stadium", TARN_KV_CREATE, &s->kv, NULL));
}

/* More records of snapshots than a record of this small log holds. */
static void test_container_goes_with_many(void **state)
{
	struct scratch	*s	= *state;
	tarn_pool_params params = { .struct_size = sizeof(params), .size = 16 << 20, .log_bytes = 128 << 10 };
	char		 name[TARN_LABEL_MAX + 1];
	tarn_pool	*pool;
	tarn_cont	*cont;
	size_t		 n = 0;

	assert_ok(tarn_pool_create(s->sys, "small", &params, NULL, NULL));
	assert_ok(tarn_pool_open(s->sys, "small", NULL, &pool, NULL));
	assert_ok(tarn_cont_create(pool, "c", TARN_CONT_KV, NULL, 0, NULL, NULL));
	assert_ok(tarn_cont_open(pool, "c", 0, &cont, NULL));
	for (int i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "%0127d", i);
		assert_ok(tarn_snap_create(cont, name, NULL, NULL));
	}
	assert_ok(tarn_cont_close(cont));
	assert_ok(tarn_cont_destroy(pool, "c", TARN_DESTROY_FORCE, NULL));
	assert_ok(tarn_cont_list(pool, NULL, &n, NULL));
	assert_int_equal(n, 0);
	assert_ok(tarn_pool_check(pool, NULL, NULL, NULL));
	assert_ok(tarn_pool_close(pool));
}

static void test_events(void **state)
{
	struct scratch *s      = *state;
	uint64_t	epoch  = 0;
	tarn_cont      *cont   = NULL;
	size_t		n      = 0;
	char		name[] = "soon";
	tarn_event	ev;

	tarn_event_init(&ev, NULL, NULL, 0);
	assert_ok(tarn_snap_create(s->cont, name, &epoch, &ev));
	memset(name, 'x', 4); /* it was copied */
	assert_ok(tarn_event_wait(&ev, -1));
	assert_ok(tarn_snap_list(s->cont, NULL, &n, &ev));
	assert_ok(tarn_event_wait(&ev, -1));
	assert_int_equal(n, 1);
	assert_ok(tarn_cont_open_snap(s->pool, "neo", 0, "soon", &cont, &ev));
	assert_ok(tarn_event_wait(&ev, -1));
	assert_ok(tarn_cont_close(cont));
	assert_ok(tarn_cont_open_snap(s->pool, "neo", epoch, NULL, &cont, &ev));
	assert_ok(tarn_event_wait(&ev, -1));
	assert_ok(tarn_cont_close(cont));
	assert_ok(tarn_snap_destroy(s->cont, epoch, &ev));
	assert_ok(tarn_event_wait(&ev, -1));
	assert_int_equal(tarn_snap_destroy(s->cont, epoch, &ev), 0);
	assert_int_equal(tarn_event_wait(&ev, -1), -TARN_E_NONEXIST);
	assert_error(tarn_snap_create(NULL, NULL, NULL, &ev), NO_HDL);
	assert_error(tarn_snap_list(NULL, NULL, &n, &ev), NO_HDL);
	assert_error(tarn_snap_destroy(NULL, 1, &ev), NO_HDL);
}

/* A reader of a snapshot sees it while the container goes on; it holds the snapshot's handle. */
static void test_reader(void **state)
{
	struct scratch *s   = *state;
	size_t		len = BIG, size = 300000;
	char	       *written = malloc(size), *got = malloc(size);
	tarn_reader    *reader;
	tarn_kv_stat	stat;
	tarn_cont      *cont;
	tarn_kv	       *kv;

	assert_non_null(written);
	assert_non_null(got);
	test_fill(written, size, 1);
	assert_ok(tarn_kv_put(s->kv, text("big"), (tarn_buf){ written, size }, TARN_COND_NONE, NULL));
	cont = open_epoch(s, take(s, NULL));
	kv   = open_stadium(cont);
	assert_ok(tarn_kv_del(s->kv, text("big"), TARN_COND_NONE, NULL));
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	assert_ok(tarn_reader_open(kv, text("big"), &stat, &reader, NULL));
	assert_int_equal(stat.size, size);
	for (size_t at = 0; at < size; at += len) {
		len = MIN(BIG, size - at);
		assert_ok(tarn_reader_read(reader, at, got + at, &len, NULL));
	}
	assert_memory_equal(got, written, size);
	assert_ok(tarn_reader_close(reader));
	close_both(kv, cont);
	free(got);
	free(written);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_names),	   scratch_test(test_view),
		scratch_test(test_read_only),	   scratch_test(test_destroy),
		scratch_test(test_model),	   scratch_test(test_thousand),
		scratch_test(test_container_goes), scratch_test(test_container_goes_with_many),
		scratch_test(test_events),	   scratch_test(test_reader),
	};

	return cmocka_run_group_tests_name("snapshots", tests, NULL, NULL);
}
