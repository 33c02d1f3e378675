/* SPDX-License-Identifier: Apache-2.0 */
/* container/acl.c: see acl.h. */
#include "acl.h"
#include <stdlib.h>

static const char letters[] = "rwcdtTaAo";

/* The letters that have a meaning. */
static const char *letters_of(tarn_acl_kind kind)
{
	return kind == TARN_ACL_POOL ? "rwcdt" : "rwdtTaAo";
}

static bool is(tarn_buf text, const char *word)
{
	return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

/* For sentences: at most so many bytes of what may be anything. */
#define SHOW(buf) (int)MIN((buf).len, (size_t)80), (const char *)(buf).ptr

/* ---- one entry ---- */

static bool is_name(tarn_buf name)
{
	const char *s = name.ptr;

	if (name.len < 2 || name.len > TARN_PRINCIPAL_MAX || s[name.len - 1] != '@')
		return false;
	for (size_t i = 0; i + 1 < name.len; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == ':' || s[i] == '@')
			return false;
	return true;
}

static int read_principal(tarn_buf name, bool group, struct ace *ace)
{
	bool special = is(name, "OWNER@") || is(name, "EVERYONE@"), owner_group = is(name, "GROUP@");

	if (!is_name(name))
		return fail(INVAL,
			    "\"%.*s\" is not a principal: it is OWNER@, GROUP@, EVERYONE@, or a name with one '@' behind it",
			    SHOW(name));
	if ((special && group) || (owner_group && !group))
		return fail(INVAL, "the principal %.*s %s the flag G", SHOW(name), group ? "does not go with" : "needs");
	ace->name = name;
	if (special)
		ace->class = is(name, "OWNER@") ? ACL_OWNER : ACL_EVERYONE;
	else
		ace->class = owner_group ? ACL_OWNER_GROUP : group ? ACL_GROUP : ACL_USER;
	return 0;
}

static int read_letters(tarn_acl_kind kind, tarn_buf text, struct ace *ace)
{
	ace->perms = 0;
	for (size_t i = 0; i < text.len; i++) {
		char	    c  = ((const char *)text.ptr)[i];
		const char *at = c ? strchr(letters, c) : NULL;

		if (!at)
			return fail(INVAL, "\"%.*s\" are not permissions: they are letters of %s", SHOW(text), letters);
		if (!strchr(letters_of(kind), c))
			return fail(INVAL, "the permission %c has no meaning on a %s", c,
				    kind == TARN_ACL_POOL ? "pool" : "container");
		if (ace->perms & 1u << (at - letters))
			return fail(INVAL, "the permission %c stands twice in \"%.*s\"", c, SHOW(text));
		ace->perms |= 1u << (at - letters);
	}
	return 0;
}

/* The type and the flags. */
static int read_head(tarn_buf type, tarn_buf flags, bool *group)
{
	if (is(type, "U") || is(type, "L") || is(type, "AU") || is(type, "AL") || is(type, "UL") || is(type, "AUL"))
		return fail(NOTSUPPORTED, "entries of the type %.*s are not supported: only A is enforced", SHOW(type));
	if (!is(type, "A"))
		return fail(INVAL, "\"%.*s\" is not the type of an entry: it is A", SHOW(type));
	*group = is(flags, "G");
	if (flags.len == 0 || *group)
		return 0;
	for (size_t i = 0; i < flags.len; i++)
		if (!memchr("GPFS", ((const char *)flags.ptr)[i], 4))
			return fail(INVAL, "\"%.*s\" are not flags: there is G, for a group", SHOW(flags));
	return fail(NOTSUPPORTED, "the flags %.*s are not supported: only G is", SHOW(flags));
}

/* Cuts off what stands before the next ':'. false: there is none. */
static bool cut(tarn_buf *rest, tarn_buf *field)
{
	const char *s = rest->ptr, *colon = memchr(s, ':', rest->len);

	if (!colon)
		return false;
	*field = (tarn_buf){ s, (size_t)(colon - s) };
	*rest  = (tarn_buf){ colon + 1, rest->len - field->len - 1 };
	return true;
}

static int read_entry(tarn_acl_kind kind, tarn_buf line, struct ace *ace)
{
	tarn_buf rest = line, type, flags, name;
	bool	 group;
	int	 rc;

	if (!cut(&rest, &type) || !cut(&rest, &flags) || !cut(&rest, &name))
		return fail(INVAL, "\"%.*s\" is not an entry: it is written A:FLAGS:PRINCIPAL:PERMISSIONS", SHOW(line));
	rc = read_head(type, flags, &group);
	if (rc == 0)
		rc = read_principal(name, group, ace);
	if (rc == 0)
		rc = read_letters(kind, rest, ace);
	return rc;
}

/* ---- lists ---- */

static int compare(const struct ace *a, const struct ace *b)
{
	int order = (a->class > b->class) - (a->class < b->class);

	if (order == 0)
		order = memcmp(a->name.ptr, b->name.ptr, MIN(a->name.len, b->name.len));
	return order ? order : (a->name.len > b->name.len) - (a->name.len < b->name.len);
}

static int by_order(const void *a, const void *b)
{
	return compare(a, b);
}

static int sort(struct acl *acl)
{
	if (acl->n)
		qsort(acl->aces, acl->n, sizeof(*acl->aces), by_order);
	for (size_t i = 1; i < acl->n; i++)
		if (compare(&acl->aces[i - 1], &acl->aces[i]) == 0)
			return fail(INVAL, "the list has the principal %.*s twice", SHOW(acl->aces[i].name));
	return 0;
}

static size_t count_lines(const char *text)
{
	size_t n = 1;

	while ((text = strchr(text, '\n')) != NULL)
		n++, text++;
	return n;
}

static int read_lines(tarn_acl_kind kind, const char *text, struct acl *acl)
{
	int rc = 0;

	while (rc == 0 && *text) {
		size_t len = strcspn(text, "\n");

		if (len && *text != '#')
			rc = read_entry(kind, (tarn_buf){ text, len }, &acl->aces[acl->n++]);
		text += len + (text[len] == '\n');
	}
	return rc ? rc : sort(acl);
}

int acl_read(tarn_acl_kind kind, const char *text, struct acl *acl)
{
	int rc;

	acl->n	  = 0;
	acl->aces = NULL;
	if (kind != TARN_ACL_POOL && kind != TARN_ACL_CONT)
		return fail(INVAL, "there is no kind of access control list with the number %d", (int)kind);
	if (!text)
		return fail(INVAL, "there is no access control list (NULL)");
	if (strnlen(text, TARN_ACL_MAX) == TARN_ACL_MAX)
		return fail(REC2BIG, "the access control list is longer than %d bytes", TARN_ACL_MAX - 1);
	acl->aces = calloc(count_lines(text), sizeof(*acl->aces));
	if (!acl->aces)
		return fail(NOMEM, "no memory for an access control list");
	rc = read_lines(kind, text, acl);
	if (rc)
		acl_free(acl);
	return rc;
}

void acl_free(struct acl *acl)
{
	free(acl->aces);
	acl->aces = NULL;
	acl->n	  = 0;
}

static struct ace *find(const struct acl *acl, const struct ace *wanted)
{
	return acl->n ? bsearch(wanted, acl->aces, acl->n, sizeof(*acl->aces), by_order) : NULL;
}

int acl_update(struct acl *acl, const struct acl *with)
{
	size_t	    old	 = acl->n;
	struct ace *more = realloc(acl->aces, (old + with->n + 1) * sizeof(*more));

	if (!more)
		return fail(NOMEM, "no memory for an access control list");
	acl->aces = more;
	for (size_t i = 0; i < with->n; i++) {
		struct acl  before = { acl->aces, old };
		struct ace *there  = find(&before, &with->aces[i]);

		*(there ? there : &acl->aces[acl->n++]) = with->aces[i];
	}
	return sort(acl);
}

int acl_remove(struct acl *acl, const char *principal)
{
	bool	   user = strncmp(principal, "u:", 2) == 0, group = strncmp(principal, "g:", 2) == 0;
	tarn_buf   name = { principal + (user || group ? 2 : 0), strlen(principal) - (user || group ? 2 : 0) };
	struct ace wanted, *there;
	int	   rc = read_principal(name, group || is(name, "GROUP@"), &wanted);

	if (rc)
		return rc;
	if (user != (wanted.class == ACL_USER) || group != (wanted.class == ACL_GROUP))
		return fail(INVAL, "\"%.*s\" does not say whose entry: write u:NAME@, g:NAME@, OWNER@, GROUP@ or EVERYONE@", 80,
			    principal);
	there = find(acl, &wanted);
	if (!there)
		return fail(NONEXIST, "the access control list has no entry of %.*s", 80, principal);
	memmove(there, there + 1, (size_t)(acl->aces + acl->n - there - 1) * sizeof(*there));
	acl->n--;
	return 0;
}

/* ---- writing ---- */

static size_t entry_bytes(const struct ace *ace)
{
	bool group = ace->class == ACL_OWNER_GROUP || ace->class == ACL_GROUP;

	return strlen("A:::\n") + group + ace->name.len + (size_t)__builtin_popcount(ace->perms);
}

static char *put_entry(const struct ace *ace, char *to)
{
	bool group = ace->class == ACL_OWNER_GROUP || ace->class == ACL_GROUP;

	*to++ = 'A';
	*to++ = ':';
	if (group)
		*to++ = 'G';
	*to++ = ':';
	memcpy(to, ace->name.ptr, ace->name.len);
	to += ace->name.len;
	*to++ = ':';
	for (unsigned i = 0; letters[i]; i++)
		if (ace->perms & 1u << i)
			*to++ = letters[i];
	*to++ = '\n';
	return to;
}

int acl_write(const struct acl *acl, char *text, size_t *len)
{
	size_t room = text ? *len : 0, need = 1;

	for (size_t i = 0; i < acl->n; i++)
		need += entry_bytes(&acl->aces[i]);
	*len = need;
	if (need > TARN_ACL_MAX)
		return fail(REC2BIG, "the access control list would take %zu bytes: it has at most %d", need, TARN_ACL_MAX);
	if (need > room)
		return fail(TRUNC, "the access control list takes %zu bytes, and there is room for %zu", need, room);
	for (size_t i = 0; i < acl->n; i++)
		text = put_entry(&acl->aces[i], text);
	*text = 0;
	return 0;
}
