-- When an account was erased. What is left of it is its id.
ALTER TABLE users ADD COLUMN erased_at INTEGER;
