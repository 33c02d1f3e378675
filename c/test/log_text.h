/* SPDX-License-Identifier: Apache-2.0 */
/* test/log_text.h: short records in a log, and what a replay of them says, as text. */
#ifndef TARN_LOG_TEXT_H
#define TARN_LOG_TEXT_H

#include "log_rig.h"

static inline tarn_buf text(const char *t)
{
	return (tarn_buf){ t, strlen(t) };
}

static inline struct store_mutation put(const char *key, const void *val, size_t len)
{
	return (struct store_mutation){ .change = STORE_PUT, .tree = 4, .key = text(key), .val = { val, len } };
}

static inline uint64_t append_text(struct rig *r, const char *key)
{
	struct store_mutation m = put(key, "value", 5);

	return rig_append(r, &m, 1);
}

static inline uint64_t commit_text(struct rig *r, const char *key)
{
	uint64_t lsn = append_text(r, key);

	assert_ok(store_commit(r->s, lsn));
	return lsn;
}

/* Opens after a crash, and replays: what came, as text. */
static char transcript[4096];

static inline int note(struct store *s, struct store_mutation *muts, const bool *extents, size_t n, uint64_t lsn)
{
	static const char *const names[] = { "put", "del", "drop", "snap", "unsnap" };
	size_t			 at = strlen(transcript), room = sizeof(transcript) - at;

	(void)s;
	at += (size_t)snprintf(transcript + at, room, "%s%d:", at ? " " : "", (int)lsn);
	for (size_t i = 0; i < n; i++) {
		const struct store_mutation *m = &muts[i];

		at += (size_t)snprintf(transcript + at, sizeof(transcript) - at, "%s%s%s%.*s", i ? "," : "", names[m->change],
				       m->key.len ? " " : "", (int)MIN(m->key.len, 8), (const char *)m->key.ptr);
		if (m->change == STORE_UNSNAP)
			at += (size_t)snprintf(transcript + at, sizeof(transcript) - at, " %d", (int)m->revision);
		if (m->change == STORE_PUT && !extents[i] && m->val.len < 9)
			at += (size_t)snprintf(transcript + at, sizeof(transcript) - at, "=%.*s", (int)m->val.len,
					       (const char *)m->val.ptr);
	}
	return 0;
}

static inline int replay(struct rig *r)
{
	uint64_t batches;

	transcript[0] = '\0';
	rig_open(r);
	return log_replay(r->s, note, &batches);
}

#define assert_replays(r, want)                                                                                                  \
	do {                                                                                                                     \
		assert_ok(replay(r));                                                                                            \
		assert_string_equal(transcript, want);                                                                           \
	} while (0)

#endif
