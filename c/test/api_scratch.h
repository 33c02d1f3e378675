/* SPDX-License-Identifier: Apache-2.0 */
/* test/api_scratch.h: a root directory of its own, with the pool "tank", the container "neo" and the object "stadium", for tests of
 * the public API. When the test ends the pool is checked, whole, before it goes. */
#ifndef TARN_API_SCRATCH_H
#define TARN_API_SCRATCH_H

#include "harness.h"
#include <dirent.h>
#include <pthread.h>
#include <tarn/tarn.h>
#include <unistd.h>

struct scratch {
	char	     root[256];
	tarn_system *sys;
	tarn_pool   *pool;
	tarn_cont   *cont;
	tarn_kv	    *kv;
};

static inline tarn_buf text(const char *s)
{
	return (tarn_buf){ s, strlen(s) };
}

static inline void scratch_create(struct scratch *s, uint64_t size)
{
	tarn_pool_params params = { .struct_size = sizeof(params), .size = size };

	assert_ok(tarn_pool_create(s->sys, "tank", &params, NULL, NULL));
}

static inline void scratch_open(struct scratch *s)
{
	tarn_pool_options options = { .struct_size = sizeof(options), .cache_bytes = 16 << 20 };

	assert_ok(tarn_pool_open(s->sys, "tank", &options, &s->pool, NULL));
	assert_ok(tarn_cont_open(s->pool, "neo", 0, &s->cont, NULL));
	assert_ok(tarn_kv_open(s->cont, "stadium", TARN_KV_CREATE, &s->kv, NULL));
}

static inline void scratch_close(struct scratch *s)
{
	assert_ok(tarn_kv_close(s->kv));
	assert_ok(tarn_cont_close(s->cont));
	assert_ok(tarn_pool_close(s->pool));
	s->pool = NULL;
}

static inline void scratch_reopen(struct scratch *s)
{
	scratch_close(s);
	scratch_open(s);
}

static inline void scratch_path(const struct scratch *s, const char *name, char path[512])
{
	snprintf(path, 512, "%.250s/%.250s", s->root, name);
}

static inline void scratch_remove(const char *root)
{
	DIR	      *dir = opendir(root);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(root);
}

static inline int scratch_setup(void **state)
{
	struct scratch *s   = calloc(1, sizeof(*s));
	const char     *tmp = getenv("TMPDIR");

	assert_non_null(s);
	snprintf(s->root, sizeof(s->root), "%.200s/tarn-test-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(s->root));
	assert_ok(tarn_system_open(s->root, NULL, 0, &s->sys));
	scratch_create(s, 32 << 20);
	assert_ok(tarn_pool_open(s->sys, "tank", NULL, &s->pool, NULL));
	assert_ok(tarn_cont_create(s->pool, "neo", TARN_CONT_KV, NULL, 0, NULL, NULL));
	assert_ok(tarn_pool_close(s->pool));
	scratch_open(s);
	*state = s;
	return 0;
}

static inline int scratch_teardown(void **state)
{
	struct scratch *s = *state;

	if (s->pool) {
		assert_ok(tarn_pool_check(s->pool, NULL, NULL, NULL));
		scratch_close(s);
	}
	assert_ok(tarn_system_close(s->sys));
	scratch_remove(s->root);
	free(s);
	return 0;
}

#define scratch_test(function) cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

/* The value of a key is `val`, byte for byte. */
static inline void assert_value(tarn_kv *kv, tarn_buf key, tarn_buf val)
{
	size_t len = val.len + 1;
	char  *got = malloc(len);

	assert_non_null(got);
	assert_ok(tarn_kv_get(kv, key, got, &len, NULL));
	assert_int_equal(len, val.len);
	assert_memory_equal(got, val.len ? val.ptr : "", val.len);
	free(got);
}

static inline void put_text(tarn_kv *kv, const char *key, const char *val)
{
	assert_ok(tarn_kv_put(kv, text(key), text(val), TARN_COND_NONE, NULL));
}

#endif
