-- The site's own tables.  Nothing in here is Sidewire's.
CREATE TABLE users (
	id		TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
	name		TEXT NOT NULL COLLATE NOCASE UNIQUE,
	email		TEXT,
	password_hash	TEXT,				-- NULL: the name is enough
	avatar		TEXT NOT NULL DEFAULT 'teal',	-- a colour's name
	is_online	INTEGER NOT NULL DEFAULT 0,
	bio		TEXT NOT NULL DEFAULT '',
	created_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	updated_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE TABLE rooms (
	id		TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
	name		TEXT NOT NULL,
	is_private	INTEGER NOT NULL DEFAULT 0,
	password_hash	TEXT,
	created_by	TEXT,
	description	TEXT NOT NULL DEFAULT '',
	created_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	updated_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE TABLE room_members (
	room_id		TEXT NOT NULL,
	user_id		TEXT NOT NULL,
	PRIMARY KEY (room_id, user_id)
);
CREATE TABLE messages (
	id		TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
	room_id		TEXT NOT NULL,
	sender_id	TEXT NOT NULL,
	sender_name	TEXT,
	sender_avatar	TEXT,
	content		TEXT NOT NULL DEFAULT '',
	type		TEXT NOT NULL DEFAULT 'text',	-- "edited" after a change
	timestamp	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX messages_room ON messages(room_id);
CREATE TABLE user_relationships (
	id		TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
	user_id		TEXT NOT NULL,
	target_id	TEXT NOT NULL,
	relationship_type TEXT NOT NULL CHECK (relationship_type IN ('favorite', 'blocked')),
	created_at	TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	UNIQUE (user_id, target_id, relationship_type)
);
-- Up to which message somebody has read a room; rowids of messages.
CREATE TABLE room_reads (
	user_id		TEXT NOT NULL,
	room_id		TEXT NOT NULL,
	seq		INTEGER NOT NULL,
	PRIMARY KEY (user_id, room_id)
) WITHOUT ROWID;
-- Passwords that were wrong, by name: Unix seconds.
CREATE TABLE failed_sign_ins (
	name		TEXT NOT NULL COLLATE NOCASE,
	at		INTEGER NOT NULL
);
CREATE INDEX failed_sign_ins_name ON failed_sign_ins(name, at);
