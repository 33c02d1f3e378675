/* SPDX-License-Identifier: Apache-2.0 */
/* object/finding.h: damage in the user's words: from trees and keys to containers, objects and their keys.
 *
 * What cannot be read any more has no name: an empty string, and the sentence with its numbers is left. */
#ifndef TARN_FINDING_H
#define TARN_FINDING_H

#include "object.h"

struct finding {
	tarn_finding finding; /* points into what follows, and into the store's finding */
	char	     container[TARN_LABEL_MAX + 1];
	char	     object[TARN_OBJECT_NAME_MAX + 1], last_object[TARN_OBJECT_NAME_MAX + 1];
};

void finding_name(struct pool *pool, const struct store_finding *from, struct finding *named);

#endif
