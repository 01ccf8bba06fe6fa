-- A session that goes on for years does not keep all the tokens it ever had.
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
