/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/tarn.h: all of Tarn's public API. */
#ifndef TARN_TARN_H
#define TARN_TARN_H

#include <tarn/cont.h>
#include <tarn/device.h>
#include <tarn/errno.h>
#include <tarn/event.h>
#include <tarn/kv.h>
#include <tarn/log.h>
#include <tarn/pool.h>
#include <tarn/snap.h>
#include <tarn/types.h>

#endif
