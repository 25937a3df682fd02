-- The site's tables as the programs see them.  Everything is TEMP: each connection
-- makes it at open and no other connection meets it, so a migration of the site that
-- drops and renames a table is not stopped by a view of ours.  Plain selects, which
-- SQLite flattens: a look-up by id uses the table's own index.
--
-- A line "--[name]" begins a section.  common/schema.c runs "all" at open, the part from
-- "writes" on before a connection's first write (most that a web server starts only
-- read), and of each pair the one that fits the site's tables.

--[users]
-- CAST gives a truth value its affinity, so that it compares with what is bound as text;
-- the index sw_users_online_index is on the same expression.
CREATE TEMP VIEW sw_users AS
	SELECT id, name, email, avatar,
		CAST(is_online IS TRUE AS INTEGER) AS is_online, bio
	FROM main.users;

--[users by presence]
-- Where who is online is in a table of ours: a bare IN, so that SQLite begins with it.
CREATE TEMP VIEW sw_users AS
	SELECT id, name, email, avatar, is_online, bio FROM main.users;

--[all]
-- A truth value that came as text ("false") is read as what it says; what cannot be
-- understood is private.
CREATE TEMP VIEW sw_rooms AS
	SELECT id, name,
		CAST(CASE WHEN typeof(is_private) IN ('text', 'blob')
		THEN lower(CAST(is_private AS TEXT)) NOT IN
			('', '0', 'false', 'f', 'no', 'off')
		ELSE is_private IS TRUE END AS INTEGER) AS is_private,
		created_by, description
	FROM main.rooms;

CREATE TEMP VIEW sw_members AS SELECT room_id, user_id FROM main.room_members;

-- Blocking oneself has no effect.
CREATE TEMP VIEW sw_blocks AS
	SELECT user_id, target_id FROM main.user_relationships
	WHERE relationship_type = 'blocked' AND target_id <> user_id;
CREATE TEMP VIEW sw_favorites AS
	SELECT user_id, target_id FROM main.user_relationships
	WHERE relationship_type = 'favorite';

--[rowid]
-- seq is for order and comparison within a room alone: an index on room_id gives it.
CREATE TEMP VIEW sw_messages AS
	SELECT id, room_id, sender_id, sender_name, sender_avatar, content, type,
		timestamp, rowid AS seq
	FROM main.messages;

--[no rowid]
-- Milliseconds of the timestamp: as good as an order gets there.
CREATE TEMP VIEW sw_messages AS
	SELECT id, room_id, sender_id, sender_name, sender_avatar, content, type,
		timestamp, CAST(coalesce((julianday(timestamp) - 2440587.5) *
			86400000.0, 0) AS INTEGER) AS seq
	FROM main.messages;

--[writes]
CREATE TEMP TRIGGER sw_users_set INSTEAD OF UPDATE OF is_online ON sw_users
BEGIN
	UPDATE users SET is_online = (NEW.is_online IS TRUE) WHERE id = OLD.id;
END;
CREATE TEMP TRIGGER sw_users_remove INSTEAD OF DELETE ON sw_users
BEGIN
	DELETE FROM users WHERE id = OLD.id;
END;
-- An id that is not given: the table's own number, where the column is one.
CREATE TEMP TRIGGER sw_rooms_add INSTEAD OF INSERT ON sw_rooms
BEGIN
	INSERT INTO rooms(id, name, is_private, created_by, description)
	VALUES (coalesce(NEW.id, (SELECT CASE WHEN type NOT LIKE '%INT%'
			THEN lower(hex(randomblob(16))) END
			FROM pragma_table_info('rooms') WHERE name = 'id')),
		coalesce(NEW.name, ''), (NEW.is_private IS TRUE),
		NEW.created_by, coalesce(NEW.description, ''));
END;
CREATE TEMP TRIGGER sw_rooms_remove INSTEAD OF DELETE ON sw_rooms
BEGIN
	DELETE FROM rooms WHERE id = OLD.id;
END;
CREATE TEMP TRIGGER sw_members_add INSTEAD OF INSERT ON sw_members
BEGIN
	INSERT INTO room_members(room_id, user_id)
	SELECT NEW.room_id, NEW.user_id
	WHERE NOT EXISTS (SELECT 1 FROM room_members
		WHERE room_id = NEW.room_id AND user_id = NEW.user_id);
END;
CREATE TEMP TRIGGER sw_members_remove INSTEAD OF DELETE ON sw_members
BEGIN
	DELETE FROM room_members
	WHERE room_id = OLD.room_id AND user_id = OLD.user_id;
END;

CREATE TEMP TRIGGER sw_messages_add INSTEAD OF INSERT ON sw_messages
BEGIN
	INSERT INTO messages(id, room_id, sender_id, sender_name, sender_avatar,
		content, type, timestamp)
	VALUES (coalesce(NEW.id, (SELECT CASE WHEN type NOT LIKE '%INT%'
			THEN lower(hex(randomblob(16))) END
			FROM pragma_table_info('messages') WHERE name = 'id')),
		NEW.room_id, NEW.sender_id, coalesce(NEW.sender_name, ''),
		coalesce(NEW.sender_avatar, ''), coalesce(NEW.content, ''),
		coalesce(NEW.type, 'text'),
		coalesce(NEW.timestamp, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));
END;

--[password]
-- users.password_hash is there, and may have to be: '!' is no hash of any password.
-- An e-mail address that may not be NULL may have to be unique as well (RFC 2606).
CREATE TEMP TRIGGER sw_users_add INSTEAD OF INSERT ON sw_users
BEGIN
	INSERT INTO users(id, name, email, avatar, is_online, bio, password_hash)
	VALUES (coalesce(NEW.id, (SELECT CASE WHEN type NOT LIKE '%INT%'
			THEN lower(hex(randomblob(16))) END
			FROM pragma_table_info('users') WHERE name = 'id')),
		coalesce(NEW.name, ''),
		coalesce(NEW.email, (SELECT CASE WHEN "notnull"
			THEN coalesce(NEW.id, lower(hex(randomblob(16)))) ||
				'@users.invalid' END
			FROM pragma_table_info('users') WHERE name = 'email')),
		coalesce(NEW.avatar, ''), (NEW.is_online IS TRUE),
		coalesce(NEW.bio, ''), '!');
END;

--[no password]
CREATE TEMP TRIGGER sw_users_add INSTEAD OF INSERT ON sw_users
BEGIN
	INSERT INTO users(id, name, email, avatar, is_online, bio)
	VALUES (coalesce(NEW.id, (SELECT CASE WHEN type NOT LIKE '%INT%'
			THEN lower(hex(randomblob(16))) END
			FROM pragma_table_info('users') WHERE name = 'id')),
		coalesce(NEW.name, ''),
		coalesce(NEW.email, (SELECT CASE WHEN "notnull"
			THEN coalesce(NEW.id, lower(hex(randomblob(16)))) ||
				'@users.invalid' END
			FROM pragma_table_info('users') WHERE name = 'email')),
		coalesce(NEW.avatar, ''), (NEW.is_online IS TRUE),
		coalesce(NEW.bio, ''));
END;
