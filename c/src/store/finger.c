/* SPDX-License-Identifier: Apache-2.0 */
/* store/finger.c: where spans of keys were last found.
 *
 * Most of what a get from memory takes is to wait for the pages above the leaf, for each after the one before. A span is all keys that share so many
 * bits at their beginning that they are a part of a leaf, mostly of one; how many bits that takes is learned from the leaves that are met. A finger
 * says in which frame a span was found, under a hash of the span, so the leaf is the first page that is looked at, for keys that were never asked for
 * too. Fingers are one word each, eight of them in a line of the processor's cache, and a new one takes the place of another. Nobody believes a
 * finger: what makes it right is, always true,
 *   - frame->live says of one version of the frame that it is a leaf of a live tree, in one of that tree's lives. Who has come down to it from
 *     the root says so, and a version is never used again;
 *   - a frame that stops to be that leaf, though it stays in memory, gets another version (page_gone() in change.c); so does one that holds
 *     another page. Who changes it in place takes the word along (frame_end_same());
 *   - a tree that is dropped begins another life, of which no frame says anything yet;
 *   - its fences say which keys are a leaf's: one that they enclose is there or nowhere. */
#include "finger.h"

#include "seek.h"
#include <xxhash.h>

#define LINE_FINGERS 8u
#define SHARE	     64u	    /* of the budget, at the most */
#define LINES_LEAST  UINT64_C(1024) /* in use from the beginning on, when there are as many */
#define GROWTH	     8u		    /* of the lines in use, at a time */
#define LOSS_SHARE   8u		    /* of the lines in use: so many fingers may be lost before more lines are */

/* A finger, from its lowest bit on: the frame; for each fourth of the span's keys the 64th of the page where an entry was last found (0: nothing is
 * known, for a page does not begin with an entry); bits of the hash. */
#define INDEX_BITS 25u /* of the frame's number, below its class: a frame that is further on has no finger */
#define FRAME_BITS (INDEX_BITS + 3)
#define PART_BITS  6u
#define PARTS	   4u
#define TAG_BITS   (64 - FRAME_BITS - PARTS * PART_BITS)
_Static_assert(FRAME_CLASSES <= 8, "a frame's class has 3 bits");

static uint32_t class_of(uint64_t finger)
{
	return finger >> INDEX_BITS & (FRAME_CLASSES - 1);
}

static uint32_t index_of(uint64_t finger)
{
	return finger & ((1u << INDEX_BITS) - 1);
}

static uint64_t tag_of(uint64_t word)
{
	return word >> (64 - TAG_BITS);
}

/* Of the key that the hash is of: where its part stands in a finger. */
static unsigned part_shift(uint64_t hash)
{
	return FRAME_BITS + PART_BITS * (unsigned)(hash >> (64 - TAG_BITS - 2) & (PARTS - 1));
}

static uint64_t part_of(uint64_t finger, uint64_t hash)
{
	return finger >> part_shift(hash) & ((1u << PART_BITS) - 1);
}

static uint64_t with_part(uint64_t finger, uint64_t hash, uint64_t part)
{
	uint64_t mask = ((UINT64_C(1) << PART_BITS) - 1) << part_shift(hash);

	return (finger & ~mask) | part << part_shift(hash);
}

/* It is one of this span, and this frame. */
static NODE_RACY bool is_for(uint64_t finger, uint64_t hash, const struct frame *f)
{
	return tag_of(finger) == tag_of(hash) && index_of(finger) == (f->number & 0xfffffff) &&
	       class_of(finger) == f->number >> 28;
}

/* ---- lives ---- */

void fingers_begin(struct store *s, struct tree *t)
{
	uint64_t lives = UINT64_MAX >> LIFE_SHIFT, life = s->fingers.lives < lives ? ++s->fingers.lives << LIFE_SHIFT : 0;

	atomic_store_explicit(&t->life, life, memory_order_release);
}

uint64_t finger_life(const struct tree *t)
{
	return atomic_load_explicit(&t->life, memory_order_acquire);
}

/* ---- the table ---- */

void fingers_init(struct store *s, uint64_t budget)
{
	struct fingers *g     = &s->fingers;
	uint64_t	lines = 1;

	while (2 * lines * LINE <= budget / SHARE)
		lines *= 2;
	g->words = device_map(lines * LINE);
	g->most	 = lines - 1;
	g->mask = g->wanted = MIN(lines, LINES_LEAST) - 1;
	s->cache.bytes += g->words ? lines * LINE : 0;
}

/* A finger had to go for another one. When many had to, GROWTH times as many lines are used: what few data need stays in the
 * processor's cache. Most fingers are then in lines where nobody looks for them, and come again. */
static void one_is_lost(struct store *s)
{
	struct fingers *g    = &s->fingers;
	uint64_t	mask = atomic_load_explicit(&g->mask, memory_order_relaxed);

	if (atomic_fetch_add_explicit(&g->lost, 1, memory_order_relaxed) < mask / LOSS_SHARE || mask == g->most)
		return;
	atomic_store_explicit(&g->lost, 0, memory_order_relaxed);
	atomic_store(&g->wanted, MIN(GROWTH * (mask + 1) - 1, g->most));
	if (!pace_tell(s))
		fingers_grow(s);
}

void fingers_grow(struct store *s)
{
	struct fingers *g    = &s->fingers;
	uint64_t	mask = atomic_load(&g->mask), wanted = atomic_load(&g->wanted);

	if (wanted <= mask)
		return;
	device_back(g->words + (mask + 1) * LINE_FINGERS, (wanted - mask) * LINE);
	atomic_compare_exchange_strong(&g->mask, &mask, wanted);
}

void fingers_fini(struct store *s)
{
	if (s->fingers.words)
		device_unmap(s->fingers.words, (s->fingers.most + 1) * LINE);
	s->fingers = (struct fingers){ 0 };
}

static _Atomic uint64_t *line_of(const struct store *s, uint64_t hash)
{
	return s->fingers.words + (hash & atomic_load_explicit(&s->fingers.mask, memory_order_relaxed)) * LINE_FINGERS;
}

/* ---- spans ---- */

#define DOMAIN	16u /* bytes at the beginning of a key: keys that share them are taken to be spread alike */
#define NARROW	4u  /* bits more than tell a leaf's first key from its last: so most spans are in one leaf */
#define VOTES	64
#define AT_EASE 1u

static struct span_bits *bits_for(struct store *s, tarn_buf key)
{
	uint64_t domain = XXH3_64bits(key.ptr, MIN(key.len, DOMAIN));

	return &s->fingers.spans[domain % ARRAY_LEN(s->fingers.spans)];
}

/* Two bits of the hash are of the whole key, and say which part of the finger is its own. */
static uint64_t with_own_bits(uint64_t hash, tarn_buf key)
{
	uint64_t end = 0, shift = 64 - TAG_BITS - 2;

	memcpy(&end, (const uint8_t *)key.ptr + (key.len > 8 ? key.len - 8 : 0), MIN(key.len, 8));
	end = end * UINT64_C(0x9e3779b97f4a7c15) >> 62;
	return (hash & ~(UINT64_C(3) << shift)) | end << shift;
}

uint64_t finger_hash(struct store *s, uint64_t life, tarn_buf key)
{
	uint32_t bits = atomic_load_explicit(&bits_for(s, key)->bits, memory_order_relaxed), n = bits / 8, rest;

	if (n >= key.len)
		return with_own_bits(XXH3_64bits_withSeed(key.ptr, key.len, life), key);
	rest = ((const uint8_t *)key.ptr)[n] >> (8 - bits % 8);
	return with_own_bits(XXH3_64bits_withSeed(key.ptr, n, life ^ (rest << 8 | bits % 8)), key);
}

static NODE_RACY uint32_t bits_alike(tarn_buf low, tarn_buf high)
{
	const uint8_t *a = low.ptr, *b = high.ptr;
	uint32_t       n = (uint32_t)MIN(low.len, high.len), i = 0, differ;

	while (i < n && a[i] == b[i])
		i++;
	differ = (i < high.len ? b[i] : 0u) ^ (i < low.len ? a[i] : 0u);
	return 8 * i + (differ ? (uint32_t)__builtin_clz(differ << 24) : 8);
}

/* Spans should fit most leaves: one that has been gone down to has a vote. */
static NODE_RACY void vote(struct store *s, const struct frame *leaf, tarn_buf key)
{
	struct span_bits *b = bits_for(s, key);
	bool		  bounded;
	tarn_buf	  high	= node_high(leaf->page, leaf->cap, &bounded);
	uint32_t	  want	= NARROW + bits_alike(node_low(leaf->page, leaf->cap), high);
	uint32_t	  bits	= atomic_load_explicit(&b->bits, memory_order_relaxed);
	int32_t		  votes = atomic_load_explicit(&b->votes, memory_order_relaxed);

	if (!bounded)
		return;
	if (want > bits + AT_EASE)
		votes++;
	else if (want + AT_EASE < bits)
		votes--;
	else
		votes -= (votes > 0) - (votes < 0);
	if (!bits || abs(votes) > VOTES) {
		atomic_store_explicit(&b->bits, !bits ? want : votes > 0 ? bits + 1 : bits - 1, memory_order_relaxed);
		votes = 0;
	}
	atomic_store_explicit(&b->votes, votes, memory_order_relaxed);
}

/* ---- finding ---- */

void finger_prefetch(const struct store *s, uint64_t hash)
{
	if (s->fingers.words)
		prefetch(line_of(s, hash));
}

#define LEAF_LINES  5u /* of a page, that a search of its slots begins with */
#define ENTRY_LINES 3u

static NODE_RACY void come(const struct store *s, uint64_t finger, uint64_t hash)
{
	const struct arena *a = &s->cache.arenas[class_of(finger)];
	uint64_t	    i = index_of(finger), cap = (uint64_t)BLOCK << class_of(finger);
	uintptr_t	    page  = (uintptr_t)a->memory + i * cap;
	uint64_t	    entry = part_of(finger, hash) * (cap >> PART_BITS);

	prefetch((const void *)((uintptr_t)a->frames + i * sizeof(struct frame)));
	prefetch_lines(page, LEAF_LINES);
	prefetch((const void *)(page + cap - LINE)); /* fences */
	prefetch_lines(page + entry, entry ? ENTRY_LINES : 0);
}

void finger_come(const struct store *s, uint64_t hash)
{
	_Atomic uint64_t *line = s->fingers.words ? line_of(s, hash) : NULL;

	for (unsigned i = 0; line && i < LINE_FINGERS; i++) {
		uint64_t finger = atomic_load_explicit(&line[i], memory_order_relaxed);

		if (finger && tag_of(finger) == tag_of(hash))
			come(s, finger, hash);
	}
}

static NODE_RACY bool enter(const struct store *s, uint64_t finger, uint64_t life, tarn_buf key, struct spot *spot)
{
	const struct arena *a = &s->cache.arenas[class_of(finger)];
	uint32_t	    i = index_of(finger);
	struct frame	   *f = &a->frames[i];
	uint64_t	    version;

	if (i >= a->made)
		return false;
	version = atomic_load_explicit(&f->version, memory_order_acquire);
	if (version & 1 || atomic_load_explicit(&f->live, memory_order_relaxed) != (life | version) ||
	    !node_covers(f->page, f->cap, key))
		return false;
	*spot = (struct spot){ .frame = f, .version = version };
	if (!atomic_load_explicit(&f->touched, memory_order_relaxed))
		atomic_store_explicit(&f->touched, true, memory_order_relaxed);
	return true;
}

NODE_RACY bool finger_enter(const struct store *s, uint64_t life, uint64_t hash, tarn_buf key, struct spot *spot)
{
	_Atomic uint64_t *line = s->fingers.words ? line_of(s, hash) : NULL;

	for (unsigned i = 0; line && i < LINE_FINGERS; i++) {
		uint64_t finger = atomic_load_explicit(&line[i], memory_order_relaxed);

		if (finger && tag_of(finger) == tag_of(hash) && enter(s, finger, life, key, spot))
			return true;
	}
	return false;
}

/* ---- setting ---- */

/* Of the same tag there are two, the newest: where two leaves meet. */
static NODE_RACY _Atomic uint64_t *place_for(struct store *s, uint64_t hash, const struct frame *f)
{
	_Atomic uint64_t *line = line_of(s, hash), *place = NULL, *same = NULL;

	for (unsigned i = 0; i < LINE_FINGERS; i++) {
		uint64_t there = atomic_load_explicit(&line[i], memory_order_relaxed);

		if (there && is_for(there, hash, f))
			return &line[i];
		if (there && tag_of(there) == tag_of(hash)) {
			if (same) {
				atomic_store_explicit(&line[i], atomic_load_explicit(same, memory_order_relaxed),
						      memory_order_relaxed);
				return same;
			}
			same = &line[i];
		} else if (!there && !place) {
			place = &line[i];
		}
	}
	if (place)
		return place;
	one_is_lost(s);
	return &line[hash >> 40 & (LINE_FINGERS - 1)];
}

/* The 64th of the page where what was found begins. */
static NODE_RACY uint64_t part_at(const struct spot *spot)
{
	const struct frame *f = spot->frame;

	return MIN(page_entry(f->page, f->cap, spot->slot), f->cap - 1) / (f->cap >> PART_BITS);
}

static NODE_RACY void set_in(_Atomic uint64_t *place, uint64_t hash, const struct spot *spot)
{
	const struct frame *f	   = spot->frame;
	uint64_t	    there  = atomic_load_explicit(place, memory_order_relaxed);
	uint64_t	    frame  = (uint64_t)(f->number >> 28) << INDEX_BITS | (f->number & 0xfffffff);
	uint64_t	    finger = is_for(there, hash, f) ? there : frame | tag_of(hash) << (64 - TAG_BITS);

	if (spot->found)
		finger = with_part(finger, hash, part_at(spot));
	if (finger != there)
		atomic_store_explicit(place, finger, memory_order_relaxed);
}

NODE_RACY void finger_set(struct store *s, uint64_t life, uint64_t hash, tarn_buf key, const struct spot *spot)
{
	struct frame *f = spot->frame;

	if (!s->fingers.words || !life || !f || spot->version >> LIFE_SHIFT || (f->number & 0xfffffff) >> INDEX_BITS)
		return;
	if (atomic_load_explicit(&f->live, memory_order_relaxed) != (life | spot->version))
		atomic_store_explicit(&f->live, life | spot->version, memory_order_relaxed);
	set_in(place_for(s, hash, f), hash, spot);
	vote(s, f, key);
}

NODE_RACY void finger_found(struct store *s, uint64_t hash, const struct spot *spot)
{
	_Atomic uint64_t *line = line_of(s, hash);

	for (unsigned i = 0; spot->found && i < LINE_FINGERS; i++) {
		uint64_t finger = atomic_load_explicit(&line[i], memory_order_relaxed);

		if (finger && is_for(finger, hash, spot->frame)) {
			set_in(&line[i], hash, spot);
			return;
		}
	}
}
