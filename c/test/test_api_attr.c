/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_attr.c: user attributes of pools and containers, and the request of a pool's creation, through the public API. */
#include "api_scratch.h"

/* One of the two kinds of owners: the pool, or the container. */
struct owner {
	tarn_pool *pool;
	tarn_cont *cont;
};

static int set(struct owner o, const tarn_attr *attrs, size_t n)
{
	return o.cont ? tarn_cont_attr_set(o.cont, attrs, n, NULL) : tarn_pool_attr_set(o.pool, attrs, n, NULL);
}

static int set_one(struct owner o, const char *name, tarn_buf value)
{
	tarn_attr attr = { name, value };

	return set(o, &attr, 1);
}

static int get(struct owner o, const char *name, void *buf, size_t *len)
{
	return o.cont ? tarn_cont_attr_get(o.cont, name, buf, len, NULL) : tarn_pool_attr_get(o.pool, name, buf, len, NULL);
}

static void assert_attr(struct owner o, const char *name, const char *value)
{
	char   buf[256];
	size_t len = sizeof(buf);

	assert_ok(get(o, name, buf, &len));
	assert_int_equal(len, strlen(value));
	assert_memory_equal(buf, value, len);
}

/* Walks the list in batches; the names, each with a space behind it. */
static void names_of(struct owner o, char *names, size_t *n)
{
	uint64_t     buf[(TARN_ATTR_LIST_MIN + 8) / 8];
	tarn_listing listing = { .more = 1 };
	char	     last[TARN_ATTR_NAME_MAX + 1];
	const char  *after = NULL;

	for (*n = 0, names[0] = 0; listing.more; after = last) {
		const uint8_t *at = (const uint8_t *)buf;

		if (o.cont)
			assert_ok(tarn_cont_attr_list(o.cont, after, buf, sizeof(buf), &listing, NULL));
		else
			assert_ok(tarn_pool_attr_list(o.pool, after, buf, sizeof(buf), &listing, NULL));
		*n += listing.count;
		for (uint32_t i = 0; i < listing.count; i++) {
			const tarn_entry *entry = (const void *)at;

			snprintf(last, sizeof(last), "%.*s", (int)entry->key_len, (const char *)at + sizeof(*entry));
			if (strlen(names) < 200)
				strcat(strcat(names, last), " ");
			at += (sizeof(*entry) + entry->key_len + entry->val_len + 7) / 8 * 8;
		}
	}
}

static void assert_names(struct owner o, const char *want)
{
	char   names[1024];
	size_t n;

	names_of(o, names, &n);
	assert_string_equal(names, want);
}

static void use(struct owner o)
{
	tarn_attr two[]	 = { { "b", text("2") }, { "a", text("1") } };
	tarn_attr swap[] = { { "a", { NULL, 0 } }, { "c", text("3") }, { "none", { NULL, 0 } } };
	tarn_attr none[] = { { "a", { NULL, 0 } }, { "none", { NULL, 0 } } };
	tarn_attr same[] = { { "d", text("1") }, { "d", text("2") } };
	size_t	  len	 = 0;
	char	  small[1];

	assert_names(o, "");
	assert_ok(set(o, NULL, 0));
	assert_ok(set(o, two, 2));
	assert_names(o, "a b ");
	assert_ok(set_one(o, "b", text("22")));
	assert_attr(o, "b", "22");
	assert_ok(get(o, "b", NULL, &len));
	assert_int_equal(len, 2);
	len = 1;
	assert_error(get(o, "b", small, &len), REC2BIG);
	assert_int_equal(len, 2);
	assert_ok(set(o, swap, 3));
	assert_names(o, "b c ");
	assert_error(set(o, none, 2), NONEXIST);
	assert_says("a");
	assert_error(set(o, same, 2), INVAL);
	assert_error(get(o, "d", small, &len), NONEXIST);
	assert_names(o, "b c ");
}

static void test_use(void **state)
{
	struct scratch *s = *state;

	use((struct owner){ .cont = s->cont });
	use((struct owner){ .pool = s->pool });
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	scratch_reopen(s);
	assert_attr((struct owner){ .cont = s->cont }, "b", "22");
	assert_attr((struct owner){ .pool = s->pool }, "c", "3");
}

static void refuse(struct owner o)
{
	static uint8_t big[TARN_ATTR_VALUE_MAX + 1];
	char	       name[TARN_ATTR_NAME_MAX + 2];
	size_t	       len = 0;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_error(set_one(o, name, text("1")), INVAL);
	assert_error(set_one(o, "", text("1")), INVAL);
	assert_error(set_one(o, NULL, text("1")), INVAL);
	assert_error(set_one(o, "\xc3(", text("1")), INVAL);
	assert_error(set_one(o, "\xc0\x80", text("1")), INVAL);
	assert_error(set_one(o, "\xed\xa0\x80", text("1")), INVAL);
	assert_error(set_one(o, "\xf4\x90\x80\x80", text("1")), INVAL);
	assert_error(set_one(o, "a", (tarn_buf){ NULL, 1 }), INVAL);
	assert_error(set_one(o, "a", (tarn_buf){ big, sizeof(big) }), REC2BIG);
	assert_error(set(o, NULL, 1), INVAL);
	assert_error(set(o, (tarn_attr[]){ { "a", text("1") } }, TARN_ATTR_SET_MAX + 1), INVAL);
	assert_error(get(o, "a", NULL, NULL), INVAL);
	assert_error(get(o, "", NULL, &len), INVAL);
	assert_names(o, "");
	name[TARN_ATTR_NAME_MAX] = 0;
	assert_ok(set_one(o, name, (tarn_buf){ big, TARN_ATTR_VALUE_MAX }));
	assert_ok(set_one(o, "\xf0\x9f\x8f\x9f \xc3\xa3", text("1")));
	assert_ok(set_one(o, name, (tarn_buf){ NULL, 0 }));
}

static void test_refusals(void **state)
{
	struct scratch *s = *state;
	tarn_listing	listing;
	tarn_cont      *cont;
	uint64_t	buf[16], epoch;
	size_t		len = 0;

	refuse((struct owner){ .cont = s->cont });
	refuse((struct owner){ .pool = s->pool });
	assert_error(tarn_cont_attr_set(NULL, NULL, 0, NULL), NO_HDL);
	assert_error(tarn_pool_attr_get(NULL, "a", NULL, &len, NULL), NO_HDL);
	assert_error(tarn_cont_attr_list(s->cont, NULL, buf, sizeof(buf), &listing, NULL), INVAL);
	assert_error(tarn_cont_attr_list(s->cont, NULL, NULL, TARN_ATTR_LIST_MIN, &listing, NULL), INVAL);
	assert_ok(tarn_cont_open(s->pool, "neo", TARN_CONT_RDONLY, &cont, NULL));
	assert_error(tarn_cont_attr_set(cont, &(tarn_attr){ "a", text("1") }, 1, NULL), EP_RO);
	assert_ok(tarn_cont_close(cont));

	/* A snapshot keeps what was. */
	assert_ok(set_one((struct owner){ .cont = s->cont }, "a", text("then")));
	assert_ok(tarn_snap_create(s->cont, NULL, &epoch, NULL));
	assert_ok(set_one((struct owner){ .cont = s->cont }, "a", text("now")));
	assert_ok(tarn_cont_open_snap(s->pool, "neo", epoch, NULL, &cont, NULL));
	assert_attr((struct owner){ .cont = cont }, "a", "then");
	assert_error(tarn_cont_attr_set(cont, &(tarn_attr){ "a", text("1") }, 1, NULL), EP_RO);
	assert_ok(tarn_cont_close(cont));
}

/* They fill up to the limit, and are listed in many batches; what is deleted makes room. */
static void test_limit(void **state)
{
	static uint8_t	value[TARN_ATTR_VALUE_MAX];
	struct scratch *s = *state;
	struct owner	o = { .cont = s->cont };
	char		name[16], names[1024];
	size_t		n, many = 0;

	for (int rc = 0; rc == 0; many += rc == 0) {
		snprintf(name, sizeof(name), "n%05zu", many);
		rc = set_one(o, name, (tarn_buf){ value, 1 + many * 977 % sizeof(value) });
		assert_true(rc == 0 || rc == -TARN_E_REC2BIG);
	}
	assert_says("attributes of neo");
	assert_in_range(many, 20, 60);
	names_of(o, names, &n);
	assert_int_equal(n, many);
	assert_ok(set_one(o, "n00000", (tarn_buf){ value, 1 })); /* in its own place */
	snprintf(name, sizeof(name), "n%05zu", many - 1);
	assert_ok(set_one(o, name, (tarn_buf){ NULL, 0 }));
	assert_ok(set_one(o, name, (tarn_buf){ value, 1 }));
	assert_names((struct owner){ .pool = s->pool }, ""); /* the pool's are others */
}

/* They go with the container: a new one of the same label has none. And they do not hold it: it counts as empty. */
static void test_destroy(void **state)
{
	struct scratch *s = *state;
	tarn_cont      *cont;

	for (int i = 0; i < 2; i++) {
		assert_ok(tarn_cont_create(s->pool, "other", TARN_CONT_KV, NULL, 0, NULL, NULL));
		assert_ok(tarn_cont_open(s->pool, "other", 0, &cont, NULL));
		assert_names((struct owner){ .cont = cont }, "");
		assert_ok(set_one((struct owner){ .cont = cont }, "a", text("1")));
		assert_ok(tarn_cont_close(cont));
		assert_ok(tarn_cont_destroy(s->pool, "other", 0, NULL));
	}
}

static void test_event(void **state)
{
	struct scratch *s	= *state;
	char		value[] = "1", name[] = "a";
	tarn_attr	attr = { name, { value, 1 } };
	size_t		len  = 1;
	tarn_event	ev;

	tarn_event_init(&ev, NULL, NULL, 0);
	assert_ok(tarn_cont_attr_set(s->cont, &attr, 1, &ev));
	name[0] = value[0] = 'X'; /* they were copied */
	assert_ok(tarn_event_wait(&ev, -1));
	name[0] = 'a';
	assert_ok(tarn_cont_attr_get(s->cont, name, value, &len, NULL));
	assert_int_equal(value[0], '1');
}

/* A pool knows by which request it was made, however it is looked at. */
static void test_request(void **state)
{
	static const tarn_uuid none;
	struct scratch	      *s      = *state;
	tarn_pool_params       params = { .struct_size = sizeof(params), .size = 8 << 20, .request = { { 1, 2, 3 } } };
	tarn_pool_info	       infos[2];
	size_t		       n = 2;
	tarn_pool	      *pool;

	assert_ok(tarn_pool_create(s->sys, "asked", &params, NULL, NULL));
	assert_ok(tarn_pool_list(s->sys, infos, &n, NULL));
	assert_int_equal(n, 2);
	assert_string_equal(infos[0].label, "asked");
	assert_memory_equal(&infos[0].request, &params.request, sizeof(params.request));
	assert_memory_equal(&infos[1].request, &none, sizeof(none));
	assert_ok(tarn_pool_open(s->sys, "asked", NULL, &pool, NULL));
	assert_ok(tarn_pool_query(pool, infos, NULL));
	assert_memory_equal(&infos[0].request, &params.request, sizeof(params.request));
	assert_ok(tarn_pool_close(pool));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_use),	    scratch_test(test_refusals), scratch_test(test_limit),
		scratch_test(test_destroy), scratch_test(test_event),	 scratch_test(test_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
