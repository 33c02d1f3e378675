/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/tarn.h: all of Tarn's public API. */
#ifndef TARN_TARN_H
#define TARN_TARN_H

#include <tarn/acl.h>
#include <tarn/attr.h>
#include <tarn/cont.h>
#include <tarn/dev.h>
#include <tarn/dev_queue.h>
#include <tarn/dev_zone.h>
#include <tarn/errno.h>
#include <tarn/event.h>
#include <tarn/kv.h>
#include <tarn/kvdev.h>
#include <tarn/log.h>
#include <tarn/nvme.h>
#include <tarn/pool.h>
#include <tarn/snap.h>
#include <tarn/types.h>
#include <tarn/watch.h>

#endif
