/* SPDX-License-Identifier: Apache-2.0 */
/* container/acl.h: access control lists as text (tarn/acl.h), read and written.
 *
 * Always true of a struct acl that was read: it is in order, no principal is in it twice, and the names are parts of the text that it
 * was read from, which must outlive it. */
#ifndef TARN_ACL_INTERNAL_H
#define TARN_ACL_INTERNAL_H

#include "../base/base.h"
#include <tarn/acl.h>

enum acl_class { /* in the order in which they count */
		 ACL_OWNER,
		 ACL_USER,
		 ACL_OWNER_GROUP,
		 ACL_GROUP,
		 ACL_EVERYONE,
};

struct ace {
	enum acl_class class;
	unsigned perms; /* bit i: the i-th of ACL_LETTERS */
	tarn_buf name;	/* with its '@' */
};

struct acl {
	struct ace *aces;
	size_t	    n;
};

int  acl_read(tarn_acl_kind kind, const char *text, struct acl *acl); /* INVAL, NOTSUPPORTED, REC2BIG, NOMEM. Then acl_free() */
void acl_free(struct acl *acl);
int  acl_update(struct acl *acl, const struct acl *with);	/* NOMEM. Names of both are lent to it */
int  acl_remove(struct acl *acl, const char *principal);	/* NONEXIST, INVAL */
int  acl_write(const struct acl *acl, char *text, size_t *len); /* as tarn_acl_format(). REC2BIG, TRUNC */

#endif
