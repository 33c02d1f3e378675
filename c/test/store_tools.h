/* SPDX-License-Identifier: Apache-2.0 */
/* test/store_tools.h: what tests of the store write often. */
#ifndef TARN_STORE_TOOLS_H
#define TARN_STORE_TOOLS_H

#include "../src/store/store.h"

static inline struct store_at live(uint64_t tree)
{
	return (struct store_at){ tree, 0 };
}

#endif
