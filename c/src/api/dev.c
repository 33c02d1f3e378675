/* SPDX-License-Identifier: Apache-2.0 */
/* api/dev.c: tarn/dev.h. Past the engine, straight to the device layer. */
#include "../device/list.h"

int tarn_dev_query(const char *uri, tarn_dev_info *info)
{
	if (!info)
		return fail(INVAL, "tarn_dev_query without room for the answer");
	return device_query(uri, info);
}

int tarn_dev_list(tarn_dev_info *infos, size_t *count)
{
	if (!count)
		return fail(INVAL, "tarn_dev_list without a count");
	return device_list(infos, count);
}
