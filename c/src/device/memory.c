/* SPDX-License-Identifier: Apache-2.0 */
/* device/memory.c: memory for I/O: aligned buffers, and address space for large ones. */
#include "backend.h"

#include <linux/mman.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *device_alloc(size_t len)
{
	size_t room = ROUND_UP(MAX(len, (size_t)1), DEVICE_ALLOC_ALIGNMENT);
	void  *buf;

	if (room < len)
		return NULL;
	buf = aligned_alloc(DEVICE_ALLOC_ALIGNMENT, room);
	return buf ? memset(buf, 0, room) : NULL;
}

void device_free(void *buf)
{
	free(buf);
}

static size_t whole_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return ROUND_UP(len, page);
}

static char *map_anywhere(size_t len, int flags)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A huge page more than needed has an aligned part; the rest goes back. Without huge pages it works all the same. */
static void *map_aligned(size_t len, int flags, int advice)
{
	char *p = map_anywhere(len + HUGE_PAGE, flags), *aligned;

	if (!p)
		return NULL;
	aligned = p + (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
	if (aligned > p)
		munmap(p, (size_t)(aligned - p));
	munmap(aligned + len, (size_t)(p + HUGE_PAGE - aligned));
	madvise(aligned, len, advice);
	return aligned;
}

static void *map(size_t len, int advice)
{
	if (!len || len > PTRDIFF_MAX - HUGE_PAGE)
		return NULL;
	len = whole_pages(len);
	return len < HUGE_PAGE ? map_anywhere(len, MAP_NORESERVE) : map_aligned(len, MAP_NORESERVE, advice);
}

void *device_map(size_t len)
{
	return map(len, MADV_HUGEPAGE);
}

void *device_map_small(size_t len)
{
	return map(len, MADV_NOHUGEPAGE);
}

void *device_remap(void *p, size_t len, size_t longer)
{
	void *q;

	if (!p)
		return device_map_small(longer);
	if (longer > PTRDIFF_MAX - HUGE_PAGE)
		return NULL;
	q = mremap(p, whole_pages(len), whole_pages(longer), MREMAP_MAYMOVE);
	return q == MAP_FAILED ? NULL : q;
}

/* Pages that are reserved now, so that none is missing at the first touch. */
static void *map_huge_pages(size_t len)
{
	int   flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB;
	void *p	    = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* In pages of 4 KiB each page of a registered buffer is a segment of a transfer, and the kernel cuts a transfer of more segments than
 * the device takes: 1 MiB became a transfer of 1016 KiB and one of 8. */
void *device_alloc_large(size_t len)
{
	if (len < HUGE_PAGE)
		return device_alloc(len);
	return len > PTRDIFF_MAX - 2 * HUGE_PAGE ? NULL : map_aligned(whole_pages(len), 0, MADV_HUGEPAGE);
}

void device_free_large(void *buf, size_t len)
{
	if (len < HUGE_PAGE)
		device_free(buf);
	else
		device_unmap(buf, len);
}

void *device_alloc_huge(size_t len)
{
	void *p;

	if (!len || len > PTRDIFF_MAX - 2 * HUGE_PAGE)
		return NULL;
	len = ROUND_UP(len, HUGE_PAGE);
	p   = map_huge_pages(len);
	return p ? p : map_aligned(len, 0, MADV_HUGEPAGE);
}

void device_free_huge(void *buf, size_t len)
{
	if (buf)
		munmap(buf, ROUND_UP(len, HUGE_PAGE));
}

void device_unmap(void *p, size_t len)
{
	if (p)
		munmap(p, whole_pages(len));
}

void device_back(void *p, size_t len)
{
	madvise(p, len, MADV_POPULATE_WRITE);
}

void device_back_small(void *p, size_t len)
{
	madvise(p, len, MADV_NOHUGEPAGE);
	device_back(p, len);
}

void device_join(void *p, size_t len)
{
	madvise(p, len, MADV_HUGEPAGE);
	madvise(p, len, MADV_COLLAPSE);
}

/* Memory that is locked cannot be given back: it is zeroed, at least. */
void device_unback(void *p, size_t len)
{
	if (madvise(p, len, MADV_DONTNEED) < 0)
		memset(p, 0, len);
}
