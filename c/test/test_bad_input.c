/* SPDX-License-Identifier: Apache-2.0 */
/* test/test_bad_input.c: what a user or the world can get wrong, one row each.
 *
 * Each row has the error that is due, and a part of the sentence. After each row, everything that was stored before is still there,
 * byte for byte, also after the pool was closed and opened, and the whole pool passes its check. */
#include "../src/store/layout.h"
#include "api_scratch.h"
#include "file_tools.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define TREASURES 100

static size_t treasure(int i, char key[32], uint8_t *val)
{
	size_t len = i % 50 == 0 ? 70000u + (unsigned)i : (unsigned)i * 7;

	snprintf(key, 32, "treasure %d", i);
	test_fill(val, len, (uint64_t)i + 100);
	return len;
}

static uint8_t treasure_bytes[80000];

static void store_treasure(tarn_kv *kv)
{
	char key[32];

	for (int i = 0; i < TREASURES; i++) {
		size_t len = treasure(i, key, treasure_bytes);

		assert_ok(tarn_kv_put(kv, text(key), (tarn_buf){ treasure_bytes, len }, TARN_COND_NONE, NULL));
	}
}

static void check_treasure(tarn_kv *kv)
{
	tarn_range range = { .prefix = text("treasure ") };
	uint64_t   count;
	char	   key[32];

	for (int i = 0; i < TREASURES; i++) {
		size_t len = treasure(i, key, treasure_bytes);

		assert_value(kv, text(key), (tarn_buf){ treasure_bytes, len });
	}
	assert_ok(tarn_kv_count(kv, &range, &count, NULL));
	assert_int_equal(count, TREASURES);
}

/* ---- rows: pools. The pool is closed when they begin. ---- */

static int open_tank(struct scratch *s, const char *name)
{
	tarn_pool *pool;
	int	   rc = tarn_pool_open(s->sys, name, NULL, &pool, NULL);

	if (rc == 0)
		tarn_pool_close(pool);
	return rc;
}

/* Puts a damaged copy in the pool's place, opens it, looks that it was not touched, and puts the pool back. */
static int open_damaged(struct scratch *s, void (*damage)(const char *path))
{
	char path[512], aside[512], witness[512], sentence[TARN_MESSAGE_MAX];
	int  rc;

	scratch_path(s, "tank.pool", path);
	scratch_path(s, "aside", aside);
	scratch_path(s, "witness", witness);
	assert_int_equal(rename(path, aside), 0);
	copy_file(aside, path);
	damage(path);
	copy_file(path, witness);
	rc = open_tank(s, "tank");
	snprintf(sentence, sizeof(sentence), "%s", tarn_last_error());
	assert_true(same_files(path, witness));
	unlink(witness);
	assert_int_equal(rename(aside, path), 0);
	base_set_message(sentence);
	return rc;
}

static void cut_to_half(const char *path)
{
	assert_int_equal(truncate(path, 16 << 20), 0);
}

static void cut_to_nothing(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
}

static void cut_to_a_little(const char *path)
{
	assert_int_equal(truncate(path, 3000), 0);
}

static void fill_with_noise(const char *path)
{
	static uint8_t noise[1 << 20];

	for (int i = 0; i < 32; i++) {
		test_fill(noise, sizeof(noise), (uint64_t)i + 1);
		write_at(path, (off_t)i << 20, noise, sizeof(noise));
	}
}

static void fill_with_zeros(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(truncate(path, 32 << 20), 0);
}

static const off_t superblocks[] = { 0, BLOCK, (32 << 20) - 2 * BLOCK, (32 << 20) - BLOCK };

static void make_future_version(const char *path)
{
	static const uint8_t version[4] = { FORMAT_VERSION + 1 };

	for (size_t i = 0; i < ARRAY_LEN(superblocks); i++)
		write_at(path, superblocks[i] + SB_VERSION, version, sizeof(version));
}

/* All is well with it, but for a feature that this library does not have. */
static void make_future_feature(const char *path)
{
	uint8_t block[BLOCK];
	int	fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_LEN(superblocks); i++) {
		assert_int_equal(pread(fd, block, BLOCK, superblocks[i]), BLOCK);
		put64(block + SB_INCOMPAT, 4);
		memset(block + SB_SUM, 0, 16);
		memcpy(block + SB_SUM, hash128(block, BLOCK).bytes, 16);
		assert_int_equal(pwrite(fd, block, BLOCK, superblocks[i]), BLOCK);
	}
	close(fd);
}

/* One bit in each copy. */
static void rot_superblocks(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(superblocks); i++)
		write_at(path, superblocks[i] + SB_ROOT + (off_t)i, "\x5a", 1);
}

static int truncated_half(struct scratch *s)
{
	return open_damaged(s, cut_to_half);
}

static int truncated_empty(struct scratch *s)
{
	return open_damaged(s, cut_to_nothing);
}

static int truncated_tiny(struct scratch *s)
{
	return open_damaged(s, cut_to_a_little);
}

static int random_bytes(struct scratch *s)
{
	return open_damaged(s, fill_with_noise);
}

static int all_zero(struct scratch *s)
{
	return open_damaged(s, fill_with_zeros);
}

static int future_version(struct scratch *s)
{
	return open_damaged(s, make_future_version);
}

static int future_feature(struct scratch *s)
{
	return open_damaged(s, make_future_feature);
}

static int rotten_superblocks(struct scratch *s)
{
	return open_damaged(s, rot_superblocks);
}

/* One byte of a value has changed on disk. It is never served, and the check finds it. */
static int rotten_value(struct scratch *s)
{
	char	path[512], key[32], sentence[TARN_MESSAGE_MAX];
	size_t	len = treasure(50, key, treasure_bytes);
	uint8_t bad = (uint8_t)(treasure_bytes[99] ^ 1);
	off_t	at;
	int	rc;

	scratch_path(s, "tank.pool", path);
	at = find_bytes(path, treasure_bytes, 64);
	write_at(path, at + 99, &bad, 1);
	scratch_open(s);
	rc = tarn_kv_get(s->kv, text(key), treasure_bytes, &len, NULL);
	snprintf(sentence, sizeof(sentence), "%s", tarn_last_error());
	assert_error(tarn_pool_check(s->pool, NULL, NULL, NULL), CSUM);
	scratch_close(s);
	bad ^= 1;
	write_at(path, at + 99, &bad, 1);
	base_set_message(sentence);
	return rc;
}

static int is_a_directory(struct scratch *s)
{
	char path[512];
	int  rc;

	scratch_path(s, "folder.pool", path);
	assert_int_equal(mkdir(path, 0700), 0);
	rc = open_tank(s, "folder");
	rmdir(path);
	return rc;
}

static int dangling_link(struct scratch *s)
{
	char path[512];

	scratch_path(s, "link.pool", path);
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	return open_tank(s, "link");
}

static void create_other(struct scratch *s, tarn_uuid *uuid)
{
	tarn_pool_params params = { .struct_size = sizeof(params), .size = 8 << 20 };

	assert_ok(tarn_pool_create(s->sys, "other", &params, uuid, NULL));
}

/* Another pool stands where tank's file was: the label's promise is broken, so it is refused; by UUID each is found. */
static int swapped_by_label(struct scratch *s)
{
	char	  tank[512], other[512], aside[512], uuid_text[37], sentence[TARN_MESSAGE_MAX];
	tarn_uuid uuid;
	int	  rc;

	scratch_path(s, "tank.pool", tank);
	scratch_path(s, "other.pool", other);
	scratch_path(s, "aside", aside);
	create_other(s, &uuid);
	assert_int_equal(rename(tank, aside), 0);
	assert_int_equal(rename(other, tank), 0);
	rc = open_tank(s, "tank");
	snprintf(sentence, sizeof(sentence), "%s", tarn_last_error());
	tarn_uuid_format(&uuid, uuid_text);
	assert_ok(open_tank(s, uuid_text)); /* under the wrong name, but it is that pool */
	unlink(tank);
	assert_int_equal(rename(aside, tank), 0);
	base_set_message(sentence);
	return rc;
}

/* The file of the pool that is asked for by UUID is gone, another one has its name. */
static int swapped_by_uuid(struct scratch *s)
{
	char	       tank[512], other[512], aside[512], uuid_text[37], sentence[TARN_MESSAGE_MAX];
	tarn_pool_info info;
	tarn_uuid      uuid;
	size_t	       n = 1;
	int	       rc;

	assert_ok(tarn_pool_list(s->sys, &info, &n, NULL));
	tarn_uuid_format(&info.uuid, uuid_text);
	scratch_path(s, "tank.pool", tank);
	scratch_path(s, "other.pool", other);
	scratch_path(s, "aside", aside);
	create_other(s, &uuid);
	assert_int_equal(rename(tank, aside), 0);
	assert_int_equal(rename(other, tank), 0);
	rc = open_tank(s, uuid_text);
	snprintf(sentence, sizeof(sentence), "%s", tarn_last_error());
	unlink(tank);
	assert_int_equal(rename(aside, tank), 0);
	base_set_message(sentence);
	return rc;
}

/* Holds the pool's file in another process, as a gateway does, until it is killed. */
static pid_t hold_in_child(const char *path)
{
	char  byte;
	int   ready[2];
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int fd = open(path, O_RDWR);

		if (fd < 0 || flock(fd, LOCK_EX) != 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static int held_by_another(struct scratch *s)
{
	char	       path[512], pid_text[16], sentence[TARN_MESSAGE_MAX];
	tarn_pool_info info;
	size_t	       n = 1;
	pid_t	       child;
	int	       rc;

	scratch_path(s, "tank.pool", path);
	child = hold_in_child(path);
	rc    = open_tank(s, "tank");
	snprintf(sentence, sizeof(sentence), "%s", tarn_last_error());
	snprintf(pid_text, sizeof(pid_text), "%d", (int)child);
	assert_says(pid_text); /* it names the holder */
	assert_int_equal(tarn_pool_destroy(s->sys, "tank", TARN_DESTROY_FORCE, NULL), -TARN_E_BUSY);
	assert_ok(tarn_pool_list(s->sys, &info, &n, NULL)); /* to look is always allowed */
	assert_int_equal(n, 1);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	base_set_message(sentence);
	return rc;
}

static int create_pool(struct scratch *s, const char *label, uint64_t size)
{
	tarn_pool_params params = { .struct_size = sizeof(params), .size = size };

	return tarn_pool_create(s->sys, label, &params, NULL, NULL);
}

static int pool_label_taken(struct scratch *s)
{
	return create_pool(s, "tank", 8 << 20);
}

static int pool_label_malformed(struct scratch *s)
{
	return create_pool(s, "a tank", 8 << 20);
}

static int pool_label_with_slash(struct scratch *s)
{
	return create_pool(s, "../tank", 8 << 20);
}

static int pool_label_is_uuid(struct scratch *s)
{
	return create_pool(s, "2d9ee4b8-4b28-4e8e-9d9c-0123456789ab", 8 << 20);
}

static int pool_label_too_long(struct scratch *s)
{
	char label[TARN_LABEL_MAX + 2];

	memset(label, 'x', sizeof(label) - 1);
	label[sizeof(label) - 1] = '\0';
	return create_pool(s, label, 8 << 20);
}

static int pool_too_small(struct scratch *s)
{
	return create_pool(s, "small", 1 << 20);
}

static int pool_too_large(struct scratch *s)
{
	return create_pool(s, "large", UINT64_C(1) << 60);
}

static int pool_absent(struct scratch *s)
{
	return open_tank(s, "nobody");
}

/* ---- rows: what is in a pool. The pool is open when they begin. ---- */

static int cont_label_taken(struct scratch *s)
{
	return tarn_cont_create(s->pool, "neo", TARN_CONT_KV, NULL, 0, NULL, NULL);
}

static int cont_label_malformed(struct scratch *s)
{
	return tarn_cont_create(s->pool, "n/eo", TARN_CONT_KV, NULL, 0, NULL, NULL);
}

static int cont_type_unknown(struct scratch *s)
{
	return tarn_cont_create(s->pool, "new", (tarn_cont_type)77, NULL, 0, NULL, NULL);
}

static int cont_prop_unknown(struct scratch *s)
{
	tarn_prop prop = { .id = (tarn_prop_id)99 };

	return tarn_cont_create(s->pool, "new", TARN_CONT_KV, &prop, 1, NULL, NULL);
}

static int cont_absent(struct scratch *s)
{
	tarn_cont *cont;

	return tarn_cont_open(s->pool, "nobody", 0, &cont, NULL);
}

static int object_name_taken(struct scratch *s)
{
	return tarn_object_create(s->cont, "stadium", NULL);
}

static int put(struct scratch *s, tarn_buf key, tarn_buf val)
{
	return tarn_kv_put(s->kv, key, val, TARN_COND_NONE, NULL);
}

static int key_empty(struct scratch *s)
{
	return put(s, (tarn_buf){ "", 0 }, text("v"));
}

static int key_too_long(struct scratch *s)
{
	static uint8_t key[TARN_KEY_MAX + 1];

	return put(s, (tarn_buf){ key, sizeof(key) }, text("v"));
}

static int value_too_large(struct scratch *s)
{
	return put(s, text("k"), (tarn_buf){ s, TARN_VALUE_MAX + 1 }); /* refused by its length: it is not read */
}

static int buffer_too_small(struct scratch *s)
{
	char   buf[100], key[32];
	size_t len = sizeof(buf), size = treasure(50, key, treasure_bytes);
	int    rc = tarn_kv_get(s->kv, text(key), buf, &len, NULL);

	assert_int_equal(len, size);
	return rc;
}

/* The log is a sixteenth of the pool; the values are short enough to be in it. */
static int batch_too_large(struct scratch *s)
{
	static uint8_t val[2000];
	tarn_mutation *muts = calloc(2000, sizeof(*muts));
	char	       keys[2000][8];
	int	       rc;

	assert_non_null(muts);
	for (int i = 0; i < 2000; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%d", i);
		muts[i] = (tarn_mutation){ .key = text(keys[i]), .val = { val, sizeof(val) } };
	}
	rc = tarn_kv_apply(s->kv, muts, 2000, NULL, NULL);
	free(muts);
	return rc;
}

static void clear_filling(struct scratch *s)
{
	tarn_range filling = { .prefix = text("filling") };

	assert_ok(tarn_kv_del_range(s->kv, &filling, NULL, NULL));
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
}

#define FILL 16 /* values in a batch */

static int fill_once(struct scratch *s, int round, const uint8_t *val, size_t len)
{
	tarn_mutation muts[FILL] = { 0 };
	char	      keys[FILL][48];

	for (int i = 0; i < FILL; i++) {
		snprintf(keys[i], sizeof(keys[i]), "filling %d of %d", i, round);
		muts[i] = (tarn_mutation){ .key = text(keys[i]), .val = { val, len } };
	}
	return tarn_kv_apply(s->kv, muts, FILL, NULL, NULL);
}

/* Fills the pool until it says no; then what fills it is deleted, and there is room again. */
static int fill_pool(struct scratch *s, size_t len)
{
	char	 sentence[TARN_MESSAGE_MAX];
	uint8_t *val = calloc(1, len);
	int	 rc  = 0;

	assert_non_null(val);
	for (int round = 0; rc == 0; round++)
		rc = fill_once(s, round, val, len);
	snprintf(sentence, sizeof(sentence), "%s", tarn_last_error());
	check_treasure(s->kv);
	clear_filling(s);
	assert_ok(fill_once(s, 0, val, len));
	clear_filling(s);
	free(val);
	base_set_message(sentence);
	return rc;
}

static int device_full_of_large(struct scratch *s)
{
	return fill_pool(s, 100000);
}

static int device_full_of_small(struct scratch *s)
{
	return fill_pool(s, 1000);
}

static int device_full_of_pieces(struct scratch *s)
{
	static uint8_t piece[1 << 20];
	tarn_writer   *writer;
	int	       rc = 0;

	assert_ok(tarn_writer_open(s->kv, text("k"), TARN_COND_NONE, &writer));
	for (int i = 0; rc == 0 && i < 100; i++)
		rc = tarn_writer_write(writer, (tarn_buf){ piece, sizeof(piece) }, NULL);
	assert_int_equal(tarn_writer_commit(writer, NULL), -TARN_E_NOSPACE);
	return rc;
}

struct row {
	const char *name;
	int (*run)(struct scratch *s);
	int	    error;
	const char *says; /* a part of the sentence */
	bool	    closed;
};

static const struct row rows[] = {
	{ "pool file cut in half", truncated_half, TARN_E_DF_INVAL, "truncated", true },
	{ "pool file cut to nothing", truncated_empty, TARN_E_DF_INVAL, "", true },
	{ "pool file cut to 3000 bytes", truncated_tiny, TARN_E_DF_INVAL, "", true },
	{ "pool file of random bytes", random_bytes, TARN_E_DF_INVAL, "", true },
	{ "pool file of zeros", all_zero, TARN_E_DF_INVAL, "", true },
	{ "pool of a future version", future_version, TARN_E_DF_INCOMPT, "version", true },
	{ "pool with a feature of the future", future_feature, TARN_E_DF_INCOMPT, "0x4", true },
	{ "pool without a whole superblock", rotten_superblocks, TARN_E_CSUM, "superblock", true },
	{ "a value that has rotted", rotten_value, TARN_E_CSUM, "", true },
	{ "a directory in a pool's place", is_a_directory, TARN_E_INVAL, "directory", true },
	{ "a link that leads nowhere", dangling_link, TARN_E_NONEXIST, "link", true },
	{ "another pool in the label's file", swapped_by_label, TARN_E_ID_MISMATCH, "other", true },
	{ "another pool in the UUID's file", swapped_by_uuid, TARN_E_NONEXIST, "", true },
	{ "held by another process", held_by_another, TARN_E_BUSY, "process", true },
	{ "pool label taken", pool_label_taken, TARN_E_EXIST, "tank", true },
	{ "pool label with a space", pool_label_malformed, TARN_E_INVAL, "character 2", true },
	{ "pool label with a slash", pool_label_with_slash, TARN_E_INVAL, "character 3", true },
	{ "pool label that is a UUID", pool_label_is_uuid, TARN_E_INVAL, "UUID", true },
	{ "pool label of 128 characters", pool_label_too_long, TARN_E_INVAL, "127", true },
	{ "pool of 1 MiB", pool_too_small, TARN_E_INVAL, "4194304", true },
	{ "pool of an exbibyte", pool_too_large, TARN_E_NOSPACE, "", true },
	{ "pool that is not there", pool_absent, TARN_E_NONEXIST, "nobody", true },
	{ "container label taken", cont_label_taken, TARN_E_EXIST, "neo", false },
	{ "container label with a slash", cont_label_malformed, TARN_E_INVAL, "character 2", false },
	{ "container type unknown", cont_type_unknown, TARN_E_INVAL, "77", false },
	{ "container property unknown", cont_prop_unknown, TARN_E_INVAL, "99", false },
	{ "container that is not there", cont_absent, TARN_E_CONT_NONEXIST, "nobody", false },
	{ "object name taken", object_name_taken, TARN_E_EXIST, "stadium", false },
	{ "empty key", key_empty, TARN_E_INVAL, "empty", false },
	{ "key of 65537 bytes", key_too_long, TARN_E_KEY2BIG, "65536", false },
	{ "value over 4 GiB", value_too_large, TARN_E_REC2BIG, "4294967296", false },
	{ "buffer too small for the value", buffer_too_small, TARN_E_REC2BIG, "room for 100", false },
	{ "batch too large for the log", batch_too_large, TARN_E_REC2BIG, "log", false },
	{ "pool full of large values", device_full_of_large, TARN_E_NOSPACE, "", false },
	{ "pool full of small values", device_full_of_small, TARN_E_NOSPACE, "", false },
	{ "pool full of a value in pieces", device_full_of_pieces, TARN_E_NOSPACE, "", false },
};

static void check_sentence(const struct row *row, int rc)
{
	const char *says = tarn_last_error();

	if (rc != -row->error)
		fail_msg("%s: %s instead of %s: %s", row->name, tarn_errname(rc), tarn_errname(row->error), says);
	if (strlen(says) < 20 || strcmp(says, tarn_strerror(rc)) == 0 || !strstr(says, row->says))
		fail_msg("%s: the sentence \"%s\" does not say what is wrong (\"%s\")", row->name, says, row->says);
}

static void run_row(struct scratch *s, const struct row *row)
{
	int rc;

	print_message("    %s\n", row->name);
	if (row->closed)
		scratch_close(s);
	base_set_message("");
	rc = row->run(s);
	check_sentence(row, rc);
	if (!row->closed) {
		check_treasure(s->kv);
		scratch_close(s);
	}
	scratch_open(s);
	check_treasure(s->kv);
	assert_ok(tarn_pool_check(s->pool, NULL, NULL, NULL));
}

static void test_every_row(void **state)
{
	struct scratch *s = *state;

	store_treasure(s->kv);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		run_row(s, &rows[i]);
}

static void fill_object(tarn_cont *cont, const char *name)
{
	static uint8_t val[50000];
	tarn_kv	      *kv;
	int	       rc = 0;

	assert_ok(tarn_kv_open(cont, name, TARN_KV_CREATE, &kv, NULL));
	for (int n = 0; rc == 0; n++)
		rc = tarn_kv_put(kv, (tarn_buf){ &n, sizeof(n) }, (tarn_buf){ val, sizeof(val) }, TARN_COND_NONE, NULL);
	assert_int_equal(rc, -TARN_E_NOSPACE);
	assert_ok(tarn_kv_close(kv));
}

/* A full pool is no trap: objects and containers can be destroyed, and then there is room again. */
static void test_full_pool_can_be_emptied(void **state)
{
	struct scratch *s = *state;
	tarn_cont      *cont;

	store_treasure(s->kv);
	fill_object(s->cont, "glutton");
	assert_ok(tarn_object_destroy(s->cont, "glutton", NULL));
	check_treasure(s->kv);
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	assert_ok(tarn_cont_create(s->pool, "gluttons", TARN_CONT_KV, NULL, 0, NULL, NULL));
	assert_ok(tarn_cont_open(s->pool, "gluttons", 0, &cont, NULL));
	fill_object(cont, "glutton");
	assert_ok(tarn_cont_close(cont));
	assert_ok(tarn_cont_destroy(s->pool, "gluttons", TARN_DESTROY_FORCE, NULL));
	assert_ok(tarn_pool_checkpoint(s->pool, NULL));
	put_text(s->kv, "there", "is room");
	check_treasure(s->kv);
}

int main(void)
{
	const struct CMUnitTest tests[] = { scratch_test(test_every_row), scratch_test(test_full_pool_can_be_emptied) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
