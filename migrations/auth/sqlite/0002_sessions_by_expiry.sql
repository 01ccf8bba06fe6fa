-- An expired session is removed, and its refresh tokens with it: those that were used are kept
-- until then, so that using one again is noticed. Nothing asks for their own expiry any more.
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
DROP INDEX refresh_tokens_by_expiry;
