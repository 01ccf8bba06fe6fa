-- Why and until when an account is suspended; for good, if there is no end. Once that is over it is as
-- any other, whatever `status` says.
ALTER TABLE users ADD COLUMN suspended_until BIGINT;
ALTER TABLE users ADD COLUMN suspension_reason TEXT;
