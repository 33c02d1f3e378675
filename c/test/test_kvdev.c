/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_kvdev.c: key-value devices: each command with its options and errors, with and without an event, and against a model. */
#include "api_scratch.h"

#define BIG (1u << 20) /* a value in extents */

static tarn_kvdev *open_device(struct scratch *s)
{
	tarn_kvdev *dev = NULL;

	assert_ok(tarn_kvdev_open(s->cont, &dev, NULL));
	assert_non_null(dev);
	return dev;
}

static void store(tarn_kvdev *dev, const char *key, tarn_buf val)
{
	assert_ok(tarn_kvdev_store(dev, text(key), val, 0, NULL));
}

/* The result of a call with an event, whether it answered at once or not. */
static int finish(tarn_event *ev, int rc)
{
	if (rc == 0)
		rc = tarn_event_wait(ev, -1);
	else if (rc == 1)
		rc = tarn_event_result(ev);
	if (rc < 0)
		base_set_message(tarn_event_message(ev));
	return rc;
}

/* The first `room` bytes of the value come, its size is told, and nothing behind the room is written. */
static void assert_retrieved(tarn_kvdev *dev, const char *key, size_t room, const uint8_t *val, size_t size, tarn_event *ev)
{
	uint8_t *got = malloc(room + 8);
	size_t	 len = room;
	int	 rc;

	assert_non_null(got);
	memset(got, 0xa5, room + 8);
	rc = tarn_kvdev_retrieve(dev, text(key), got, &len, ev);
	assert_ok(ev ? finish(ev, rc) : rc);
	assert_int_equal(len, size);
	assert_memory_equal(got, val, MIN(room, size));
	for (size_t i = MIN(room, size); i < room + 8; i++)
		assert_int_equal(got[i], 0xa5);
	free(got);
}

static void test_one_key(void **state)
{
	tarn_kvdev *dev = open_device(*state);
	char	    buf[8];
	size_t	    len = sizeof(buf);

	assert_error(tarn_kvdev_exist(dev, text("a"), NULL), NONEXIST);
	assert_error(tarn_kvdev_delete(dev, text("a"), NULL), NONEXIST);
	assert_error(tarn_kvdev_retrieve(dev, text("a"), buf, &len, NULL), NONEXIST);
	store(dev, "a", text("one"));
	assert_ok(tarn_kvdev_exist(dev, text("a"), NULL));
	assert_retrieved(dev, "a", 16, (const uint8_t *)"one", 3, NULL);
	store(dev, "a", text(""));
	assert_retrieved(dev, "a", 16, (const uint8_t *)"", 0, NULL);
	assert_ok(tarn_kvdev_delete(dev, text("a"), NULL));
	assert_error(tarn_kvdev_exist(dev, text("a"), NULL), NONEXIST);
	assert_ok(tarn_kvdev_close(dev));
}

static void test_keys_have_1_to_16_bytes(void **state)
{
	tarn_kvdev *dev = open_device(*state);
	const char  k[] = "0123456789abcdefg";
	size_t	    len = 0;
	uint64_t    list[3];

	for (size_t n = 1; n <= TARN_KVDEV_KEY_MAX; n++) {
		tarn_buf key = { k, n };

		assert_ok(tarn_kvdev_store(dev, key, key, TARN_KVDEV_ADD, NULL));
		assert_ok(tarn_kvdev_exist(dev, key, NULL));
	}
	for (int i = 0; i < 3; i++) {
		const tarn_buf bad[] = { { k, 17 }, { k, 0 }, { NULL, 4 } };
		const int      why[] = { -TARN_E_KEY2BIG, -TARN_E_INVAL, -TARN_E_INVAL };

		assert_int_equal(tarn_kvdev_store(dev, bad[i], text("v"), 0, NULL), why[i]);
		assert_int_equal(tarn_kvdev_retrieve(dev, bad[i], NULL, &len, NULL), why[i]);
		assert_int_equal(tarn_kvdev_delete(dev, bad[i], NULL), why[i]);
		assert_int_equal(tarn_kvdev_exist(dev, bad[i], NULL), why[i]);
	}
	len = sizeof(list);
	assert_error(tarn_kvdev_list(dev, (tarn_buf){ k, 17 }, list, &len, NULL), KEY2BIG);
	assert_error(tarn_kvdev_list(dev, (tarn_buf){ NULL, 4 }, list, &len, NULL), INVAL);
	assert_ok(tarn_kvdev_close(dev));
}

static void test_store_options(void **state)
{
	tarn_kvdev *dev = open_device(*state);

	assert_error(tarn_kvdev_store(dev, text("k"), text("v"), TARN_KVDEV_UPDATE, NULL), NONEXIST);
	assert_ok(tarn_kvdev_store(dev, text("k"), text("1"), TARN_KVDEV_ADD, NULL));
	assert_error(tarn_kvdev_store(dev, text("k"), text("2"), TARN_KVDEV_ADD, NULL), EXIST);
	assert_retrieved(dev, "k", 4, (const uint8_t *)"1", 1, NULL);
	assert_ok(tarn_kvdev_store(dev, text("k"), text("3"), TARN_KVDEV_UPDATE, NULL));
	assert_retrieved(dev, "k", 4, (const uint8_t *)"3", 1, NULL);
	assert_error(tarn_kvdev_store(dev, text("k"), text("v"), TARN_KVDEV_UPDATE | TARN_KVDEV_ADD, NULL), INVAL);
	assert_error(tarn_kvdev_store(dev, text("k"), text("v"), 4, NULL), INVAL);
	assert_says("0x4");
	assert_error(tarn_kvdev_store(dev, text("k"), (tarn_buf){ NULL, 1 }, 0, NULL), INVAL);
	assert_ok(tarn_kvdev_close(dev));
}

/* Values in a leaf and in extents; less room than needed, none, and more; a call that waits, an event, and one that may answer at once. */
static void test_retrieve_gives_the_first_bytes(void **state)
{
	static const size_t sizes[] = { 1, 100, 600, 3000, 70000, BIG };
	tarn_kvdev	   *dev	    = open_device(*state);
	uint8_t		   *val	    = malloc(BIG);
	tarn_event	    wait, quick;

	assert_non_null(val);
	tarn_event_init(&wait, NULL, NULL, 0);
	tarn_event_init(&quick, NULL, NULL, TARN_EVENT_INLINE);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		const size_t rooms[] = { 0, 1, sizes[i] / 2, sizes[i] - 1, sizes[i], sizes[i] + 9 };

		test_fill(val, sizes[i], test_seed() + i);
		assert_ok(tarn_kvdev_store(dev, text("v"), (tarn_buf){ val, sizes[i] }, 0, NULL));
		for (size_t r = 0; r < ARRAY_LEN(rooms); r++) {
			assert_retrieved(dev, "v", rooms[r], val, sizes[i], NULL);
			assert_retrieved(dev, "v", rooms[r], val, sizes[i], &wait);
			assert_retrieved(dev, "v", rooms[r], val, sizes[i], &quick);
		}
	}
	free(val);
	assert_ok(tarn_kvdev_close(dev));
}

static void test_retrieve_arguments(void **state)
{
	tarn_kvdev *dev = open_device(*state);
	size_t	    len = 0;
	char	    buf[4];

	store(dev, "k", text("abcdef"));
	assert_ok(tarn_kvdev_retrieve(dev, text("k"), NULL, &len, NULL));
	assert_int_equal(len, 6);
	assert_error(tarn_kvdev_retrieve(dev, text("k"), NULL, &len, NULL), INVAL);
	assert_error(tarn_kvdev_retrieve(dev, text("k"), buf, NULL, NULL), INVAL);
	assert_ok(tarn_kvdev_close(dev));
}

static void test_value_limit(void **state)
{
	struct scratch *s     = *state;
	const tarn_prop limit = { .id = TARN_PROP_VALUE_MAX, .number = 8 };
	tarn_kvdev     *dev   = open_device(s);
	tarn_kvdev_info info  = { .struct_size = sizeof(info) };

	assert_ok(tarn_kvdev_get_info(dev, &info));
	assert_int_equal(info.value_max, TARN_VALUE_MAX);
	assert_ok(tarn_cont_set_props(s->cont, &limit, 1, NULL));
	assert_ok(tarn_kvdev_get_info(dev, &info));
	assert_int_equal(info.value_max, 8);
	store(dev, "k", text("12345678"));
	assert_error(tarn_kvdev_store(dev, text("k"), text("123456789"), 0, NULL), REC2BIG);
	assert_ok(tarn_kvdev_close(dev));
}

/* ---- list ---- */

/* Takes the payload apart, and checks each of its bytes. */
static uint32_t parse_list(const uint8_t *p, size_t used, char keys[][TARN_KVDEV_KEY_MAX + 1], uint32_t max)
{
	uint32_t n  = get32(p);
	size_t	 at = 4;

	assert_true(n <= max);
	for (uint32_t i = 0; i < n; i++) {
		size_t len = get16(p + at);

		assert_in_range(len, 1, TARN_KVDEV_KEY_MAX);
		memset(keys[i], 0, TARN_KVDEV_KEY_MAX + 1);
		memcpy(keys[i], p + at + 2, len);
		for (at += 2 + len; at % 4; at++)
			assert_int_equal(p[at], 0);
	}
	assert_int_equal(at, used);
	return n;
}

static void test_list_format(void **state)
{
	static const uint8_t expected[] = { 3, 0, 0, 0, 1, 0, 'a', 0, 2, 0, 'b', 'b', 3, 0, 'c', 'c', 'c', 0, 0, 0 };
	tarn_kvdev	    *dev	= open_device(*state);
	uint8_t		     buf[64];
	size_t		     len = sizeof(buf);

	memset(buf, 0xa5, sizeof(buf));
	assert_ok(tarn_kvdev_list(dev, text(""), buf, &len, NULL));
	assert_int_equal(len, 4);
	assert_int_equal(get32(buf), 0);
	store(dev, "ccc", text("3"));
	store(dev, "a", text("1"));
	store(dev, "bb", text("2"));
	len = sizeof(buf);
	assert_ok(tarn_kvdev_list(dev, text(""), buf, &len, NULL));
	assert_int_equal(len, sizeof(expected));
	assert_memory_equal(buf, expected, sizeof(expected));
	assert_int_equal(buf[len], 0xa5);
	len = sizeof(buf);
	assert_ok(tarn_kvdev_list(dev, text("ab"), buf, &len, NULL)); /* from between two keys */
	assert_int_equal(get32(buf), 2);
	len = sizeof(buf);
	assert_ok(tarn_kvdev_list(dev, text("bb"), buf, &len, NULL)); /* itself too */
	assert_int_equal(get32(buf), 2);
	assert_memory_equal(buf + 4, "\2\0bb", 4);
	assert_ok(tarn_kvdev_close(dev));
}

static void test_list_arguments(void **state)
{
	tarn_kvdev *dev = open_device(*state);
	uint8_t	    buf[24];
	size_t	    len = 23;

	store(dev, "0123456789abcdef", text("v"));
	assert_error(tarn_kvdev_list(dev, text(""), buf, &len, NULL), INVAL);
	len = 24;
	assert_error(tarn_kvdev_list(dev, text(""), NULL, &len, NULL), INVAL);
	assert_error(tarn_kvdev_list(dev, text(""), buf, NULL, NULL), INVAL);
	assert_ok(tarn_kvdev_list(dev, text(""), buf, &len, NULL)); /* 24 bytes hold the longest key */
	assert_int_equal(len, 24);
	assert_int_equal(get32(buf), 1);
	assert_ok(tarn_kvdev_close(dev));
}

/* Keys that only the object's own API can put are not of the namespace, and do not stop a list. */
static void test_list_leaves_out_long_keys(void **state)
{
	struct scratch *s   = *state;
	tarn_kvdev     *dev = open_device(s);
	tarn_kv	       *kv;
	uint8_t		buf[64];
	size_t		len  = sizeof(buf);
	char	       *huge = malloc(TARN_KEY_MAX);

	assert_non_null(huge);
	memset(huge, 'k', TARN_KEY_MAX);
	store(dev, "a", text("1"));
	store(dev, "z", text("2"));
	assert_ok(tarn_kv_open(s->cont, "nvme-kv", 0, &kv, NULL));
	assert_ok(tarn_kv_put(kv, (tarn_buf){ huge, 17 }, text("v"), 0, NULL));
	assert_ok(tarn_kv_put(kv, (tarn_buf){ huge, TARN_KEY_MAX }, text("v"), 0, NULL));
	assert_ok(tarn_kv_close(kv));
	assert_ok(tarn_kvdev_list(dev, text(""), buf, &len, NULL));
	assert_int_equal(get32(buf), 2);
	assert_memory_equal(buf + 4, "\1\0a\0\1\0z", 8);
	free(huge);
	assert_ok(tarn_kvdev_close(dev));
}

/* The whole namespace, by lists that each go on from the last key of the one before, as the header says. */
static uint32_t list_all(tarn_kvdev *dev, size_t room, char keys[][TARN_KVDEV_KEY_MAX + 1], uint32_t max, tarn_event *ev)
{
	uint8_t *buf			      = malloc(room);
	char	 from[TARN_KVDEV_KEY_MAX + 1] = "";
	uint32_t n = 0, got, skip_first = 0;

	assert_non_null(buf);
	do {
		size_t len = room;
		int    rc  = tarn_kvdev_list(dev, text(from), buf, &len, ev);

		assert_ok(ev ? finish(ev, rc) : rc);
		assert_true(n >= skip_first);
		got = parse_list(buf, len, keys + n - skip_first, max - n + skip_first) - skip_first;
		n += got;
		skip_first = 1;
		if (n)
			strcpy(from, keys[n - 1]);
	} while (got);
	free(buf);
	return n;
}

/* Stores and deletes of keys from a small space, and a table that says what must be there. */
#define SPACE 3000u

static void key_of(unsigned i, char key[TARN_KVDEV_KEY_MAX + 1])
{
	snprintf(key, TARN_KVDEV_KEY_MAX + 1, "%.*s%04u", (int)(i % 12), "zyxwvutsrqponm", i);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void assert_model(tarn_kvdev *dev, const uint64_t *model, size_t room, tarn_event *ev)
{
	char(*expected)[TARN_KVDEV_KEY_MAX + 1] = calloc(SPACE, sizeof(*expected));
	char(*found)[TARN_KVDEV_KEY_MAX + 1]	= calloc(SPACE + 1, sizeof(*found));
	uint32_t n				= 0;

	assert_non_null(expected);
	assert_non_null(found);
	for (unsigned i = 0; i < SPACE; i++)
		if (model[i])
			key_of(i, expected[n++]);
	qsort(expected, n, sizeof(*expected), by_key);
	assert_int_equal(list_all(dev, room, found, SPACE + 1, ev), n);
	for (uint32_t i = 0; i < n; i++)
		assert_string_equal(found[i], expected[i]);
	free(expected);
	free(found);
}

static void step(tarn_kvdev *dev, struct rng *rng, uint64_t *model)
{
	unsigned i = (unsigned)rng_below(rng, SPACE);
	uint64_t v = rng_next(rng) | 1, got = 0;
	size_t	 len = sizeof(got);
	char	 key[TARN_KVDEV_KEY_MAX + 1];
	int	 rc;

	key_of(i, key);
	switch (rng_below(rng, 4)) {
	case 0:
	case 1:
		assert_ok(tarn_kvdev_store(dev, text(key), (tarn_buf){ &v, sizeof(v) }, 0, NULL));
		model[i] = v;
		break;
	case 2:
		rc = tarn_kvdev_delete(dev, text(key), NULL);
		assert_int_equal(rc, model[i] ? 0 : -TARN_E_NONEXIST);
		model[i] = 0;
		break;
	case 3:
		rc = tarn_kvdev_retrieve(dev, text(key), &got, &len, NULL);
		assert_int_equal(rc, model[i] ? 0 : -TARN_E_NONEXIST);
		assert_int_equal(got, model[i]);
	}
}

static void test_model(void **state)
{
	struct scratch *s     = *state;
	const tarn_prop fast  = { .id = TARN_PROP_DURABILITY, .number = TARN_DURABILITY_RELAXED };
	tarn_kvdev_info info  = { .struct_size = sizeof(info) };
	uint64_t       *model = calloc(SPACE, sizeof(*model)), keys = 0;
	tarn_kvdev     *dev;
	tarn_event	ev;
	struct rng	rng;

	assert_non_null(model);
	assert_ok(tarn_cont_set_props(s->cont, &fast, 1, NULL));
	dev = open_device(s);
	rng_seed(&rng, test_seed());
	tarn_event_init(&ev, NULL, NULL, 0);
	for (unsigned i = 0; i < 20000; i++)
		step(dev, &rng, model);
	assert_model(dev, model, 4096, NULL);
	assert_model(dev, model, 100, NULL);
	assert_model(dev, model, 1 << 20, &ev);
	for (unsigned i = 0; i < SPACE; i++)
		keys += model[i] != 0;
	assert_ok(tarn_kvdev_get_info(dev, &info));
	assert_int_equal(info.key_count, keys);
	assert_ok(tarn_kvdev_close(dev));
	scratch_reopen(s);
	dev = open_device(s);
	assert_model(dev, model, 4096, NULL);
	assert_ok(tarn_kvdev_close(dev));
	free(model);
}

/* ---- the handle ---- */

static void test_open(void **state)
{
	struct scratch *s = *state;
	tarn_kvdev     *dev, *second;
	tarn_cont      *cont;
	tarn_event	ev;

	assert_error(tarn_kvdev_open(NULL, &dev, NULL), NO_HDL);
	assert_error(tarn_kvdev_open(s->cont, NULL, NULL), INVAL);
	assert_ok(tarn_cont_create(s->pool, "files", TARN_CONT_POSIX, NULL, 0, NULL, NULL));
	assert_ok(tarn_cont_open(s->pool, "files", 0, &cont, NULL));
	assert_error(tarn_kvdev_open(cont, &dev, NULL), NOTYPE);
	assert_ok(tarn_cont_close(cont));
	tarn_event_init(&ev, NULL, NULL, 0);
	assert_ok(finish(&ev, tarn_kvdev_open(s->cont, &dev, &ev)));
	second = open_device(s);
	store(dev, "k", text("v"));
	assert_retrieved(second, "k", 4, (const uint8_t *)"v", 1, NULL);
	assert_ok(tarn_kvdev_close(second));
	assert_error(tarn_cont_close(s->cont), BUSY);
	assert_ok(tarn_kvdev_close(dev));
}

static void test_read_only(void **state)
{
	struct scratch *s = *state;
	tarn_cont      *cont;
	tarn_kvdev     *dev;

	assert_ok(tarn_cont_open(s->pool, "neo", TARN_CONT_RDONLY, &cont, NULL));
	assert_error(tarn_kvdev_open(cont, &dev, NULL), NONEXIST);
	dev = open_device(s);
	store(dev, "k", text("v"));
	assert_ok(tarn_kvdev_close(dev));
	assert_ok(tarn_kvdev_open(cont, &dev, NULL));
	assert_retrieved(dev, "k", 4, (const uint8_t *)"v", 1, NULL);
	assert_error(tarn_kvdev_store(dev, text("k"), text("w"), 0, NULL), EP_RO);
	assert_error(tarn_kvdev_delete(dev, text("k"), NULL), EP_RO);
	assert_ok(tarn_kvdev_close(dev));
	assert_ok(tarn_cont_close(cont));
}

static void test_null_handles(void **state)
{
	tarn_kvdev_info info = { .struct_size = sizeof(info) };
	size_t		len  = 24;
	char		buf[24];

	(void)state;
	assert_error(tarn_kvdev_close(NULL), NO_HDL);
	assert_error(tarn_kvdev_get_info(NULL, &info), NO_HDL);
	assert_error(tarn_kvdev_store(NULL, text("k"), text("v"), 0, NULL), NO_HDL);
	assert_error(tarn_kvdev_retrieve(NULL, text("k"), buf, &len, NULL), NO_HDL);
	assert_error(tarn_kvdev_delete(NULL, text("k"), NULL), NO_HDL);
	assert_error(tarn_kvdev_exist(NULL, text("k"), NULL), NO_HDL);
	assert_error(tarn_kvdev_list(NULL, text("k"), buf, &len, NULL), NO_HDL);
}

static void test_info_sizes(void **state)
{
	struct {
		tarn_kvdev_info info;
		uint64_t	later;
	} newer		    = { .info.struct_size = sizeof(newer), .later = 7 };
	tarn_kvdev     *dev = open_device(*state);
	tarn_kvdev_info info;

	assert_error(tarn_kvdev_get_info(dev, NULL), INVAL);
	info.struct_size = sizeof(size_t);
	assert_error(tarn_kvdev_get_info(dev, &info), INVAL);
	memset(&info, 0xa5, sizeof(info));
	info.struct_size = offsetof(tarn_kvdev_info, key_count);
	assert_ok(tarn_kvdev_get_info(dev, &info));
	assert_int_equal(info.struct_size, offsetof(tarn_kvdev_info, key_count));
	assert_int_equal(info.key_max, TARN_KVDEV_KEY_MAX);
	assert_int_equal(info.key_count, UINT64_C(0xa5a5a5a5a5a5a5a5));
	assert_ok(tarn_kvdev_get_info(dev, &newer.info));
	assert_int_equal(newer.later, 0);
	assert_true(newer.info.used > 0 && newer.info.used <= newer.info.capacity);
	assert_ok(tarn_kvdev_close(dev));
}

/* A refusal speaks through the event; and a close comes after the calls. */
static void test_events(void **state)
{
	tarn_kvdev *dev = open_device(*state);
	uint8_t	   *val = calloc(16, BIG);
	tarn_event  evs[16];
	size_t	    lens[16];

	assert_non_null(val);
	tarn_event_init(&evs[0], NULL, NULL, 0);
	assert_int_equal(tarn_kvdev_store(dev, text("0123456789abcdefg"), text("v"), 0, &evs[0]), -TARN_E_KEY2BIG);
	assert_non_null(strstr(tarn_event_message(&evs[0]), "17 bytes"));
	assert_ok(tarn_kvdev_store(dev, text("k"), (tarn_buf){ val, BIG }, 0, NULL));
	for (unsigned i = 0; i < 16; i++) {
		lens[i] = BIG;
		tarn_event_init(&evs[i], NULL, NULL, 0);
		assert_ok(tarn_kvdev_retrieve(dev, text("k"), val + (size_t)i * BIG, &lens[i], &evs[i]));
	}
	while (tarn_kvdev_close(dev) == -TARN_E_BUSY)
		usleep(100);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(tarn_event_result(&evs[i]), 0);
	free(val);
}

static void test_status(void **state)
{
	static const struct {
		int	 rc;
		uint16_t status;
	} table[] = { { 0, 0 },
		      { 1, 0 },
		      { -TARN_E_NOSPACE, 0x81 },
		      { -TARN_E_REC2BIG, 0x85 },
		      { -TARN_E_KEY2BIG, 0x86 },
		      { -TARN_E_NONEXIST, 0x87 },
		      { -TARN_E_EXIST, 0x89 },
		      { -TARN_E_IO, 0x88 },
		      { -TARN_E_CSUM, 0x88 },
		      { INT32_MIN, 0x88 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		assert_int_equal(tarn_kvdev_status(table[i].rc), table[i].status);
}

static void test_full_pool(void **state)
{
	tarn_kvdev *dev = open_device(*state);
	uint8_t	   *val = calloc(4, BIG);
	int	    rc	= 0;
	char	    key[TARN_KVDEV_KEY_MAX + 1];

	assert_non_null(val);
	for (unsigned i = 0; i < 100 && rc == 0; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		rc = tarn_kvdev_store(dev, text(key), (tarn_buf){ val, 4 * BIG }, 0, NULL);
	}
	assert_int_equal(rc, -TARN_E_NOSPACE);
	assert_ok(tarn_kvdev_delete(dev, text("k0"), NULL));
	free(val);
	assert_ok(tarn_kvdev_close(dev));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_one_key),
		scratch_test(test_keys_have_1_to_16_bytes),
		scratch_test(test_store_options),
		scratch_test(test_retrieve_gives_the_first_bytes),
		scratch_test(test_retrieve_arguments),
		scratch_test(test_value_limit),
		scratch_test(test_list_format),
		scratch_test(test_list_arguments),
		scratch_test(test_list_leaves_out_long_keys),
		scratch_test(test_model),
		scratch_test(test_open),
		scratch_test(test_read_only),
		scratch_test(test_null_handles),
		scratch_test(test_info_sizes),
		scratch_test(test_events),
		scratch_test(test_status),
		scratch_test(test_full_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
