/* SPDX-License-Identifier: Apache-2.0 */
/* test/failing_alloc.h: the n-th allocation of the library and of the test fails. The link wraps malloc() and its like (see the Makefile). */
#ifndef TARN_FAILING_ALLOC_H
#define TARN_FAILING_ALLOC_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

static struct {
	atomic_bool	 armed;
	bool		 for_good; /* all from the n-th on fail, else it alone */
	uint64_t	 n;
	_Atomic uint64_t count, refused;
	_Atomic int64_t	 live; /* that were not freed */
} alloc;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t off);
void *__real_mremap(void *at, size_t size, size_t new_size, int flags, ...);
void  __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t off);
void *__wrap_mremap(void *at, size_t size, size_t new_size, int flags, ...);
void  __wrap_free(void *p);

static bool refused(void)
{
	uint64_t now;

	if (!alloc.armed)
		return false;
	now = ++alloc.count;
	if (now != alloc.n && !(alloc.for_good && now > alloc.n))
		return false;
	alloc.refused++;
	errno = ENOMEM;
	return true;
}

static void *counted(void *p)
{
	alloc.live += p != NULL;
	return p;
}

void *__wrap_malloc(size_t size)
{
	return refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refused() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	void *p = refused() ? NULL : __real_realloc(old, size);

	alloc.live += p && !old;
	return p;
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return refused() ? NULL : counted(__real_aligned_alloc(align, size));
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t off)
{
	return refused() ? MAP_FAILED : __real_mmap(at, size, prot, flags, fd, off);
}

/* Without MREMAP_FIXED, which the library does not use. */
void *__wrap_mremap(void *at, size_t size, size_t new_size, int flags, ...)
{
	return refused() ? MAP_FAILED : __real_mremap(at, size, new_size, flags);
}

void __wrap_free(void *p)
{
	alloc.live -= p != NULL;
	__real_free(p);
}

static inline void alloc_fail(uint64_t n, bool for_good)
{
	alloc.n	       = n;
	alloc.for_good = for_good;
	alloc.count = alloc.refused = 0;
	alloc.armed		    = true;
}

#endif
