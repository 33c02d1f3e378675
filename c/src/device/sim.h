/* SPDX-License-Identifier: Apache-2.0 */
/* device/sim.h: the simulated disk.
 *
 * A durable image, and the list of writes since, each of which is volatile until a flush covers it; a durable write only until it
 * completes. A power cut keeps, loses or tears (at 512 bytes) each volatile write, as its policy and seed say. The same seed and the
 * same calls give the same disk and the same trace hash. It starts no thread. Several may use a disk and all its queues at once, as
 * any device; then it is as right, but their order is chance, and so is the trace. */
#ifndef TARN_SIM_H
#define TARN_SIM_H

#include "device.h"

enum sim_cut {
	SIM_CUT_RANDOM,	       /* a policy drawn by the seed */
	SIM_CUT_NONE,	       /* nothing volatile survives */
	SIM_CUT_ALL,	       /* everything does */
	SIM_CUT_SECTORS,       /* each sector of each write by itself */
	SIM_CUT_ISSUE_PREFIX,  /* the first so many as issued, the last of them torn */
	SIM_CUT_FINISH_PREFIX, /* the first so many as completed */
	SIM_CUT_ALL_BUT_ONE,
	SIM_CUT_NEWEST, /* of overlapping writes only the newest */
	SIM_CUT_OLDEST,
	SIM_CUT_POLICIES,
};

struct sim_faults {
	/* One in so many I/Os of the kind, 0: never. */
	uint32_t read_error, write_error, flush_error;
	uint32_t lost_write;	    /* completes well and does nothing */
	uint32_t misdirected_write; /* lands, whole, at another aligned place */
	uint32_t torn_write;	    /* completes with IO after a part of its sectors */
	bool	 sticky;	    /* an error once, then always for that kind */
};

/* A disk that outlives its devices: what a power cut leaves is opened again. */
struct sim_disk;
int  sim_disk_create(uint64_t size, uint64_t seed, struct sim_disk **disk);
void sim_disk_destroy(struct sim_disk *disk); /* no device of it is open */

int sim_open(struct sim_disk *disk, struct device **dev);

/* After so many more I/Os (reads, writes, flushes, discards; counted when they are submitted) the power goes: that I/O and all
 * later ones complete with IO. 0: never. */
void sim_set_cut_after(struct sim_disk *disk, uint64_t ios);
bool sim_is_cut(const struct sim_disk *disk);

/* Ends the power cut: the durable image becomes what the policy leaves of it, and the disk works again. Every device of it is
 * closed. Also without a cut before: a cut at this moment. */
void sim_restore_power(struct sim_disk *disk, enum sim_cut policy);

void	 sim_set_faults(struct sim_disk *disk, const struct sim_faults *faults);
uint64_t sim_faults_injected(const struct sim_disk *disk);
/* Fails the n-th next I/O of that opcode (1: the next one) with IO; sticky: and all after it. n 0: never. */
void sim_fail_nth(struct sim_disk *disk, tarn_dev_opcode opcode, uint64_t n, bool sticky);
void sim_flip_bit(struct sim_disk *disk, uint64_t offset, unsigned bit);	    /* rot, in the durable image */
void sim_peek(const struct sim_disk *disk, uint64_t offset, void *buf, size_t len); /* as a read would see it */
void sim_poke(struct sim_disk *disk, uint64_t offset, const void *buf, size_t len); /* straight into the durable image */

uint64_t sim_io_count(const struct sim_disk *disk);   /* since it was created */
uint64_t sim_trace_hash(const struct sim_disk *disk); /* of every I/O, its place, its data and its result */

#endif
