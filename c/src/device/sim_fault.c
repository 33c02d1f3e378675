/* SPDX-License-Identifier: Apache-2.0 */
/* device/sim_fault.c: what becomes of an I/O of the simulated disk, drawn when it is submitted; at most one fault for each. */
#include "sim_disk.h"

static bool one_in(struct rng *rng, uint32_t n)
{
	return n && rng_below(rng, n) == 0;
}

static bool is_nth(struct sim_disk *disk, tarn_dev_opcode opcode)
{
	if (!disk->nth[opcode].n)
		return false;
	if (disk->nth[opcode].n > 1) {
		disk->nth[opcode].n--;
		return false;
	}
	disk->nth[opcode].n = disk->nth[opcode].sticky;
	return true;
}

static uint32_t error_rate(const struct sim_faults *faults, tarn_dev_opcode opcode)
{
	if (sim_is_write(opcode))
		return faults->write_error;
	if (opcode == TARN_DEV_READ || opcode == TARN_DEV_COMPARE)
		return faults->read_error;
	return opcode == TARN_DEV_FLUSH ? faults->flush_error : 0;
}

/* An error that does nothing: counted, and kept when errors are sticky. */
static void inject_error(struct sim_disk *disk, struct sim_io *s, bool sticky)
{
	s->code	      = TARN_E_IO;
	s->effect.len = 0;
	disk->injected++;
	if (sticky)
		disk->broken[s->io->opcode] = true;
}

/* A run of its sectors, one at least missing, is all that lands. */
static void tear(struct sim_disk *disk, struct sim_io *s)
{
	uint64_t sectors = s->effect.len / SIM_SECTOR;
	uint64_t left	 = rng_below(&disk->fate, sectors);
	uint64_t first	 = rng_below(&disk->fate, sectors - left + 1);

	inject_error(disk, s, disk->faults.sticky);
	s->skip = first * SIM_SECTOR;
	s->effect.offset += s->skip;
	s->effect.len = left * SIM_SECTOR;
}

/* To another place in step with its length, where other blocks of that length are likely to lie. A disk that has room for one only
 * directs it well. */
static void misdirect(struct sim_disk *disk, struct sim_write *w)
{
	uint64_t phase = w->offset % w->len;
	uint64_t slots = (disk->size - phase) / w->len;
	uint64_t slot  = w->offset / w->len;

	if (slots < 2)
		return;
	slot	  = (slot + 1 + rng_below(&disk->fate, slots - 1)) % slots;
	w->offset = slot * w->len + phase;
	disk->injected++;
}

static void draw_write_fate(struct sim_disk *disk, struct sim_io *s)
{
	if (one_in(&disk->fate, disk->faults.torn_write)) {
		tear(disk, s);
	} else if (one_in(&disk->fate, disk->faults.lost_write)) {
		s->effect.len = 0;
		disk->injected++;
	} else if (one_in(&disk->fate, disk->faults.misdirected_write)) {
		misdirect(disk, &s->effect);
	}
}

static void draw_discard_fate(struct sim_disk *disk, struct sim_io *s)
{
	switch (rng_below(&disk->order, 3)) {
	case 0:
		s->effect.fill = 0x00;
		break;
	case 1:
		s->effect.fill = 0xff;
		break;
	default:
		s->effect.len = 0; /* the old data stay */
	}
}

void sim_draw_fate(struct sim_disk *disk, struct sim_io *s)
{
	tarn_dev_opcode opcode = s->io->opcode;

	if (is_nth(disk, opcode)) {
		inject_error(disk, s, false);
	} else if (disk->broken[opcode] || one_in(&disk->fate, error_rate(&disk->faults, opcode))) {
		inject_error(disk, s, disk->faults.sticky);
		s->loses = rng_next(&disk->fate) & 1;
	} else if (sim_is_write(opcode)) {
		draw_write_fate(disk, s);
	} else if (opcode == TARN_DEV_DISCARD && !disk->tidy) {
		draw_discard_fate(disk, s);
	}
}

bool sim_is_stuck(struct sim_disk *disk, const tarn_dev_io *io)
{
	uint64_t *n = &disk->never[io->opcode];

	return *n && --*n == 0;
}

void sim_set_faults(struct sim_disk *disk, const struct sim_faults *faults)
{
	sim_lock(disk);
	disk->faults = *faults;
	memset(disk->broken, 0, sizeof(disk->broken));
	sim_unlock(disk);
}

uint64_t sim_faults_injected(const struct sim_disk *disk)
{
	uint64_t injected;

	sim_lock(disk);
	injected = disk->injected;
	sim_unlock(disk);
	return injected;
}

void sim_fail_nth(struct sim_disk *disk, tarn_dev_opcode opcode, uint64_t n, bool sticky)
{
	sim_lock(disk);
	disk->nth[opcode].n	 = n;
	disk->nth[opcode].sticky = sticky;
	sim_unlock(disk);
}
