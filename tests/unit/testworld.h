/*
 * testworld - random changes of a small site: what the property tests of access and hub
 * are run on.  The same seed gives the same world.
 */
#ifndef TESTWORLD_H
#define TESTWORLD_H

#include "testdb.h"

#define WORLD_USERS	6
#define WORLD_ROOMS	5

static inline unsigned
world_random(unsigned n)
{
	return (unsigned)rand() % n;
}

static inline void
world_sql(struct testdb *db, const char *fmt, unsigned a, unsigned b, unsigned c)
{
	char sql[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(sql, sizeof(sql), fmt, a, b, c);
#pragma GCC diagnostic pop
	testdb_site(db, sql);
}

/* Users u0.., rooms r0.. of which every second is private. */
static inline void
world_make(struct testdb *db)
{
	unsigned i;

	for (i = 0; i < WORLD_USERS; i++)
		world_sql(db, "INSERT INTO users(id, name, email) VALUES "
		    "('u%u', 'User %u', 'u%u@example.org')", i, i, i);
	for (i = 0; i < WORLD_ROOMS; i++)
		world_sql(db, "INSERT INTO rooms(id, name, is_private, "
		    "created_by) VALUES ('r%u', 'Room', %u, 'u%u')", i, i % 2, i);
}

/* One random thing that a site does. */
static inline void
world_step(struct testdb *db)
{
	unsigned u = world_random(WORLD_USERS), r = world_random(WORLD_ROOMS);
	unsigned v = world_random(WORLD_USERS);

	switch (world_random(16)) {
	case 0:
		world_sql(db, "INSERT INTO room_members(room_id, user_id) "
		    "SELECT 'r%u', 'u%u' WHERE NOT EXISTS (SELECT 1 FROM "
		    "room_members WHERE room_id = 'r%3$u' AND user_id = 'u%2$u')",
		    r, u, r);
		break;
	case 1:
		world_sql(db, "DELETE FROM room_members WHERE room_id = 'r%u' "
		    "AND user_id = 'u%u'", r, u, 0);
		break;
	case 2:
		world_sql(db, "UPDATE rooms SET is_private = %2$u "
		    "WHERE id = 'r%1$u'", r, world_random(2), 0);
		break;
	case 3:
		world_sql(db, "DELETE FROM user_relationships WHERE "
		    "user_id = 'u%u' AND target_id = 'u%u'", u, v, 0);
		world_sql(db, "INSERT INTO user_relationships(user_id, "
		    "target_id, relationship_type) VALUES ('u%u', 'u%u', "
		    "'blocked')", u, v, 0);
		break;
	case 4:
		world_sql(db, "DELETE FROM user_relationships WHERE "
		    "user_id = 'u%u' AND target_id = 'u%u'", u, v, 0);
		break;
	case 5:
		world_sql(db, "UPDATE users SET is_online = %2$u "
		    "WHERE id = 'u%1$u'", u, world_random(2), 0);
		break;
	case 6:
		world_sql(db, "UPDATE users SET bio = 'bio %2$u' "
		    "WHERE id = 'u%1$u'", u, world_random(1000), 0);
		break;
	case 7:
		world_sql(db, "DELETE FROM rooms WHERE id = 'r%u'", r, 0, 0);
		world_sql(db, "INSERT INTO rooms(id, name, is_private, "
		    "created_by) VALUES ('r%u', 'Again', %u, 'u%u')", r,
		    world_random(2), u);
		break;
	case 8:
		world_sql(db, "UPDATE messages SET content = 'edited %u' WHERE "
		    "rowid = (SELECT rowid FROM messages ORDER BY random() "
		    "LIMIT 1)", u, 0, 0);
		break;
	case 9:
		world_sql(db, "DELETE FROM messages WHERE rowid = (SELECT rowid "
		    "FROM messages ORDER BY random() LIMIT 1)", 0, 0, 0);
		break;
	default:
		world_sql(db, "INSERT INTO messages(room_id, sender_id, "
		    "sender_name, content) VALUES ('r%u', 'u%u', 'User', "
		    "'text %u')", r, u, world_random(1000));
	}
}

#endif
