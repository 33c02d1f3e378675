/* SPDX-License-Identifier: Apache-2.0 */
/* store/node.h: the inside of a page. It knows bytes, and neither frames nor locks.
 *
 * A page is `cap` bytes at `page` (layout.h: Node). Always true:
 *   - functions that only read are total: whatever the bytes are, also when another thread changes them meanwhile, they read inside
 *     [page, page + cap) only and end; what they return is then worth nothing, and the caller, who compares versions, throws it
 *     away. They take no lock, and the thread sanitizer does not look into them;
 *   - functions that change want a sound page, and leave one: node_validate() says yes to it, and node_need() is exact;
 *   - a slot is an index in key order. Keys given are whole; those in the page lack the prefix. */
#ifndef TARN_STORE_NODE_H
#define TARN_STORE_NODE_H

#include "layout.h"

#define NODE_RACY __attribute__((no_sanitize("thread"))) /* reads what another thread may be changing */

struct leaf_value { /* what stands in a leaf */
	const uint8_t *bytes;
	uint32_t       len; /* at most LEAF_VALUE_MAX */
	bool	       extents;
	uint64_t       revision;
};

struct node_child {
	struct bptr ptr;
	uint64_t    keys; /* below it, when ptr is not virtual */
};

int key_compare(tarn_buf a, tarn_buf b);

/* Reading. */
static inline NODE_RACY unsigned node_level(const uint8_t *page)
{
	return ((const volatile uint8_t *)page)[NODE_LEVEL];
}

uint32_t node_count(const uint8_t *page, uint32_t cap); /* at most what cap has room for */
uint32_t node_need(const uint8_t *page, uint32_t cap);	/* bytes of a packed copy */
tarn_buf node_low(const uint8_t *page, uint32_t cap);
tarn_buf node_high(const uint8_t *page, uint32_t cap, bool *bounded);		   /* *bounded false: there is none */
bool	 node_covers(const uint8_t *page, uint32_t cap, tarn_buf key);		   /* it is between the fences */
uint32_t node_lower(const uint8_t *page, uint32_t cap, tarn_buf key, bool *found); /* first slot whose key is >= key */
uint32_t node_route(const uint8_t *page, uint32_t cap, tarn_buf key);		   /* of an inner page: the slot key is below */
/* node_lower() in two steps, between which an entry can come from memory: as far as the slots tell, then the rest. */
uint32_t	  node_near(const uint8_t *page, uint32_t cap, tarn_buf key);
uint32_t	  node_lower_near(const uint8_t *page, uint32_t cap, tarn_buf key, uint32_t near, bool *found);
struct leaf_value node_value(const uint8_t *page, uint32_t cap, uint32_t slot);
struct node_child node_child(const uint8_t *page, uint32_t cap, uint32_t slot);
uint64_t	  node_child_id(const uint8_t *page, uint32_t cap, uint32_t slot); /* its ptr.addr only */
uint32_t	  node_key_len(const uint8_t *page, uint32_t cap, uint32_t slot);  /* of the whole key */
uint32_t	  node_key_copy(const uint8_t *page, uint32_t cap, uint32_t slot, void *to,
				uint32_t room);			       /* the whole key; its length, at
													      * most room */
bool		  node_has_extents(const uint8_t *page, uint32_t cap); /* a leaf: an entry is; inner: a child's flag is set */

/* Changing. */
void node_init(uint8_t *page, uint32_t cap, unsigned level, tarn_buf low, tarn_buf high, bool bounded);
void node_set_child(uint8_t *page, uint32_t cap, uint32_t slot, const struct node_child *child);
/* Puts key and value at slot: in place of what is there (replace), or as a new entry. Packs the page when holes give the room. false: does
 * not fit into cap, nothing has changed. key and value do not lie in the page. */
bool node_put_value(uint8_t *page, uint32_t cap, uint32_t slot, bool replace, tarn_buf key, const struct leaf_value *value);
bool node_put_child(uint8_t *page, uint32_t cap, uint32_t slot, tarn_buf key, const struct node_child *child); /* a new entry */
void node_remove(uint8_t *page, uint32_t cap,
		 uint32_t slot); /* removing slot 0 of an inner page makes slot 1 the new first: its key
								* becomes empty */
uint32_t node_pack(const uint8_t *from, uint32_t from_cap, uint8_t *to, uint32_t to_cap); /* a copy without holes, the gap zero;
											    * its need. to_cap >= node_need(from) */

/* Splitting: the slot where the right page begins. Behind the middle byte; before the last entry when new_slot, which has just been put,
 * is the last, so that ascending keys fill pages (an inner page keeps two entries); before the second when it is the first. */
uint32_t node_cut(const uint8_t *page, uint32_t cap, uint32_t new_slot);
/* The shortest key that is above all keys left of cut and not above those from it on (of an inner page: the key at cut). Written to
 * `to`, which has room for STORE_KEY_MAX bytes; its length. */
uint32_t node_separator(const uint8_t *page, uint32_t cap, uint32_t cut, void *to);
/* The entries [from, to) of page as a page of its own with those fences, packed. false: does not fit into out_cap. */
bool node_part(const uint8_t *page, uint32_t cap, uint32_t from, uint32_t to, tarn_buf low, tarn_buf high, bool bounded,
	       uint8_t *out, uint32_t out_cap);
/* Left and right, neighbours, as one page. false: does not fit into out_cap. */
bool node_join(const uint8_t *left, uint32_t left_cap, const uint8_t *right, uint32_t right_cap, uint8_t *out, uint32_t out_cap);
uint32_t node_join_need(const uint8_t *left, uint32_t left_cap, const uint8_t *right,
			uint32_t right_cap); /* an upper bound of its need */

/* Bytes that came from disk: 0, or -TARN_E_CSUM and *why (static). A total function: a right checksum is not trust. Wants the pool's
 * first 8 bytes of uuid, and the number of blocks of the store for what pointers may say. */
int node_validate(const uint8_t *page, uint32_t len, const uint8_t pool[8], uint64_t blocks, const char **why);

#if defined(__SANITIZE_THREAD__)
#define COPY_BY_HAND 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COPY_BY_HAND 1
#endif
#endif

/* From a page that may change. The thread sanitizer watches memcpy, whoever calls it. The loop is volatile, or the compiler would make it a
 * memcpy again. */
static inline NODE_RACY void page_copy(void *to, const void *from, size_t len)
{
#ifdef COPY_BY_HAND
	for (size_t i = 0; i < len; i++)
		((volatile uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
#else
	if (len > 0)
		memcpy(to, from, len);
#endif
}

#endif
