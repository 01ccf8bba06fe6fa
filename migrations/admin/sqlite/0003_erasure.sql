-- Whom a record is about, where it is about somebody: by that, and by who acted, records are found when an
-- account is erased.
ALTER TABLE audit ADD COLUMN subject TEXT;
UPDATE audit SET subject = CASE WHEN target LIKE 'user:%' THEN substr(target, 6)
                                ELSE json_extract(record, '$.after.user_id') END;
CREATE INDEX audit_by_actor ON audit (actor, id);
CREATE INDEX audit_by_subject ON audit (subject, id) WHERE subject IS NOT NULL;
