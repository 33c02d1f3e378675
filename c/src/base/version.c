/* SPDX-License-Identifier: Apache-2.0 */
/* base/version.c: the version, from the numbers in tarn/types.h. */
#include "base.h"

#define TEXT(x)	 #x
#define VALUE(x) TEXT(x)

const char *tarn_version(void)
{
	return VALUE(TARN_VERSION_MAJOR) "." VALUE(TARN_VERSION_MINOR) "." VALUE(TARN_VERSION_PATCH);
}
