/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c: make a pool, a container and an object; put, get and list.
 *
 * usage: example-hello ROOT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/tarn.h>

static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, tarn_errname(rc), tarn_last_error());
	exit(1);
}

static tarn_buf text(const char *s)
{
	return (tarn_buf){ s, strlen(s) };
}

static void list(tarn_kv *kv)
{
	static uint64_t buf[16384]; /* 8-byte aligned; larger than TARN_KEY_MAX + 32 */
	const char     *at = (const char *)buf;
	tarn_listing	listing;

	check(tarn_kv_list(kv, NULL, 0, buf, sizeof(buf), &listing, NULL), "list");
	for (uint32_t i = 0; i < listing.count; i++) {
		const tarn_entry *entry = (const void *)at;
		const char	 *key	= at + sizeof(*entry);

		printf("%.*s = %.*s\n", (int)entry->key_len, key, (int)entry->val_len, key + entry->key_len);
		at += (sizeof(*entry) + entry->key_len + entry->val_len + 7) / 8 * 8;
	}
}

int main(int argc, char **argv)
{
	tarn_pool_params params = { .struct_size = sizeof(params), .size = 64 << 20 };
	tarn_system	*sys;
	tarn_pool	*pool;
	tarn_cont	*cont;
	tarn_kv		*kv;
	char		 value[64];
	size_t		 len = sizeof(value);

	check(tarn_system_open(argc > 1 ? argv[1] : NULL, NULL, 0, &sys), "system");
	check(tarn_pool_create(sys, "tank", &params, NULL, NULL), "create the pool");
	check(tarn_pool_open(sys, "tank", NULL, &pool, NULL), "open the pool");
	check(tarn_cont_create(pool, "neo", TARN_CONT_KV, NULL, 0, NULL, NULL), "create the container");
	check(tarn_cont_open(pool, "neo", 0, &cont, NULL), "open the container");
	check(tarn_kv_open(cont, "stadium", TARN_KV_CREATE, &kv, NULL), "open the object");

	check(tarn_kv_put(kv, text("Barcelona"), text("Camp Nou"), TARN_COND_NONE, NULL), "put");
	check(tarn_kv_put(kv, text("Dortmund"), text("Westfalenstadion"), TARN_COND_NONE, NULL), "put");
	check(tarn_kv_get(kv, text("Barcelona"), value, &len, NULL), "get");
	printf("Barcelona plays at %.*s\n", (int)len, value);
	list(kv);

	check(tarn_kv_close(kv), "close the object");
	check(tarn_cont_close(cont), "close the container");
	check(tarn_pool_close(pool), "close the pool");
	check(tarn_system_close(sys), "close the system");
	return 0;
}
