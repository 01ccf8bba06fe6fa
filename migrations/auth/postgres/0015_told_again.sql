-- Every account is told of once more: services that know of ranks and names now did not listen when these
-- were told first. What is told is what holds, so that whoever has heard it hears nothing new.
INSERT INTO outbox (topic, payload, created_at)
SELECT 'user.registered',
    json_build_object(
        'id', substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 60) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 55) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 50) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 45) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 40) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 35) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 30) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 25) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 20) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 15) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 10) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 5) & 31) AS INTEGER) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', CAST(((id >> 0) & 31) AS INTEGER) + 1, 1),
        'username', username,
        'email', email,
        'display_name', display_name,
        'role', CASE role WHEN 1 THEN 'user' WHEN 2 THEN 'premium' WHEN 3 THEN 'moderator'
                WHEN 4 THEN 'admin' ELSE 'system_admin' END,
        'created_at', to_char(to_timestamp(created_at / 1000000) AT TIME ZONE 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS') || '.' || lpad((created_at % 1000000)::text, 6, '0') || 'Z'
    )::text,
    created_at
FROM users WHERE erased_at IS NULL ORDER BY id;
