/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/acl.h: who may use a pool or a container: its owner, the owner's group, and DAOS's access control list.
 *
 * A list is text: one entry on each line, "A:FLAGS:PRINCIPAL:PERMISSIONS". Empty lines, and those that begin with '#', are passed over.
 * FLAGS is empty, or "G" when the principal is a group. PRINCIPAL is OWNER@, GROUP@ (the owner's group, with G), EVERYONE@, or a name with
 * an '@' behind it: 1 to 255 bytes together, printable ASCII, no blank, ':' or other '@'. PERMISSIONS are letters, each at most once:
 *
 *	r read   w write   c create containers   d delete containers   t get properties   T set properties
 *	a get the list   A set the list   o set the owner
 *
 * On a pool T, a, A and o have no meaning, on a container c has none: an entry with them is INVAL. So is a list that has a principal
 * twice. What DAOS knows and nothing enforces (audit and alarm entries, the flags P, F and S) is NOTSUPPORTED. A list is kept with its
 * entries in the order in which they count: OWNER@, users, GROUP@, groups, EVERYONE@, names by their bytes; letters as above.
 *
 * The list and the owner are of the pool or container as it is, also through a snapshot's handle. This library keeps them, and gateways
 * enforce them: who may open the pool's file may do everything to it. No list is not the same as an empty one, which gives nobody
 * anything. Strings are lent for the call. */
#ifndef TARN_ACL_H
#define TARN_ACL_H

#include <tarn/cont.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TARN_ACL_MAX	   65536 /* bytes of a list, with its NUL */
#define TARN_PRINCIPAL_MAX 255	 /* bytes of a principal, with its '@' */

typedef enum tarn_acl_kind {
	TARN_ACL_POOL = 1,
	TARN_ACL_CONT = 2,
} tarn_acl_kind;

/* Writes a list as it would be kept: *len is the room at text, then the bytes that the list takes, with its NUL. Touches no pool.
 * Errors: INVAL, NOTSUPPORTED, NOMEM, REC2BIG (more than TARN_ACL_MAX), TRUNC (more than the room). */
TARN_API int tarn_acl_format(tarn_acl_kind kind, const char *acl, char *text, size_t *len);

typedef struct tarn_access {
	char   owner[256]; /* "": none */
	char   group[256]; /* "": none */
	int    is_set;	   /* there is a list */
	char  *acl;	   /* in: where the list goes, the caller's */
	size_t len;	   /* in: the room there; out: the bytes that the list takes, with its NUL */
} tarn_access;

/* Errors: TRUNC (the list is longer than the room). */
TARN_API int tarn_pool_get_access(tarn_pool *pool, tarn_access *access, tarn_event *ev);
TARN_API int tarn_cont_get_access(tarn_cont *cont, tarn_access *access, tarn_event *ev);

/* Makes acl the list. Errors: INVAL, NOTSUPPORTED, REC2BIG, EP_RO, NOSPACE. */
TARN_API int tarn_pool_overwrite_acl(tarn_pool *pool, const char *acl, tarn_event *ev);
TARN_API int tarn_cont_overwrite_acl(tarn_cont *cont, const char *acl, tarn_event *ev);

/* Puts the entries of acl into the list, in the place of those that have the same principals. Where there was no list there is one
 * now. Errors: as overwriting. */
TARN_API int tarn_pool_update_acl(tarn_pool *pool, const char *acl, tarn_event *ev);
TARN_API int tarn_cont_update_acl(tarn_cont *cont, const char *acl, tarn_event *ev);

/* Takes the entry of a principal out of the list: "u:bob@", "g:staff@", "OWNER@", "GROUP@" or "EVERYONE@". NULL: the list is no more.
 * Errors: NONEXIST (there is no such entry, or no list), INVAL, EP_RO, NOSPACE. */
TARN_API int tarn_pool_delete_acl(tarn_pool *pool, const char *principal, tarn_event *ev);
TARN_API int tarn_cont_delete_acl(tarn_cont *cont, const char *principal, tarn_event *ev);

/* Sets the owner of a pool and the owner's group; NULL stays as it is. A container's are properties: TARN_PROP_OWNER, TARN_PROP_GROUP.
 * Errors: INVAL (more than 255 bytes), EP_RO, NOSPACE. */
TARN_API int tarn_pool_set_owner(tarn_pool *pool, const char *user, const char *group, tarn_event *ev);

#ifdef __cplusplus
}
#endif
#endif
