-- Every account is told of once more: services that know of ranks and names now did not listen when these
-- were told first. What is told is what holds, so that whoever has heard it hears nothing new.
INSERT INTO outbox (topic, payload, created_at)
SELECT 'user.registered',
    json_object(
        'id', substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 60) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 55) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 50) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 45) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 40) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 35) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 30) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 25) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 20) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 15) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 10) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 5) & 31) + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', ((id >> 0) & 31) + 1, 1),
        'username', username,
        'email', email,
        'display_name', display_name,
        'role', CASE role WHEN 1 THEN 'user' WHEN 2 THEN 'premium' WHEN 3 THEN 'moderator'
                WHEN 4 THEN 'admin' ELSE 'system_admin' END,
        'created_at', strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch')
            || printf('.%06dZ', created_at % 1000000)
    ),
    created_at
FROM users WHERE erased_at IS NULL ORDER BY id;
