/* SPDX-License-Identifier: Apache-2.0 */
/* store/spill.h: puts that were put off leave memory, by stages of the thread that holds checkpoint.lock. */
#ifndef TARN_STORE_SPILL_H
#define TARN_STORE_SPILL_H

#include "stage.h"

/* No lock. Begins stages of its own, and leaves none with room: the caller's present one is submitted. The first error of a write; what stands in the way otherwise
 * ends it early, without an error. */
int spill_run(struct stages *g);

#endif
