-- The persistent schema: our tables, the site's where they are missing, triggers.
-- This is the only DDL beside views.sql.  common/schema.c runs it in sections (a
-- line "--[name]" begins one); every statement does nothing where it is not needed.
--
-- What a trigger may be made of, so that the site's own statement cannot fail on
-- our account: plain SQL and built-in scalar functions; the row that fires it and
-- tables of ours, never another table of the site (a migration that drops and
-- renames a table would stop at it); no constraint that the site's data could
-- violate.  CAST keeps BLOBs and numbers out of the log: ids are text there.  A row
-- without id, room or user is not told to anybody.  COLLATE BINARY: a change of
-- case in a NOCASE column is a change on the wire too.

--[tables]
CREATE TABLE IF NOT EXISTS sw_meta (
	key	TEXT PRIMARY KEY,
	value	TEXT
) WITHOUT ROWID;

-- The log.  An id is a place in time, in microseconds since 1970: order, cursor and
-- timestamp in one.
CREATE TABLE IF NOT EXISTS events (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	type		TEXT NOT NULL,
	room_id		TEXT,			-- audience: a room; NULL: everyone
	private		INTEGER NOT NULL DEFAULT 0,	-- the room was private then
	user_id		TEXT,			-- audience: this user alone
	actor_id	TEXT,			-- whose act
	entity_id	TEXT,			-- the message, room or user meant
	expires_at	INTEGER,		-- microseconds; not delivered afterwards
	payload		TEXT			-- only what cannot be read from the tables
);
CREATE INDEX IF NOT EXISTS sw_events_message ON events(entity_id)
	WHERE type = 'NEW_MESSAGE';

-- The id of the next event.  All three terms are needed: several rows of one
-- statement and a clock set back; a newest row deleted; a log emptied by hand.
CREATE VIEW IF NOT EXISTS sw_next(id) AS SELECT max(
	CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000,
	1 + coalesce((SELECT max(id) FROM events), 0),
	1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0));

-- A fresh log has one row for nobody: a position from before the first event is good.
INSERT INTO events(id, type, user_id) SELECT id, 'LOG_CREATED', '' FROM sw_next
	WHERE NOT EXISTS (SELECT 1 FROM events);

-- Our own copy of which rooms are private, for the triggers on messages.
CREATE TABLE IF NOT EXISTS sw_private_rooms (room_id TEXT);
CREATE INDEX IF NOT EXISTS sw_private_rooms_id ON sw_private_rooms(room_id);

-- Presence (lease.h); times are Unix milliseconds.
CREATE TABLE IF NOT EXISTS sw_instances (
	id	TEXT PRIMARY KEY,
	pid	INTEGER NOT NULL,
	seen_at	INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sw_leases (
	user_id		TEXT NOT NULL,
	instance	TEXT NOT NULL,
	ends_at		INTEGER NOT NULL,	-- 0: as long as the instance lives
	PRIMARY KEY (user_id, instance)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sw_leases_end ON sw_leases(ends_at);
CREATE INDEX IF NOT EXISTS sw_leases_instance ON sw_leases(instance, ends_at);

-- Messages that clients sent with a key (sends.h).  id is that of the message's event, so
-- that it is the time as well.  digest is of the body.
CREATE TABLE IF NOT EXISTS sw_sends (
	id		INTEGER PRIMARY KEY,
	user_id		TEXT NOT NULL,
	key		TEXT NOT NULL,
	digest		INTEGER NOT NULL,
	message_id	TEXT NOT NULL,
	UNIQUE (user_id, key)
);
-- Users whose tokens are refused if they were issued up to then (revocation.h); Unix
-- seconds.
CREATE TABLE IF NOT EXISTS sw_revoked (
	user_id		TEXT PRIMARY KEY,
	revoked_at	INTEGER NOT NULL
) WITHOUT ROWID;

--[site]
-- The site's tables, as the reference site has them.
CREATE TABLE IF NOT EXISTS users (
	id		TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
	name		TEXT NOT NULL DEFAULT '',
	email		TEXT,
	password_hash	TEXT,
	avatar		TEXT,
	is_online	INTEGER NOT NULL DEFAULT 0,
	bio		TEXT,
	created_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	updated_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE TABLE IF NOT EXISTS rooms (
	id		TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
	name		TEXT NOT NULL DEFAULT '',
	is_private	INTEGER NOT NULL DEFAULT 0,
	password_hash	TEXT,
	created_by	TEXT,
	description	TEXT,
	created_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	updated_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE TABLE IF NOT EXISTS messages (
	id		TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
	room_id		TEXT NOT NULL,
	sender_id	TEXT NOT NULL,
	sender_name	TEXT,
	sender_avatar	TEXT,
	content		TEXT NOT NULL DEFAULT '',
	type		TEXT NOT NULL DEFAULT 'text',
	timestamp	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE TABLE IF NOT EXISTS user_relationships (
	id		TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
	user_id		TEXT NOT NULL,
	target_id	TEXT NOT NULL,
	relationship_type TEXT NOT NULL
		CHECK (relationship_type IN ('favorite', 'blocked')),
	created_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	UNIQUE (user_id, target_id, relationship_type)
);

-- A room_members that is there already is the site's: who is in it, the creator
-- included, is then the site's to say.
INSERT INTO sw_meta(key, value) SELECT 'members', CASE WHEN EXISTS (
		SELECT 1 FROM sqlite_master WHERE name = 'room_members' COLLATE NOCASE)
	THEN 'site' ELSE 'sidewire' END
	WHERE NOT EXISTS (SELECT 1 FROM sw_meta WHERE key = 'members');
-- Joining twice is joining once, also for a site that adds the creator itself.
CREATE TABLE IF NOT EXISTS room_members (
	room_id	TEXT,
	user_id	TEXT,
	UNIQUE (room_id, user_id) ON CONFLICT IGNORE
);

--[own members]
-- What a site with a map (sitemap.h) has no table for: who is in a room,
CREATE TABLE IF NOT EXISTS sw_room_members (
	room_id	TEXT,
	user_id	TEXT,
	UNIQUE (room_id, user_id) ON CONFLICT IGNORE
);

--[own presence]
-- and who is online.
CREATE TABLE IF NOT EXISTS sw_online (user_id TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS sw_online_insert AFTER INSERT ON sw_online
BEGIN
	INSERT INTO events(id, type, actor_id)
	VALUES ((SELECT id FROM sw_next), 'USER_UPDATE', NEW.user_id);
END;

CREATE TRIGGER IF NOT EXISTS sw_online_delete AFTER DELETE ON sw_online
BEGIN
	INSERT INTO events(id, type, actor_id)
	VALUES ((SELECT id FROM sw_next), 'USER_LEFT', OLD.user_id);
END;

CREATE TRIGGER IF NOT EXISTS sw_users_delete_online AFTER DELETE ON users
BEGIN
	DELETE FROM sw_online WHERE user_id = CAST(OLD.id AS TEXT);
END;

--[private]
DELETE FROM sw_private_rooms WHERE room_id NOT IN (
	SELECT CAST(id AS TEXT) FROM rooms WHERE id IS NOT NULL AND
		CASE WHEN typeof(is_private) IN ('text', 'blob')
		THEN lower(CAST(is_private AS TEXT)) NOT IN
			('', '0', 'false', 'f', 'no', 'off')
		ELSE is_private IS TRUE END);
INSERT INTO sw_private_rooms(room_id)
	SELECT DISTINCT CAST(id AS TEXT) FROM rooms WHERE id IS NOT NULL AND
		CASE WHEN typeof(is_private) IN ('text', 'blob')
		THEN lower(CAST(is_private AS TEXT)) NOT IN
			('', '0', 'false', 'f', 'no', 'off')
		ELSE is_private IS TRUE END
	AND CAST(id AS TEXT) NOT IN (SELECT room_id FROM sw_private_rooms);

--[members]
-- Only where room_members is ours.  A room's creator is a member of it; before the
-- triggers below, so that the first installation tells no news, and so that a
-- room's creation comes before its creator's joining (last made, first fired).
INSERT INTO room_members(room_id, user_id)
	SELECT CAST(id AS TEXT), CAST(created_by AS TEXT) FROM rooms
	WHERE id IS NOT NULL AND created_by IS NOT NULL AND
		NOT EXISTS (SELECT 1 FROM sw_meta WHERE key = 'version');

CREATE TRIGGER IF NOT EXISTS sw_rooms_insert_creator AFTER INSERT ON rooms
WHEN NEW.id IS NOT NULL AND NEW.created_by IS NOT NULL
BEGIN
	INSERT INTO room_members(room_id, user_id)
	SELECT CAST(NEW.id AS TEXT), CAST(NEW.created_by AS TEXT)
	WHERE NOT EXISTS (SELECT 1 FROM room_members
		WHERE room_id = CAST(NEW.id AS TEXT) AND
		user_id = CAST(NEW.created_by AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_rooms_update_creator AFTER UPDATE ON rooms
WHEN NEW.id IS NOT NULL AND NEW.created_by IS NOT NULL AND
	OLD.created_by IS NOT NEW.created_by COLLATE BINARY
BEGIN
	INSERT INTO room_members(room_id, user_id)
	SELECT CAST(NEW.id AS TEXT), CAST(NEW.created_by AS TEXT)
	WHERE NOT EXISTS (SELECT 1 FROM room_members
		WHERE room_id = CAST(NEW.id AS TEXT) AND
		user_id = CAST(NEW.created_by AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_rooms_update_members AFTER UPDATE ON rooms
WHEN OLD.id IS NOT NEW.id COLLATE BINARY
BEGIN
	INSERT INTO room_members(room_id, user_id)
	SELECT CAST(NEW.id AS TEXT), m.user_id FROM room_members m
	WHERE m.room_id = CAST(OLD.id AS TEXT) AND NOT EXISTS (
		SELECT 1 FROM room_members t WHERE t.user_id = m.user_id AND
		t.room_id = CAST(NEW.id AS TEXT));
	DELETE FROM room_members WHERE room_id = CAST(OLD.id AS TEXT);
END;

CREATE TRIGGER IF NOT EXISTS sw_rooms_delete_members AFTER DELETE ON rooms
BEGIN
	DELETE FROM room_members WHERE room_id = CAST(OLD.id AS TEXT);
END;

CREATE TRIGGER IF NOT EXISTS sw_users_update_members AFTER UPDATE ON users
WHEN OLD.id IS NOT NEW.id COLLATE BINARY
BEGIN
	INSERT INTO room_members(room_id, user_id)
	SELECT m.room_id, CAST(NEW.id AS TEXT) FROM room_members m
	WHERE m.user_id = CAST(OLD.id AS TEXT) AND NOT EXISTS (
		SELECT 1 FROM room_members t WHERE t.room_id = m.room_id AND
		t.user_id = CAST(NEW.id AS TEXT));
	DELETE FROM room_members WHERE user_id = CAST(OLD.id AS TEXT);
END;

CREATE TRIGGER IF NOT EXISTS sw_users_delete_members AFTER DELETE ON users
BEGIN
	DELETE FROM room_members WHERE user_id = CAST(OLD.id AS TEXT);
END;

--[triggers]
-- Indexes of ours on the site's tables come and go with them, like the triggers.
CREATE INDEX IF NOT EXISTS sw_users_online_index ON users(id)
	WHERE CAST(is_online IS TRUE AS INTEGER);
CREATE INDEX IF NOT EXISTS sw_messages_room ON messages(room_id);
CREATE INDEX IF NOT EXISTS sw_members_user ON room_members(user_id, room_id);
CREATE INDEX IF NOT EXISTS sw_relationships_user
	ON user_relationships(user_id, relationship_type, target_id);

CREATE TRIGGER IF NOT EXISTS sw_messages_insert AFTER INSERT ON messages
WHEN NEW.id IS NOT NULL AND NEW.room_id IS NOT NULL
BEGIN
	INSERT INTO events(id, type, room_id, private, actor_id, entity_id)
	VALUES ((SELECT id FROM sw_next), 'NEW_MESSAGE',
		CAST(NEW.room_id AS TEXT),
		EXISTS (SELECT 1 FROM sw_private_rooms
			WHERE room_id = CAST(NEW.room_id AS TEXT)),
		CAST(NEW.sender_id AS TEXT), CAST(NEW.id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_messages_update AFTER UPDATE ON messages
WHEN NEW.id IS NOT NULL AND NEW.room_id IS NOT NULL AND
	OLD.id IS NEW.id COLLATE BINARY AND
	OLD.room_id IS NEW.room_id COLLATE BINARY AND (
	OLD.content IS NOT NEW.content COLLATE BINARY OR
	OLD.sender_id IS NOT NEW.sender_id COLLATE BINARY OR
	OLD.sender_name IS NOT NEW.sender_name COLLATE BINARY OR
	OLD.sender_avatar IS NOT NEW.sender_avatar COLLATE BINARY OR
	OLD.type IS NOT NEW.type COLLATE BINARY OR
	OLD.timestamp IS NOT NEW.timestamp COLLATE BINARY)
BEGIN
	INSERT INTO events(id, type, room_id, private, actor_id, entity_id)
	VALUES ((SELECT id FROM sw_next), 'MESSAGE_UPDATED',
		CAST(NEW.room_id AS TEXT),
		EXISTS (SELECT 1 FROM sw_private_rooms
			WHERE room_id = CAST(NEW.room_id AS TEXT)),
		CAST(NEW.sender_id AS TEXT), CAST(NEW.id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_messages_move AFTER UPDATE ON messages
WHEN OLD.id IS NOT NEW.id COLLATE BINARY OR
	OLD.room_id IS NOT NEW.room_id COLLATE BINARY
BEGIN
	INSERT INTO events(id, type, room_id, private, actor_id, entity_id)
	SELECT (SELECT id FROM sw_next), 'MESSAGE_DELETED',
		CAST(OLD.room_id AS TEXT),
		EXISTS (SELECT 1 FROM sw_private_rooms
			WHERE room_id = CAST(OLD.room_id AS TEXT)),
		CAST(OLD.sender_id AS TEXT), CAST(OLD.id AS TEXT)
	WHERE OLD.id IS NOT NULL AND OLD.room_id IS NOT NULL;
	INSERT INTO events(id, type, room_id, private, actor_id, entity_id)
	SELECT (SELECT id FROM sw_next), 'NEW_MESSAGE',
		CAST(NEW.room_id AS TEXT),
		EXISTS (SELECT 1 FROM sw_private_rooms
			WHERE room_id = CAST(NEW.room_id AS TEXT)),
		CAST(NEW.sender_id AS TEXT), CAST(NEW.id AS TEXT)
	WHERE NEW.id IS NOT NULL AND NEW.room_id IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS sw_messages_delete AFTER DELETE ON messages
WHEN OLD.id IS NOT NULL AND OLD.room_id IS NOT NULL
BEGIN
	INSERT INTO events(id, type, room_id, private, actor_id, entity_id)
	VALUES ((SELECT id FROM sw_next), 'MESSAGE_DELETED',
		CAST(OLD.room_id AS TEXT),
		EXISTS (SELECT 1 FROM sw_private_rooms
			WHERE room_id = CAST(OLD.room_id AS TEXT)),
		CAST(OLD.sender_id AS TEXT), CAST(OLD.id AS TEXT));
END;

-- Rooms: the copy in sw_private_rooms first, then the event reads it.
CREATE TRIGGER IF NOT EXISTS sw_rooms_insert AFTER INSERT ON rooms
WHEN NEW.id IS NOT NULL
BEGIN
	DELETE FROM sw_private_rooms WHERE room_id = CAST(NEW.id AS TEXT);
	INSERT INTO sw_private_rooms(room_id) SELECT CAST(NEW.id AS TEXT)
	WHERE CASE WHEN typeof(NEW.is_private) IN ('text', 'blob')
		THEN lower(CAST(NEW.is_private AS TEXT)) NOT IN
			('', '0', 'false', 'f', 'no', 'off')
		ELSE NEW.is_private IS TRUE END;
	INSERT INTO events(id, type, private, entity_id)
	VALUES ((SELECT id FROM sw_next), 'ROOM_CREATED',
		EXISTS (SELECT 1 FROM sw_private_rooms
			WHERE room_id = CAST(NEW.id AS TEXT)),
		CAST(NEW.id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_rooms_update AFTER UPDATE ON rooms
WHEN OLD.id IS NOT NEW.id COLLATE BINARY OR
	OLD.name IS NOT NEW.name COLLATE BINARY OR
	OLD.is_private IS NOT NEW.is_private COLLATE BINARY OR
	OLD.created_by IS NOT NEW.created_by COLLATE BINARY OR
	OLD.description IS NOT NEW.description COLLATE BINARY
BEGIN
	DELETE FROM sw_private_rooms
		WHERE room_id IN (CAST(OLD.id AS TEXT), CAST(NEW.id AS TEXT));
	INSERT INTO sw_private_rooms(room_id) SELECT CAST(NEW.id AS TEXT)
	WHERE NEW.id IS NOT NULL AND
		CASE WHEN typeof(NEW.is_private) IN ('text', 'blob')
		THEN lower(CAST(NEW.is_private AS TEXT)) NOT IN
			('', '0', 'false', 'f', 'no', 'off')
		ELSE NEW.is_private IS TRUE END;
	INSERT INTO events(id, type, entity_id)
	SELECT (SELECT id FROM sw_next), 'ROOM_DELETED', CAST(OLD.id AS TEXT)
	WHERE OLD.id IS NOT NULL AND OLD.id IS NOT NEW.id COLLATE BINARY;
	INSERT INTO events(id, type, private, entity_id)
	SELECT (SELECT id FROM sw_next),
		CASE WHEN OLD.id IS NEW.id COLLATE BINARY THEN 'ROOM_UPDATED'
			ELSE 'ROOM_CREATED' END,
		EXISTS (SELECT 1 FROM sw_private_rooms
			WHERE room_id = CAST(NEW.id AS TEXT)),
		CAST(NEW.id AS TEXT)
	WHERE NEW.id IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS sw_rooms_delete AFTER DELETE ON rooms
WHEN OLD.id IS NOT NULL
BEGIN
	DELETE FROM sw_private_rooms WHERE room_id = CAST(OLD.id AS TEXT);
	INSERT INTO events(id, type, entity_id)
	VALUES ((SELECT id FROM sw_next), 'ROOM_DELETED', CAST(OLD.id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_users_insert AFTER INSERT ON users
WHEN NEW.id IS NOT NULL
BEGIN
	INSERT INTO events(id, type, entity_id)
	VALUES ((SELECT id FROM sw_next), 'USER_JOINED', CAST(NEW.id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_users_update AFTER UPDATE ON users
WHEN NEW.id IS NOT NULL AND OLD.id IS NEW.id COLLATE BINARY AND (
	OLD.name IS NOT NEW.name COLLATE BINARY OR
	OLD.email IS NOT NEW.email COLLATE BINARY OR
	OLD.bio IS NOT NEW.bio COLLATE BINARY OR
	OLD.avatar IS NOT NEW.avatar COLLATE BINARY)
BEGIN
	INSERT INTO events(id, type, actor_id, entity_id)
	VALUES ((SELECT id FROM sw_next), 'USER_UPDATE',
		CAST(NEW.id AS TEXT), CAST(NEW.id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_users_online AFTER UPDATE ON users
WHEN NEW.id IS NOT NULL AND OLD.id IS NEW.id COLLATE BINARY AND
	(OLD.is_online IS TRUE) <> (NEW.is_online IS TRUE)
BEGIN
	INSERT INTO events(id, type, actor_id)
	VALUES ((SELECT id FROM sw_next),
		CASE WHEN NEW.is_online IS TRUE THEN 'USER_UPDATE'
			ELSE 'USER_LEFT' END,
		CAST(NEW.id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_users_move AFTER UPDATE ON users
WHEN OLD.id IS NOT NEW.id COLLATE BINARY
BEGIN
	INSERT INTO events(id, type, actor_id)
	SELECT (SELECT id FROM sw_next), 'USER_LEFT', CAST(OLD.id AS TEXT)
	WHERE OLD.id IS NOT NULL;
	INSERT INTO events(id, type, entity_id)
	SELECT (SELECT id FROM sw_next), 'USER_JOINED', CAST(NEW.id AS TEXT)
	WHERE NEW.id IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS sw_users_delete AFTER DELETE ON users
WHEN OLD.id IS NOT NULL
BEGIN
	INSERT INTO events(id, type, actor_id)
	VALUES ((SELECT id FROM sw_next), 'USER_LEFT', CAST(OLD.id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_members_insert AFTER INSERT ON room_members
WHEN NEW.room_id IS NOT NULL AND NEW.user_id IS NOT NULL
BEGIN
	INSERT INTO events(id, type, user_id, entity_id)
	VALUES ((SELECT id FROM sw_next), 'ROOM_JOINED',
		CAST(NEW.user_id AS TEXT), CAST(NEW.room_id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_members_update AFTER UPDATE ON room_members
WHEN OLD.room_id IS NOT NEW.room_id COLLATE BINARY OR
	OLD.user_id IS NOT NEW.user_id COLLATE BINARY
BEGIN
	INSERT INTO events(id, type, user_id, entity_id)
	SELECT (SELECT id FROM sw_next), 'ROOM_LEFT',
		CAST(OLD.user_id AS TEXT), CAST(OLD.room_id AS TEXT)
	WHERE OLD.room_id IS NOT NULL AND OLD.user_id IS NOT NULL;
	INSERT INTO events(id, type, user_id, entity_id)
	SELECT (SELECT id FROM sw_next), 'ROOM_JOINED',
		CAST(NEW.user_id AS TEXT), CAST(NEW.room_id AS TEXT)
	WHERE NEW.room_id IS NOT NULL AND NEW.user_id IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS sw_members_delete AFTER DELETE ON room_members
WHEN OLD.room_id IS NOT NULL AND OLD.user_id IS NOT NULL
BEGIN
	INSERT INTO events(id, type, user_id, entity_id)
	VALUES ((SELECT id FROM sw_next), 'ROOM_LEFT',
		CAST(OLD.user_id AS TEXT), CAST(OLD.room_id AS TEXT));
END;

-- Favourites and blocks are told to their owner alone.
CREATE TRIGGER IF NOT EXISTS sw_relationships_insert
AFTER INSERT ON user_relationships WHEN NEW.user_id IS NOT NULL
BEGIN
	INSERT INTO events(id, type, user_id, entity_id)
	VALUES ((SELECT id FROM sw_next), 'USER_UPDATE',
		CAST(NEW.user_id AS TEXT), CAST(NEW.user_id AS TEXT));
END;

CREATE TRIGGER IF NOT EXISTS sw_relationships_update
AFTER UPDATE ON user_relationships
WHEN OLD.user_id IS NOT NEW.user_id COLLATE BINARY OR
	OLD.target_id IS NOT NEW.target_id COLLATE BINARY OR
	OLD.relationship_type IS NOT NEW.relationship_type COLLATE BINARY
BEGIN
	INSERT INTO events(id, type, user_id, entity_id)
	SELECT (SELECT id FROM sw_next), 'USER_UPDATE',
		CAST(OLD.user_id AS TEXT), CAST(OLD.user_id AS TEXT)
	WHERE OLD.user_id IS NOT NULL AND
		OLD.user_id IS NOT NEW.user_id COLLATE BINARY;
	INSERT INTO events(id, type, user_id, entity_id)
	SELECT (SELECT id FROM sw_next), 'USER_UPDATE',
		CAST(NEW.user_id AS TEXT), CAST(NEW.user_id AS TEXT)
	WHERE NEW.user_id IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS sw_relationships_delete
AFTER DELETE ON user_relationships WHEN OLD.user_id IS NOT NULL
BEGIN
	INSERT INTO events(id, type, user_id, entity_id)
	VALUES ((SELECT id FROM sw_next), 'USER_UPDATE',
		CAST(OLD.user_id AS TEXT), CAST(OLD.user_id AS TEXT));
END;

--[version]
INSERT INTO sw_meta(key, value) SELECT 'version', '2'
	WHERE NOT EXISTS (SELECT 1 FROM sw_meta WHERE key = 'version');
UPDATE sw_meta SET value = '2' WHERE key = 'version' AND CAST(value AS INTEGER) < 2;
