/* SPDX-License-Identifier: Apache-2.0 */
/* object/span.c: from a user's range (prefix, start, end) to one half-open range of a tree.
 *
 * The keys that begin with a prefix are those from the prefix itself up to, but without, its successor: the prefix without its
 * trailing 0xff bytes, the last byte that is left plus one. So the lower bound is the later of prefix and start, and the upper one the
 * earlier of the successor and end; without either it is the successor of the object's id. */
#include "object.h"
#include <stdlib.h>

static int compare(tarn_buf a, tarn_buf b)
{
	size_t n     = MIN(a.len, b.len);
	int    order = n ? memcmp(a.ptr, b.ptr, n) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static uint8_t *append(uint8_t *to, const void *bytes, size_t len)
{
	if (len)
		memcpy(to, bytes, len);
	return to + len;
}

/* The length of the successor of p, made in place; 0 when there is none. */
static size_t make_successor(uint8_t *p, size_t len)
{
	while (len && p[len - 1] == 0xff)
		len--;
	if (len)
		p[len - 1]++;
	return len;
}

/* Writes id + upper bound to `at`; its length. */
static size_t make_end(const uint8_t *oid, const tarn_range *range, uint8_t *at)
{
	uint8_t *user = append(at, oid, OID_BYTES);
	size_t	 next;

	append(user, range->prefix.ptr, range->prefix.len);
	next = make_successor(user, range->prefix.len);
	if (range->end.len && (!next || compare(range->end, (tarn_buf){ user, next }) < 0)) {
		append(user, range->end.ptr, range->end.len);
		next = range->end.len;
	}
	return next ? OID_BYTES + next : make_successor(at, OID_BYTES);
}

static int make_room(struct span *span, size_t need)
{
	span->memory = need <= sizeof(span->small) ? span->small : malloc(need);
	return span->memory ? 0 : fail(NOMEM, "no memory for the %zu bytes of a range", need);
}

int span_make(const uint8_t oid[OID_BYTES], const tarn_range *given, struct span *span)
{
	static const tarn_range all;
	const tarn_range       *range	   = given ? given : &all;
	bool			from_start = range->start.len && compare(range->start, range->prefix) >= 0;
	tarn_buf		low	   = from_start ? range->start : range->prefix;
	uint32_t		after	   = from_start ? range->flags & TARN_RANGE_AFTER : 0;
	uint8_t		       *end;
	int			rc;

	rc = make_room(span, 2 * OID_BYTES + low.len + MAX(range->prefix.len, range->end.len));
	if (rc)
		return rc;
	end	    = append(append(span->memory, oid, OID_BYTES), low.ptr, low.len);
	span->range = (struct store_range){
		.start = { span->memory, OID_BYTES + low.len },
		.end   = { end, make_end(oid, range, end) },
		.flags = (range->flags & ~TARN_RANGE_AFTER) | after,
		.strip = OID_BYTES,
	};
	span->empty = compare(span->range.start, span->range.end) >= 0;
	return 0;
}

void span_free(struct span *span)
{
	if (span->memory != span->small)
		free(span->memory);
}
