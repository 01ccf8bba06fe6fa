-- A new key is shown for some seconds before it signs, so that whoever verifies knows it by then.
-- `current` is the newest; the one before signs until then.
ALTER TABLE signing_keys ADD COLUMN signs_from INTEGER NOT NULL DEFAULT 0;

-- When somebody signed in to the account last, and when its password was changed last: a login that
-- began with the password before must not end with a session.
ALTER TABLE users ADD COLUMN signed_in_at INTEGER;
ALTER TABLE users ADD COLUMN password_changed_at INTEGER NOT NULL DEFAULT 0;
