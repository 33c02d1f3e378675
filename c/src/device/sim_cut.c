/* SPDX-License-Identifier: Apache-2.0 */
/* device/sim_cut.c: what a power cut leaves of the volatile writes. */
#include "sim_disk.h"

#include <stdlib.h>

static void keep(struct sim_disk *disk, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		sim_apply(disk->durable, &disk->writes[i]);
}

static void cut_sectors(struct sim_disk *disk)
{
	for (size_t i = 0; i < disk->count; i++)
		sim_apply_torn(disk->durable, &disk->writes[i], &disk->order);
}

static int by_issue(const void *a, const void *b)
{
	uint64_t x = ((const struct sim_write *)a)->issued, y = ((const struct sim_write *)b)->issued;

	return (x > y) - (x < y);
}

static void cut_issue_prefix(struct sim_disk *disk)
{
	size_t n = (size_t)rng_below(&disk->order, disk->count + 1);

	if (!n)
		return;
	qsort(disk->writes, disk->count, sizeof(*disk->writes), by_issue);
	keep(disk, 0, n - 1);
	sim_apply_torn(disk->durable, &disk->writes[n - 1], &disk->order);
}

static void cut_all_but_one(struct sim_disk *disk)
{
	size_t without = (size_t)rng_below(&disk->order, disk->count);

	keep(disk, 0, without);
	keep(disk, MIN(without + 1, disk->count), disk->count);
}

/* Marks the sectors of w as touched. True when one of them was before. */
static bool touch(struct sim_disk *disk, const struct sim_write *w)
{
	bool before = false;

	for (uint64_t s = w->offset / SIM_SECTOR; s < (w->offset + w->len) / SIM_SECTOR; s++) {
		uint8_t bit = (uint8_t)(1u << s % 8);

		before |= disk->touched[s / 8] & bit;
		disk->touched[s / 8] |= bit;
	}
	return before;
}

/* Walking from the end that wins, a write that meets an earlier one of the walk is dropped whole. The kept ones are disjoint, so
 * their order does not matter. */
static void cut_overlapping(struct sim_disk *disk, bool newest_wins)
{
	memset(disk->touched, 0, DIV_UP(disk->size / SIM_SECTOR, 8));
	for (size_t i = 0; i < disk->count; i++) {
		const struct sim_write *w = &disk->writes[newest_wins ? disk->count - 1 - i : i];

		if (!touch(disk, w))
			sim_apply(disk->durable, w);
	}
}

static void cut_by_policy(struct sim_disk *disk, enum sim_cut policy)
{
	switch (policy) {
	case SIM_CUT_ALL:
		keep(disk, 0, disk->count);
		break;
	case SIM_CUT_SECTORS:
		cut_sectors(disk);
		break;
	case SIM_CUT_ISSUE_PREFIX:
		cut_issue_prefix(disk);
		break;
	case SIM_CUT_FINISH_PREFIX:
		keep(disk, 0, (size_t)rng_below(&disk->order, disk->count + 1));
		break;
	case SIM_CUT_ALL_BUT_ONE:
		cut_all_but_one(disk);
		break;
	case SIM_CUT_NEWEST:
	case SIM_CUT_OLDEST:
		cut_overlapping(disk, policy == SIM_CUT_NEWEST);
		break;
	case SIM_CUT_NONE:
	case SIM_CUT_RANDOM: /* drawn before */
	case SIM_CUT_POLICIES:
		break;
	}
}

void sim_restore_power(struct sim_disk *disk, enum sim_cut policy)
{
	sim_lock(disk);
	if (policy == SIM_CUT_RANDOM)
		policy = SIM_CUT_NONE + (enum sim_cut)rng_below(&disk->order, SIM_CUT_POLICIES - SIM_CUT_NONE);
	cut_by_policy(disk, policy);
	for (size_t i = 0; i < disk->count; i++)
		sim_show_durable(disk, disk->writes[i].offset, disk->writes[i].len);
	sim_forget(disk, disk->count);
	disk->cut    = false;
	disk->cut_at = 0;
	sim_trace(disk, 0x200, (uint64_t)policy, 0, 0);
	sim_unlock(disk);
}

void sim_set_cut_after(struct sim_disk *disk, uint64_t ios)
{
	sim_lock(disk);
	disk->cut_at = ios ? disk->ios + ios : 0;
	sim_unlock(disk);
}

bool sim_is_cut(const struct sim_disk *disk)
{
	bool cut;

	sim_lock(disk);
	cut = disk->cut;
	sim_unlock(disk);
	return cut;
}
