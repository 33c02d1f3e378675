/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api.c: systems, pools, containers and objects through the public API, without events. */
#include "../src/api/call.h"
#include "api_scratch.h"

/* ---- systems and pools ---- */

static void test_system_root(void **state)
{
	struct scratch *s = *state;
	tarn_system    *sys;
	char		path[512];

	scratch_path(s, "deep", path);
	setenv("TARN_ROOT", path, 1);
	assert_ok(tarn_system_open(NULL, NULL, 0, &sys));
	assert_string_equal(tarn_system_root(sys), path);
	assert_ok(tarn_system_close(sys));
	unsetenv("TARN_ROOT");
	rmdir(path);
	scratch_path(s, "tank.pool", path);
	assert_error(tarn_system_open(path, NULL, 0, &sys), NOTDIR);
	assert_error(tarn_system_open("/proc/nowhere/at/all", NULL, 0, &sys), BADPATH);
	assert_error(tarn_system_close(s->sys), BUSY);
	assert_error(tarn_system_close(NULL), NO_HDL);
}

static void test_pool_query(void **state)
{
	struct scratch *s = *state;
	tarn_pool_info	info;
	char		path[512];

	scratch_path(s, "tank.pool", path);
	assert_ok(tarn_pool_query(s->pool, &info, NULL));
	assert_string_equal(info.label, "tank");
	assert_string_equal(info.path, path);
	assert_int_equal(info.targets, 1);
	assert_int_equal(info.map_version, 1);
	assert_int_equal(info.containers, 1);
	assert_int_equal(info.total_bytes, 32 << 20);
	assert_int_equal(info.cache_bytes, 16 << 20);
	assert_true(info.free_bytes > 0 && info.free_bytes < info.total_bytes);
	assert_false(info.readonly);
}

static void test_pool_list(void **state)
{
	struct scratch	*s	= *state;
	tarn_pool_params params = { .struct_size = sizeof(params), .size = 8 << 20 };
	tarn_pool_info	 infos[3];
	size_t		 n = 0;

	assert_ok(tarn_pool_create(s->sys, "alpha", &params, NULL, NULL));
	assert_ok(tarn_pool_list(s->sys, NULL, &n, NULL));
	assert_int_equal(n, 2);
	n = 1;
	assert_error(tarn_pool_list(s->sys, infos, &n, NULL), TRUNC);
	assert_int_equal(n, 2);
	n = 3;
	assert_ok(tarn_pool_list(s->sys, infos, &n, NULL)); /* tank is open meanwhile */
	assert_int_equal(n, 2);
	assert_string_equal(infos[0].label, "alpha");
	assert_string_equal(infos[1].label, "tank");
	assert_int_equal(infos[0].total_bytes, 8 << 20);
	assert_int_equal(infos[0].containers, 0);
}

static void test_pool_shared(void **state)
{
	struct scratch	 *s	  = *state;
	tarn_pool_options options = { .struct_size = sizeof(options), .flags = TARN_POOL_RDONLY };
	tarn_pool_info	  info;
	tarn_pool	 *again;
	char		  uuid[37];

	assert_ok(tarn_pool_query(s->pool, &info, NULL));
	tarn_uuid_format(&info.uuid, uuid);
	assert_ok(tarn_pool_open(s->sys, uuid, &options, &again, NULL));
	assert_ptr_equal(again->pool, s->pool->pool);
	assert_error(tarn_cont_create(again, "other", TARN_CONT_KV, NULL, 0, NULL, NULL), EP_RO);
	assert_error(tarn_cont_destroy(again, "neo", 0, NULL), EP_RO);
	assert_error(tarn_pool_checkpoint(again, NULL), EP_RO);
	assert_ok(tarn_pool_close(again));
	put_text(s->kv, "still", "open");
}

static void test_pool_destroy(void **state)
{
	struct scratch *s = *state;
	tarn_pool      *pool;
	char		path[512];

	scratch_path(s, "tank.pool", path);
	assert_error(tarn_pool_destroy(s->sys, "tank", 0, NULL), BUSY);
	assert_error(tarn_pool_destroy(s->sys, "tank", TARN_DESTROY_FORCE, NULL), BUSY);
	assert_says("process");
	scratch_close(s);
	assert_error(tarn_pool_destroy(s->sys, "tank", 0, NULL), BUSY);
	assert_says("1 containers");
	assert_int_equal(access(path, F_OK), 0);
	assert_ok(tarn_pool_destroy(s->sys, "tank", TARN_DESTROY_FORCE, NULL));
	assert_int_not_equal(access(path, F_OK), 0);
	assert_error(tarn_pool_open(s->sys, "tank", NULL, &pool, NULL), NONEXIST);
	scratch_create(s, 4 << 20); /* the label is free again, and the smallest size is enough */
	assert_ok(tarn_pool_destroy(s->sys, "tank", 0, NULL));
}

/* A pool elsewhere: the root has a link, and erasing the pool leaves neither. */
static void test_pool_on_device(void **state)
{
	struct scratch	*s = *state;
	char		 path[512], uri[600], link[512];
	tarn_pool_params params = { .struct_size = sizeof(params), .size = 8 << 20, .device = uri };
	tarn_pool_info	 infos[2];
	tarn_pool	*pool;
	size_t		 n = 2;

	scratch_path(s, "disk.img", path);
	scratch_path(s, "disk.pool", link);
	snprintf(uri, sizeof(uri), "file:%s", path);
	assert_ok(tarn_pool_create(s->sys, "disk", &params, NULL, NULL));
	assert_error(tarn_pool_create(s->sys, "more", &params, NULL, NULL), EXIST);
	assert_says("holds data");
	assert_ok(tarn_pool_list(s->sys, infos, &n, NULL));
	assert_int_equal(n, 2);
	assert_string_equal(infos[0].path, path);
	assert_ok(tarn_pool_open(s->sys, "disk", NULL, &pool, NULL));
	assert_ok(tarn_pool_close(pool));

	/* A system that lists the device finds it without the link. */
	assert_int_equal(unlink(link), 0);
	assert_error(tarn_pool_open(s->sys, "disk", NULL, &pool, NULL), NONEXIST);
	const char  *devices[] = { uri };
	tarn_system *sys;
	assert_ok(tarn_system_open(s->root, devices, 1, &sys));
	assert_ok(tarn_pool_open(sys, "disk", NULL, &pool, NULL));
	assert_ok(tarn_pool_close(pool));
	params.device = NULL;
	assert_error(tarn_pool_create(sys, "disk", &params, NULL, NULL), EXIST);
	params.device = uri;
	params.flags  = TARN_POOL_OVERWRITE;
	assert_ok(tarn_pool_create(sys, "over", &params, NULL, NULL));
	assert_error(tarn_pool_open(sys, "disk", NULL, &pool, NULL), NONEXIST);
	assert_ok(tarn_pool_destroy(sys, "over", 0, NULL));
	assert_int_not_equal(access(path, F_OK), 0);
	assert_ok(tarn_system_close(sys));
}

static void test_pool_params(void **state)
{
	struct scratch *s = *state;
	struct {
		tarn_pool_params params;
		uint64_t	 newer;
	} big			= { .params = { .struct_size = sizeof(big), .size = 8 << 20 } };
	tarn_pool_params params = { .struct_size = offsetof(tarn_pool_params, log_bytes), .size = 8 << 20, .log_bytes = 1 };

	assert_ok(tarn_pool_create(s->sys, "older", &params, NULL, NULL)); /* log_bytes is not looked at */
	assert_ok(tarn_pool_create(s->sys, "newer", &big.params, NULL, NULL));
	big.newer = 1;
	assert_error(tarn_pool_create(s->sys, "newest", &big.params, NULL, NULL), INVAL);
	params.struct_size = 0;
	assert_error(tarn_pool_create(s->sys, "none", &params, NULL, NULL), INVAL);
	params = (tarn_pool_params){ .struct_size = sizeof(params), .size = TARN_POOL_SIZE_MIN - 1 };
	assert_error(tarn_pool_create(s->sys, "small", &params, NULL, NULL), INVAL);
	assert_says("4194304");
	params.size = 0;
	assert_error(tarn_pool_create(s->sys, "none", &params, NULL, NULL), INVAL);
	params.device = "mem:64M";
	assert_error(tarn_pool_create(s->sys, "none", &params, NULL, NULL), NOTSUPPORTED);
}

static unsigned files_in(const char *root)
{
	DIR	      *dir = opendir(root);
	struct dirent *entry;
	unsigned       n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return n;
}

/* A creation that fails leaves nothing, and one removes what a crash left of another. */
static void test_pool_create_leaves_nothing(void **state)
{
	struct scratch	*s	= *state;
	tarn_pool_params params = { .struct_size = sizeof(params), .size = 8 << 20, .node_bytes = 7 };
	char		 path[512];
	FILE		*file;

	assert_error(tarn_pool_create(s->sys, "bad", &params, NULL, NULL), INVAL);
	assert_int_equal(files_in(s->root), 1);
	scratch_path(s, ".tarn-new-crashed~", path);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	params.node_bytes = 0;
	assert_ok(tarn_pool_create(s->sys, "good", &params, NULL, NULL));
	assert_int_equal(files_in(s->root), 2);
}

static void test_sync_and_check(void **state)
{
	struct scratch *s = *state;
	tarn_pool_info	info;

	put_text(s->kv, "a", "1");
	assert_ok(tarn_pool_sync(s->pool, NULL));
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	assert_ok(tarn_pool_query(s->pool, &info, NULL));
	assert_int_equal(info.log_used_bytes, 0);
	assert_ok(tarn_pool_check(s->pool, NULL, NULL, NULL));
}

/* ---- containers ---- */

static void test_cont_props(void **state)
{
	struct scratch *s	= *state;
	tarn_prop	props[] = {
		      { .id = TARN_PROP_OWNER, .string = "fan" },
		      { .id = TARN_PROP_DESCRIPTION, .string = "all of them" },
		      { .id = TARN_PROP_VALUE_MAX, .number = 10 },
	};
	tarn_cont_info info;
	tarn_cont     *cont, *twin;
	tarn_kv	      *kv;
	tarn_uuid      uuid;
	char	       text_uuid[37];

	assert_ok(tarn_cont_create(s->pool, "second", TARN_CONT_PYTHON, props, 3, &uuid, NULL));
	tarn_uuid_format(&uuid, text_uuid);
	assert_ok(tarn_cont_open(s->pool, text_uuid, 0, &cont, NULL));
	assert_ok(tarn_cont_open(s->pool, "second", TARN_CONT_RDONLY, &twin, NULL));
	assert_ok(tarn_cont_query(cont, &info, NULL));
	assert_string_equal(info.label, "second");
	assert_string_equal(info.owner, "fan");
	assert_string_equal(info.description, "all of them");
	assert_int_equal(info.value_max, 10);
	assert_int_equal(info.type, TARN_CONT_PYTHON);
	assert_int_equal(info.open_handles, 2);
	assert_memory_equal(&info.uuid, &uuid, sizeof(uuid));
	assert_true(info.created_ns > UINT64_C(1600000000000000000));

	assert_ok(tarn_kv_open(cont, "o", TARN_KV_CREATE, &kv, NULL));
	assert_error(tarn_kv_put(kv, text("k"), text("eleven long"), TARN_COND_NONE, NULL), REC2BIG);
	assert_says("11 bytes");
	assert_says("10");
	props[2].number = 11;
	assert_error(tarn_cont_set_props(twin, &props[2], 1, NULL), EP_RO);
	assert_ok(tarn_cont_set_props(cont, &props[2], 1, NULL));
	put_text(kv, "k", "eleven long"); /* the open handle follows */
	props[2].number = 0;
	assert_error(tarn_cont_set_props(cont, props, 3, NULL), INVAL);
	assert_ok(tarn_cont_query(cont, &info, NULL));
	assert_int_equal(info.value_max, 11);
	assert_int_equal(info.objects, 1);

	assert_error(tarn_cont_close(cont), BUSY);
	assert_ok(tarn_kv_close(kv));
	assert_ok(tarn_cont_close(cont));
	assert_ok(tarn_cont_close(twin));
}

static void test_cont_list(void **state)
{
	struct scratch *s     = *state;
	tarn_cont_info *infos = calloc(70, sizeof(*infos));
	char		label[32], longest[TARN_LABEL_MAX + 1];
	size_t		n = 0;

	for (int i = 0; i < 60; i++) {
		snprintf(label, sizeof(label), "c%02d", 59 - i);
		assert_ok(tarn_cont_create(s->pool, label, TARN_CONT_KV, NULL, 0, NULL, NULL));
	}
	memset(longest, 'z', TARN_LABEL_MAX);
	longest[TARN_LABEL_MAX] = '\0';
	assert_ok(tarn_cont_create(s->pool, longest, TARN_CONT_POSIX, NULL, 0, NULL, NULL));
	assert_ok(tarn_cont_list(s->pool, NULL, &n, NULL));
	assert_int_equal(n, 62);
	n = 5;
	assert_error(tarn_cont_list(s->pool, infos, &n, NULL), TRUNC);
	n = 70;
	assert_ok(tarn_cont_list(s->pool, infos, &n, NULL));
	assert_int_equal(n, 62);
	for (int i = 0; i < 60; i++) {
		snprintf(label, sizeof(label), "c%02d", i);
		assert_string_equal(infos[i].label, label);
	}
	assert_string_equal(infos[60].label, "neo");
	assert_int_equal(infos[60].open_handles, 1);
	assert_int_equal(infos[60].objects, 1);
	assert_string_equal(infos[61].label, longest);
	free(infos);
}

static void test_cont_destroy(void **state)
{
	struct scratch *s = *state;
	tarn_cont      *cont;
	tarn_kv	       *kv;
	tarn_pool_info	info;

	assert_ok(tarn_cont_create(s->pool, "gone", TARN_CONT_KV, NULL, 0, NULL, NULL));
	assert_error(tarn_cont_create(s->pool, "gone", TARN_CONT_KV, NULL, 0, NULL, NULL), EXIST);
	assert_ok(tarn_cont_open(s->pool, "gone", 0, &cont, NULL));
	assert_ok(tarn_kv_open(cont, "o", TARN_KV_CREATE, &kv, NULL));
	put_text(kv, "k", "of the first");
	assert_ok(tarn_kv_close(kv));
	assert_error(tarn_cont_destroy(s->pool, "gone", TARN_DESTROY_FORCE, NULL), BUSY);
	assert_ok(tarn_cont_close(cont));
	assert_error(tarn_cont_destroy(s->pool, "gone", 0, NULL), BUSY);
	assert_says("1 objects");
	assert_ok(tarn_cont_destroy(s->pool, "gone", TARN_DESTROY_FORCE, NULL));
	assert_error(tarn_cont_open(s->pool, "gone", 0, &cont, NULL), CONT_NONEXIST);
	assert_error(tarn_cont_destroy(s->pool, "gone", 0, NULL), CONT_NONEXIST);

	/* A new one of that name is empty, also after recovery. */
	assert_ok(tarn_cont_create(s->pool, "gone", TARN_CONT_KV, NULL, 0, NULL, NULL));
	scratch_reopen(s);
	assert_ok(tarn_cont_open(s->pool, "gone", 0, &cont, NULL));
	assert_error(tarn_kv_open(cont, "o", 0, &kv, NULL), NONEXIST);
	assert_ok(tarn_cont_close(cont));
	assert_ok(tarn_pool_query(s->pool, &info, NULL));
	assert_int_equal(info.containers, 2);
}

/* ---- objects ---- */

static void test_object_names(void **state)
{
	struct scratch	*s = *state;
	tarn_object_info info, infos[7];
	char		 name[TARN_OBJECT_NAME_MAX + 2], after[TARN_OBJECT_NAME_MAX + 1] = "";
	size_t		 n, total							 = 0;

	assert_error(tarn_object_create(s->cont, "stadium", NULL), EXIST);
	assert_error(tarn_object_create(s->cont, "", NULL), INVAL);
	assert_error(tarn_object_create(s->cont, "a/b", NULL), INVAL);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_error(tarn_object_create(s->cont, name, NULL), INVAL);
	assert_says("256");
	name[TARN_OBJECT_NAME_MAX] = '\0';
	assert_ok(tarn_object_create(s->cont, name, NULL));
	assert_ok(tarn_object_query(s->cont, name, &info, NULL));
	assert_int_equal(info.type, 10);
	assert_int_equal(info.oid_hi >> 56, 10);
	assert_true(info.oid_lo >= 1024);
	assert_string_equal(info.name, name);
	assert_error(tarn_object_query(s->cont, "nobody", &info, NULL), NONEXIST);

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "o%02d", i);
		assert_ok(tarn_object_create(s->cont, name, NULL));
	}
	do {
		n = ARRAY_LEN(infos);
		assert_ok(tarn_object_list(s->cont, *after ? after : NULL, infos, &n, NULL));
		for (size_t i = 0; i < n; i++) {
			assert_true(strcmp(after, infos[i].name) < 0);
			strcpy(after, infos[i].name);
		}
		total += n;
	} while (n == ARRAY_LEN(infos));
	assert_int_equal(total, 42);
}

static void test_object_handles(void **state)
{
	struct scratch *s = *state;
	tarn_cont      *readonly;
	tarn_kv	       *kv;

	assert_error(tarn_kv_open(s->cont, "absent", 0, &kv, NULL), NONEXIST);
	assert_null(kv);
	assert_ok(tarn_kv_open(s->cont, "stadium", TARN_KV_RDONLY, &kv, NULL));
	assert_error(tarn_kv_put(kv, text("k"), text("v"), TARN_COND_NONE, NULL), EP_RO);
	assert_error(tarn_kv_del_range(kv, NULL, NULL, NULL), EP_RO);
	put_text(s->kv, "k", "v");
	assert_value(kv, text("k"), text("v"));
	assert_ok(tarn_kv_close(kv));
	assert_ok(tarn_cont_open(s->pool, "neo", TARN_CONT_RDONLY, &readonly, NULL));
	assert_error(tarn_kv_open(readonly, "absent", TARN_KV_CREATE, &kv, NULL), EP_RO);
	assert_error(tarn_object_destroy(readonly, "stadium", NULL), EP_RO);
	assert_ok(tarn_cont_close(readonly));
}

static void test_object_destroy(void **state)
{
	struct scratch *s = *state;
	char		key[32];
	tarn_kv	       *kv;
	uint64_t	count;

	assert_error(tarn_object_destroy(s->cont, "stadium", NULL), BUSY);
	assert_ok(tarn_kv_open(s->cont, "doomed", TARN_KV_CREATE, &kv, NULL));
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		put_text(kv, key, "v");
		if (i % 1000 == 0)
			put_text(s->kv, key, "stays");
	}
	assert_ok(tarn_kv_close(kv));
	assert_ok(tarn_object_destroy(s->cont, "doomed", NULL));
	assert_error(tarn_object_destroy(s->cont, "doomed", NULL), NONEXIST);
	assert_error(tarn_kv_open(s->cont, "doomed", 0, &kv, NULL), NONEXIST);
	assert_ok(tarn_kv_count(s->kv, NULL, &count, NULL));
	assert_int_equal(count, 3);
	assert_ok(tarn_kv_open(s->cont, "doomed", TARN_KV_CREATE, &kv, NULL));
	assert_ok(tarn_kv_count(kv, NULL, &count, NULL));
	assert_int_equal(count, 0);
	assert_ok(tarn_kv_close(kv));
}

static uint64_t keys_in_tree(tarn_cont *cont)
{
	struct store_range all	  = { .flags = 0 };
	struct driver	  *driver = cont->container->pool->driver;
	uint64_t	   count;

	assert_ok(driver->ops->count(driver, container_at(cont->container), &all, &count, 0));
	return count;
}

/* What a crash in the middle of a removal leaves: the name gone, and keys still there. */
static void leave_half_removed(tarn_cont *cont, const char *name)
{
	struct container     *container		   = cont->container;
	struct driver	     *driver		   = container->pool->driver;
	uint8_t		      key[OID_BYTES + 255] = { 0 };
	struct store_mutation del = { .change = STORE_DEL, .tree = container->tree, .key = { key, OID_BYTES + strlen(name) } };
	uint64_t	      lsn;

	memcpy(key + OID_BYTES, name, strlen(name));
	assert_ok(driver->ops->apply(driver, &del, 1, 0, &lsn, NULL));
	assert_ok(driver->ops->commit(driver, lsn, NULL));
}

static void test_object_sweep(void **state)
{
	struct scratch *s = *state;
	tarn_pool      *pool;
	tarn_cont      *cont;
	tarn_kv	       *kv;
	char		key[32];
	uint64_t	before;

	put_text(s->kv, "mine", "stays");
	before = keys_in_tree(s->cont);
	assert_ok(tarn_kv_open(s->cont, "half", TARN_KV_CREATE, &kv, NULL));
	for (int i = 0; i < 1500; i++) {
		snprintf(key, sizeof(key), "%d", i);
		put_text(kv, key, "orphan");
	}
	assert_ok(tarn_kv_close(kv));
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "other %d", i);
		assert_ok(tarn_object_create(s->cont, key, NULL));
	}
	leave_half_removed(s->cont, "half");
	assert_ok(tarn_object_create(s->cont, "half", NULL)); /* the name is free, and the new one no rest */
	leave_half_removed(s->cont, "other 50");
	assert_true(keys_in_tree(s->cont) > 1500);
	scratch_close(s);

	assert_ok(tarn_pool_open(s->sys, "tank", NULL, &pool, NULL));
	assert_ok(tarn_cont_open(pool, "neo", TARN_CONT_RDONLY, &cont, NULL)); /* who reads only, changes nothing */
	assert_true(keys_in_tree(cont) > 1500);
	scratch_open(s);
	assert_int_equal(keys_in_tree(s->cont), before + 200);
	assert_value(s->kv, text("mine"), text("stays"));
	assert_ok(tarn_cont_close(cont));
	assert_ok(tarn_pool_close(pool));
}

/* ---- many threads ---- */

#define THREADS 4
#define ROUNDS	6

struct crowd {
	struct scratch *s;
	int		number;
	int		rc;
	char		sentence[TARN_MESSAGE_MAX];
};

static int use_object(tarn_cont *cont, const char *name)
{
	tarn_kv *kv;
	int	 rc = tarn_kv_open(cont, name, TARN_KV_CREATE, &kv, NULL);

	if (rc)
		return rc;
	rc = tarn_kv_put(kv, text(name), text("v"), TARN_COND_NONE, NULL);
	tarn_kv_close(kv);
	return rc;
}

/* An own container with an own object, made and destroyed, and a shared object in the shared container. */
static int use_containers(tarn_pool *pool, const char *mine)
{
	tarn_cont *cont;
	int	   rc;

	rc = tarn_cont_create(pool, mine, TARN_CONT_KV, NULL, 0, NULL, NULL);
	if (rc == 0)
		rc = tarn_cont_open(pool, mine, 0, &cont, NULL);
	if (rc)
		return rc;
	rc = use_object(cont, mine);
	tarn_cont_close(cont);
	if (rc == 0)
		rc = tarn_cont_destroy(pool, mine, TARN_DESTROY_FORCE, NULL);
	if (rc == 0)
		rc = tarn_cont_open(pool, "neo", 0, &cont, NULL);
	if (rc)
		return rc;
	rc = use_object(cont, "shared");
	if (rc == 0)
		rc = use_object(cont, mine);
	if (rc == 0)
		rc = tarn_object_destroy(cont, mine, NULL);
	tarn_cont_close(cont);
	return rc;
}

static void *crowd_member(void *arg)
{
	struct crowd *me = arg;
	tarn_pool    *pool;
	char	      mine[32];

	snprintf(mine, sizeof(mine), "of-%d", me->number);
	for (int i = 0; i < ROUNDS && me->rc == 0; i++) {
		me->rc = tarn_pool_open(me->s->sys, "tank", NULL, &pool, NULL);
		if (me->rc == 0) {
			me->rc = use_containers(pool, mine);
			tarn_pool_close(pool);
		}
	}
	snprintf(me->sentence, sizeof(me->sentence), "%s", tarn_last_error());
	return NULL;
}

static void test_threads_open_and_close(void **state)
{
	struct scratch *s = *state;
	struct crowd	crowd[THREADS];
	pthread_t	threads[THREADS];
	tarn_cont_info	info;

	scratch_close(s); /* so that the pool is really opened and closed, over and over */
	for (int i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd){ .s = s, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &crowd[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (crowd[i].rc)
			fail_msg("thread %d: %s: %s", i, tarn_errname(crowd[i].rc), crowd[i].sentence);
	}
	scratch_open(s);
	assert_ok(tarn_cont_query(s->cont, &info, NULL));
	assert_int_equal(info.objects, 2);
}

static void test_null_handles(void **state)
{
	tarn_pool_info	 info;
	tarn_cont_info	 cont_info;
	tarn_object_info object_info;
	size_t		 n = 0;
	uint64_t	 count;
	tarn_cont	*cont;
	tarn_kv		*kv;
	tarn_pool	*pool;

	(void)state;
	assert_error(tarn_pool_open(NULL, "tank", NULL, &pool, NULL), NO_HDL);
	assert_error(tarn_pool_list(NULL, NULL, &n, NULL), NO_HDL);
	assert_error(tarn_pool_destroy(NULL, "tank", 0, NULL), NO_HDL);
	assert_error(tarn_pool_close(NULL), NO_HDL);
	assert_error(tarn_pool_query(NULL, &info, NULL), NO_HDL);
	assert_error(tarn_pool_sync(NULL, NULL), NO_HDL);
	assert_error(tarn_pool_checkpoint(NULL, NULL), NO_HDL);
	assert_error(tarn_pool_check(NULL, NULL, NULL, NULL), NO_HDL);
	assert_error(tarn_cont_create(NULL, "c", TARN_CONT_KV, NULL, 0, NULL, NULL), NO_HDL);
	assert_error(tarn_cont_open(NULL, "c", 0, &cont, NULL), NO_HDL);
	assert_error(tarn_cont_close(NULL), NO_HDL);
	assert_error(tarn_cont_query(NULL, &cont_info, NULL), NO_HDL);
	assert_error(tarn_cont_list(NULL, NULL, &n, NULL), NO_HDL);
	assert_error(tarn_cont_set_props(NULL, NULL, 0, NULL), NO_HDL);
	assert_error(tarn_cont_destroy(NULL, "c", 0, NULL), NO_HDL);
	assert_error(tarn_object_list(NULL, NULL, &object_info, &n, NULL), NO_HDL);
	assert_error(tarn_object_create(NULL, "o", NULL), NO_HDL);
	assert_error(tarn_object_query(NULL, "o", &object_info, NULL), NO_HDL);
	assert_error(tarn_object_destroy(NULL, "o", NULL), NO_HDL);
	assert_error(tarn_kv_open(NULL, "o", 0, &kv, NULL), NO_HDL);
	assert_error(tarn_kv_close(NULL), NO_HDL);
	assert_error(tarn_kv_put(NULL, text("k"), text("v"), TARN_COND_NONE, NULL), NO_HDL);
	assert_error(tarn_kv_get(NULL, text("k"), NULL, &n, NULL), NO_HDL);
	assert_error(tarn_kv_count(NULL, NULL, &count, NULL), NO_HDL);
	assert_error(tarn_writer_abort(NULL), NO_HDL);
	assert_error(tarn_reader_close(NULL), NO_HDL);
	assert_error(tarn_eq_destroy(NULL), NO_HDL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_system_root),
		scratch_test(test_pool_query),
		scratch_test(test_pool_list),
		scratch_test(test_pool_shared),
		scratch_test(test_pool_destroy),
		scratch_test(test_pool_on_device),
		scratch_test(test_pool_params),
		scratch_test(test_sync_and_check),
		scratch_test(test_cont_props),
		scratch_test(test_cont_list),
		scratch_test(test_cont_destroy),
		scratch_test(test_object_names),
		scratch_test(test_object_handles),
		scratch_test(test_object_destroy),
		scratch_test(test_object_sweep),
		scratch_test(test_pool_create_leaves_nothing),
		scratch_test(test_threads_open_and_close),
		cmocka_unit_test(test_null_handles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
