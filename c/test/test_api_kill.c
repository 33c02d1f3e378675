/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_api_kill.c: kill -9 at random moments, on a real file.
 *
 * A child does seeded operations on containers, objects and keys, and says after each that it is acknowledged. It is killed; then the
 * pool must hold exactly the state after the last acknowledged operation, or after the one that was under way. SEED=n replays
 * the operations; KILLS=n says how often. */
#include "../src/api/call.h"
#include "api_scratch.h"
#include <signal.h>
#include <sys/wait.h>

#define CONTS	3
#define OBJECTS 3
#define KEYS	40
#define BATCH	6

/* What there is. A value is known by the number of the operation that wrote it. */
struct object_model {
	bool	 exists;
	uint32_t keys[KEYS]; /* 0: absent */
};

struct model {
	bool		    conts[CONTS];
	uint32_t	    attrs[CONTS]; /* two attributes that are always set together; 0: absent */
	struct object_model objects[CONTS][OBJECTS];
};

enum verb_kind { PUT, DEL, APPLY, ATTRS, RENAME_OBJECT, REMOVE_OBJECT, REMOVE_CONT };

struct operation {
	enum verb_kind kind;
	int	       cont, object, key;
	uint32_t       number;
};

static struct operation operation(uint32_t number)
{
	static const enum verb_kind kinds[] = { PUT,	       PUT,	      PUT,	     PUT,	 PUT,	PUT,
						PUT,	       PUT,	      DEL,	     DEL,	 APPLY, APPLY,
						APPLY,	       PUT,	      PUT,	     ATTRS,	 ATTRS, RENAME_OBJECT,
						RENAME_OBJECT, REMOVE_OBJECT, REMOVE_OBJECT, REMOVE_CONT };
	struct rng		    rng;

	rng_seed(&rng, test_seed() * 1000003 + number);
	return (struct operation){
		.kind	= kinds[rng_below(&rng, ARRAY_LEN(kinds))],
		.cont	= (int)rng_below(&rng, CONTS),
		.object = (int)rng_below(&rng, OBJECTS),
		.key	= (int)rng_below(&rng, KEYS),
		.number = number,
	};
}

static int renamed_to(struct operation op)
{
	return (op.object + 1 + op.key % (OBJECTS - 1)) % OBJECTS;
}

/* Nothing when there is no such object, or one of the new name. */
static void model_rename(struct object_model *from, struct object_model *to)
{
	if (!from->exists || to->exists)
		return;
	*to = *from;
	memset(from, 0, sizeof(*from));
}

static void model_do(struct model *model, struct operation op)
{
	struct object_model *object = &model->objects[op.cont][op.object];

	if (op.kind == REMOVE_CONT) {
		model->conts[op.cont] = false;
		model->attrs[op.cont] = 0;
		memset(model->objects[op.cont], 0, sizeof(model->objects[op.cont]));
	} else if (op.kind == ATTRS) {
		model->attrs[op.cont] = model->conts[op.cont] ? op.number : 0;
	} else if (op.kind == RENAME_OBJECT) {
		model_rename(object, &model->objects[op.cont][renamed_to(op)]);
	} else if (op.kind == REMOVE_OBJECT) {
		memset(object, 0, sizeof(*object));
	} else {
		model->conts[op.cont] = object->exists = true;
		for (int i = 0; i < (op.kind == APPLY ? BATCH : 1); i++)
			object->keys[(op.key + i) % KEYS] = op.kind == DEL ? 0 : op.number;
	}
}

/* ---- the child ---- */

static size_t value_of(uint32_t number, uint8_t *val)
{
	size_t len = number % 11 == 0 ? 30000 + number % 1000 : number % 3000;

	test_fill(val, len, number);
	return len;
}

/* A container or an object that an operation needs and that is missing is made by it: so an operation is several changes, and only
 * the last of them is seen by the model. What a kill leaves in between is an empty container or object. */
static int open_object(tarn_pool *pool, struct operation op, tarn_cont **cont, tarn_kv **kv)
{
	char name[8];
	int  rc;

	snprintf(name, sizeof(name), "c%d", op.cont);
	rc = tarn_cont_create(pool, name, TARN_CONT_KV, NULL, 0, NULL, NULL);
	if (rc && rc != -TARN_E_EXIST)
		return rc;
	rc = tarn_cont_open(pool, name, 0, cont, NULL);
	if (rc)
		return rc;
	snprintf(name, sizeof(name), "o%d", op.object);
	return tarn_kv_open(*cont, name, TARN_KV_CREATE, kv, NULL);
}

static int change_keys(tarn_kv *kv, struct operation op)
{
	static uint8_t val[32000];
	size_t	       len	   = value_of(op.number, val);
	tarn_mutation  muts[BATCH] = { 0 };
	uint8_t	       keys[BATCH];

	for (int i = 0; i < BATCH; i++) {
		keys[i] = (uint8_t)((op.key + i) % KEYS);
		muts[i] = (tarn_mutation){ .key = { &keys[i], 1 }, .val = { val, len } };
	}
	if (op.kind == APPLY)
		return tarn_kv_apply(kv, muts, BATCH, NULL, NULL);
	return op.kind == DEL ? tarn_kv_del(kv, muts[0].key, TARN_COND_NONE, NULL)
			      : tarn_kv_put(kv, muts[0].key, muts[0].val, TARN_COND_NONE, NULL);
}

static int set_attrs(tarn_cont *cont, uint32_t number)
{
	static uint8_t val[32000];
	tarn_buf       value	= { val, value_of(number, val) + 1 };
	tarn_attr      attrs[2] = { { "left", value }, { "right", value } };

	return tarn_cont_attr_set(cont, attrs, 2, NULL);
}

/* Does what concerns a container that is there; nothing when it is not. */
static int change_cont(tarn_pool *pool, struct operation op)
{
	tarn_cont *cont;
	char	   name[8], to[8];
	int	   rc;

	snprintf(name, sizeof(name), "c%d", op.cont);
	rc = tarn_cont_open(pool, name, 0, &cont, NULL);
	if (rc)
		return rc == -TARN_E_CONT_NONEXIST ? 0 : rc;
	snprintf(name, sizeof(name), "o%d", op.object);
	snprintf(to, sizeof(to), "o%d", renamed_to(op));
	if (op.kind == ATTRS)
		rc = set_attrs(cont, op.number);
	else
		rc = op.kind == RENAME_OBJECT ? tarn_object_rename(cont, name, to, NULL) : tarn_object_destroy(cont, name, NULL);
	tarn_cont_close(cont);
	return rc == -TARN_E_NONEXIST || rc == -TARN_E_EXIST ? 0 : rc;
}

static int do_operation(tarn_pool *pool, struct operation op)
{
	char	   name[8];
	tarn_cont *cont;
	tarn_kv	  *kv;
	int	   rc;

	snprintf(name, sizeof(name), "c%d", op.cont);
	if (op.kind == REMOVE_CONT) {
		rc = tarn_cont_destroy(pool, name, TARN_DESTROY_FORCE, NULL);
		return rc == -TARN_E_CONT_NONEXIST ? 0 : rc;
	}
	if (op.kind == ATTRS || op.kind == RENAME_OBJECT || op.kind == REMOVE_OBJECT)
		return change_cont(pool, op);
	rc = open_object(pool, op, &cont, &kv);
	if (rc)
		return rc;
	rc = change_keys(kv, op);
	tarn_kv_close(kv);
	tarn_cont_close(cont);
	return rc;
}

/* Never returns: it works until it is killed. A failure is told as number 0. */
static void child(tarn_system *sys, uint32_t number, int acknowledge)
{
	tarn_pool_options options = { .struct_size = sizeof(options), .cache_bytes = 2 << 20 };
	tarn_pool	 *pool;
	int		  rc = tarn_pool_open(sys, "killed", &options, &pool, NULL);

	for (; rc == 0; number++) {
		rc = do_operation(pool, operation(number));
		if (rc == 0 && write(acknowledge, &number, sizeof(number)) != sizeof(number))
			_exit(2);
	}
	fprintf(stderr, "the child failed: %s: %s\n", tarn_errname(rc), tarn_last_error());
	number = 0;
	_exit(write(acknowledge, &number, sizeof(number)) == sizeof(number) ? 1 : 2);
}

/* ---- the parent ---- */

static uint32_t read_value(tarn_kv *kv, uint8_t key, const struct model *const models[2], int c, int o)
{
	static uint8_t got[32000], want[32000];
	size_t	       len = sizeof(got);
	int	       rc  = tarn_kv_get(kv, (tarn_buf){ &key, 1 }, got, &len, NULL);

	if (rc == -TARN_E_NONEXIST)
		return 0;
	assert_ok(rc);
	for (int i = 0; i < 2; i++) {
		uint32_t number = models[i]->objects[c][o].keys[key];

		if (number && value_of(number, want) == len && memcmp(got, want, len) == 0)
			return number;
	}
	fail_msg("container %d, object %d, key %d holds %zu bytes that nobody wrote there", c, o, key, len);
	return 0;
}

/* The operation that set an attribute of a container, 0 when it has none of that name. */
static uint32_t read_attr(tarn_cont *cont, const char *name, int c, const struct model *const models[2])
{
	static uint8_t got[32001], want[32000];
	size_t	       len = sizeof(got);
	int	       rc  = tarn_cont_attr_get(cont, name, got, &len, NULL);

	if (rc == -TARN_E_NONEXIST)
		return 0;
	assert_ok(rc);
	for (int i = 0; i < 2; i++) {
		uint32_t number = models[i]->attrs[c];

		if (number && value_of(number, want) + 1 == len && memcmp(got, want, len - 1) == 0)
			return number;
	}
	fail_msg("container %d has an attribute %s of %zu bytes that nobody wrote there", c, name, len);
	return 0;
}

/* The operation that set both. */
static uint32_t read_attrs(tarn_cont *cont, int c, const struct model *const models[2])
{
	uint32_t left = read_attr(cont, "left", c, models);

	assert_int_equal(left, read_attr(cont, "right", c, models));
	return left;
}

/* Reads one container into `found`. models: before and after the operation that was under way. */
static void read_cont(tarn_cont *cont, int c, const struct model *const models[2], struct model *found)
{
	uint64_t	   keys	  = 0, all, entries;
	struct store_range range  = { .flags = 0 };
	struct driver	  *driver = cont->container->pool->driver;
	tarn_cont_info	   info;
	tarn_kv		  *kv;
	char		   name[8];

	found->conts[c] = true;
	for (int o = 0; o < OBJECTS; o++) {
		snprintf(name, sizeof(name), "o%d", o);
		if (tarn_kv_open(cont, name, 0, &kv, NULL) == -TARN_E_NONEXIST)
			continue;
		found->objects[c][o].exists = true;
		for (int k = 0; k < KEYS; k++)
			found->objects[c][o].keys[k] = read_value(kv, (uint8_t)k, models, c, o);
		assert_ok(tarn_kv_count(kv, NULL, &all, NULL));
		keys += all;
		assert_ok(tarn_kv_close(kv));
	}
	found->attrs[c] = read_attrs(cont, c, models);
	keys += found->attrs[c] ? 2 : 0;
	/* Nothing else is in its tree: attributes, a name and an id for each object, one counter. */
	assert_ok(tarn_cont_query(cont, &info, NULL));
	assert_ok(driver->ops->count(driver, container_at(cont->container), &range, &entries, 0));
	assert_in_range(entries, keys + 2 * info.objects, keys + 2 * info.objects + 1);
}

static bool same_keys(const struct model *a, const struct model *b)
{
	for (int c = 0; c < CONTS; c++)
		for (int o = 0; o < OBJECTS; o++)
			if (memcmp(a->objects[c][o].keys, b->objects[c][o].keys, sizeof(a->objects[c][o].keys)) != 0)
				return false;
	return true;
}

/* All that the model has is there; an empty container or object more may be what the operation under way began with. */
static bool matches(const struct model *found, const struct model *model)
{
	for (int c = 0; c < CONTS; c++) {
		if ((model->conts[c] && !found->conts[c]) || model->attrs[c] != found->attrs[c])
			return false;
		for (int o = 0; o < OBJECTS; o++)
			if (model->objects[c][o].exists && !found->objects[c][o].exists)
				return false;
	}
	return same_keys(found, model);
}

static void read_pool(tarn_system *sys, const struct model *const models[2], struct model *found)
{
	tarn_pool *pool;
	tarn_cont *cont;
	char	   name[8];

	memset(found, 0, sizeof(*found));
	assert_ok(tarn_pool_open(sys, "killed", NULL, &pool, NULL));
	for (int c = 0; c < CONTS; c++) {
		snprintf(name, sizeof(name), "c%d", c);
		if (tarn_cont_open(pool, name, 0, &cont, NULL) == -TARN_E_CONT_NONEXIST)
			continue;
		read_cont(cont, c, models, found);
		assert_ok(tarn_cont_close(cont));
	}
	assert_ok(tarn_pool_check(pool, NULL, NULL, NULL));
	assert_ok(tarn_pool_close(pool));
}

/* Lets a child work for a while, kills it, and returns the last number that it acknowledged. */
static uint32_t run_and_kill(tarn_system *sys, uint32_t first, unsigned after_ms)
{
	uint32_t last = first - 1, number;
	int	 ends[2], status;
	pid_t	 pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(sys, first, ends[1]);
	close(ends[1]);
	usleep(after_ms * 1000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(ends[0], &number, sizeof(number)) == sizeof(number))
		last = number;
	close(ends[0]);
	return last;
}

/* One kill: `model` is the state after operation `next` - 1; returns the next one to do. */
static uint32_t kill_once(tarn_system *sys, struct model *model, uint32_t next, unsigned after_ms)
{
	uint32_t	    last = run_and_kill(sys, next, after_ms);
	struct model	    after, found;
	const struct model *both[2] = { model, &after };

	for (; next <= last; next++)
		model_do(model, operation(next));
	after = *model;
	model_do(&after, operation(next));
	read_pool(sys, both, &found);
	if (!matches(&found, model) && !matches(&found, &after))
		fail_msg("after operation %u, or %u, the pool holds something else (SEED=%" PRIu64 ")", next - 1, next,
			 test_seed());
	*model = found;
	return next + 1;
}

static void test_kill(void **state)
{
	struct scratch	*s	= *state;
	tarn_pool_params params = { .struct_size = sizeof(params), .size = 16 << 20, .log_bytes = 256 << 10, .node_bytes = 4096 };
	struct model	*model	= calloc(1, sizeof(*model));
	uint32_t	 next	= 1;
	struct rng	 rng;

	assert_non_null(model);
	rng_seed(&rng, test_seed());
	scratch_close(s); /* so that the child inherits nothing that is open */
	assert_ok(tarn_pool_create(s->sys, "killed", &params, NULL, NULL));
	for (uint64_t i = 0; i < test_number("KILLS", 12); i++)
		next = kill_once(s->sys, model, next, (unsigned)(20 + rng_below(&rng, 250)));
	print_message("    %u operations\n", next);
	assert_true(next > 12); /* the children did work */
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = { scratch_test(test_kill) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
