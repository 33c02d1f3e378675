/* SPDX-License-Identifier: Apache-2.0 */
/* rawdev.c: make a file, use it as a raw device: write blocks through a queue, and read them back through it.
 *
 * usage: example-rawdev PATH */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/tarn.h>

#define BLOCKS 16u
#define BLOCK  4096u /* a multiple of every alignment; tarn_dev_info says what this device needs */

static void check(int rc, const char *what, const char *why)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, tarn_errname(rc), why);
	exit(1);
}

/* All blocks at once: the queue is as deep. They complete in any order. */
static void run(tarn_dev_queue *queue, tarn_dev_opcode opcode, char *memory)
{
	tarn_dev_io ios[BLOCKS], *list[BLOCKS];
	unsigned    left = BLOCKS, n;

	memset(ios, 0, sizeof(ios));
	for (unsigned i = 0; i < BLOCKS; i++) {
		ios[i].opcode = (uint8_t)opcode;
		ios[i].offset = (uint64_t)i * BLOCK;
		ios[i].len    = BLOCK;
		ios[i].buf    = memory + (size_t)i * BLOCK;
		list[i]	      = &ios[i];
	}
	tarn_dev_queue_submit(queue, list, BLOCKS);
	while (left && (n = tarn_dev_queue_reap(queue, 1, BLOCKS, -1, list)) > 0)
		for (left -= n; n; n--)
			check(list[n - 1]->rc, "I/O", list[n - 1]->message);
}

static tarn_dev *open_device(const char *path)
{
	tarn_dev_options options = { .struct_size  = sizeof(options),
				     .flags	   = TARN_DEV_RDWR | TARN_DEV_CREATE,
				     .create_bytes = (uint64_t)BLOCKS * BLOCK };
	char		 uri[4096];
	tarn_dev	*dev;

	snprintf(uri, sizeof(uri), "file:%s", path);
	check(tarn_dev_open(uri, &options, &dev), "open", tarn_last_error());
	return dev;
}

int main(int argc, char **argv)
{
	tarn_dev_queue_options options = { .struct_size = sizeof(options), .depth = BLOCKS };
	tarn_dev	      *dev     = open_device(argc > 1 ? argv[1] : "device.img");
	char		      *out = tarn_dev_alloc(BLOCKS * BLOCK, 0), *in = tarn_dev_alloc(BLOCKS * BLOCK, 0);
	tarn_dev_queue	      *queue;

	if (!out || !in)
		check(-TARN_E_NOMEM, "memory", "none left");
	check(tarn_dev_queue_open(dev, &options, &queue), "queue", tarn_last_error());
	for (unsigned i = 0; i < BLOCKS; i++)
		snprintf(out + (size_t)i * BLOCK, BLOCK, "block %u", i);
	run(queue, TARN_DEV_WRITE, out);
	check(tarn_dev_flush(dev), "flush", tarn_last_error());
	run(queue, TARN_DEV_READ, in);
	printf("%s to %s: %s\n", in, in + (size_t)(BLOCKS - 1) * BLOCK,
	       memcmp(in, out, BLOCKS * BLOCK) ? "damaged" : "as they were written");
	check(tarn_dev_queue_close(queue, -1), "close the queue", tarn_last_error());
	check(tarn_dev_close(dev), "close", tarn_last_error());
	tarn_dev_free(out, BLOCKS * BLOCK, 0);
	tarn_dev_free(in, BLOCKS * BLOCK, 0);
	return 0;
}
