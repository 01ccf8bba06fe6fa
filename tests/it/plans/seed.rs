//! Thousands of rows, by SQL that both databases take.

use panel_harness::RawSql;

/// `INSERT INTO <columns> SELECT <values>` for `i` from 1 to `count`.
async fn insert(db: &mut RawSql, columns: &str, count: u32, values: &str) {
    let blob = if matches!(db, RawSql::Sqlite(_)) { "BLOB" } else { "BYTEA" };
    let values = values.replace("BLOB", blob);
    let numbers = format!("SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}");
    let text =
        format!("INSERT INTO {columns} WITH RECURSIVE n(i) AS ({numbers}) SELECT {values} FROM n");
    db.run(&text).await;
}

async fn common(db: &mut RawSql) {
    let columns = "idempotency (slot, fingerprint, status, headers, body, sealed, expires_at)";
    let values = "CAST('slot ' || i AS BLOB), CAST('f' AS BLOB), 201, '', CAST('{}' AS BLOB), 0, i";
    insert(db, columns, 3_000, values).await;
    // Nobody has asked for this topic.
    insert(db, "outbox (topic, payload, created_at)", 2_000, "'seed.sown', '{}', i").await;
    insert(db, "inbox (source, position, received_at)", 2_000, "'seed', i, i").await;
}

/// As its own service does after a while. On SQLite nobody does.
async fn analyze(db: &mut RawSql) {
    if matches!(db, RawSql::Postgres(_)) {
        db.run("ANALYZE").await;
    }
}

/// A dozen categories, three thousand threads, one of which has two thousand posts.
pub(super) async fn forum(db: &mut RawSql) {
    common(db).await;
    insert(db, "authors (id, name)", 2_000, "i, 'author ' || i").await;
    let columns = "categories (id, name, slug, position, own_read_level, read_level, post_level, \
                   created_at)";
    insert(db, columns, 11, "i, 'Seeded ' || i, 'seeded-' || i, i, 0, 0, 0, 0").await;
    // The one thread that is there already.
    let posts = "posts (id, thread_id, number, author_id, body, body_html, created_at)";
    let values = "200000 + i, (SELECT id FROM threads), i + 1, i, 'text', '<p>text</p>', i";
    insert(db, posts, 2_000, values).await;
    db.run("UPDATE threads SET last_number = 2001, reply_count = 2000").await;
    let columns = "threads (id, category_id, author_id, title, slug, created_at, last_post_at, \
                   reply_count, deleted_at)";
    let values = "100000 + i, 1 + i % 11, 1 + i % 2000, 'Thread ' || i, 'thread-' || i, i, i, \
                  i % 50, CASE WHEN i % 10 = 0 THEN i END";
    insert(db, columns, 3_000, values).await;
    let values = "300000 + i, 100000 + i, 1, 1 + i % 2000, 'text', '<p>text</p>', i";
    insert(db, posts, 3_000, values).await;
    let columns = "discussions (article_id, thread_id, opening_id, title)";
    insert(db, columns, 3_000, "1000 + i, 100000 + i, 300000 + i, 'Thread'").await;
    let columns = "thread_readers (user_id, thread_id, last_read)";
    insert(db, columns, 3_000, "1 + i % 300, 100000 + i, 1").await;
    let columns = "post_reactions (id, post_id, user_id, name, created_at)";
    insert(db, columns, 3_000, "i, 300000 + i, 1 + i % 300, 'like', i").await;
    insert(db, "post_mentions (post_id, user_id)", 3_000, "300000 + i, 1 + i % 300").await;
    // What was told and decided long ago, and some that is not yet.
    let columns =
        "notifications (user_id, id, kind, actor_id, thread_id, post_id, is_read, created_at)";
    let values = "1 + i % 300, i, 'reply', 1, 100000 + i, 300000 + i, CASE WHEN i % 9 = 0 THEN 0 ELSE 1 END, i";
    insert(db, columns, 3_000, values).await;
    insert(db, "notification_boxes (user_id, last_id)", 3_000, "i, 3000").await;
    // None of them is due as long as anybody looks.
    let columns = "digests (user_id, every, next_at, last_id)";
    insert(db, columns, 3_000, "i, 'daily', 9000000000000000000 + i, i").await;
    let columns = "moderation_queue (id, kind, post_id, author_id, status, created_at)";
    let status = "CASE WHEN i % 50 = 0 THEN 'open' ELSE 'approved' END";
    insert(db, columns, 3_000, &format!("i, 'flagged', 300000 + i, 1 + i % 2000, {status}, i"))
        .await;
    let columns = "flags (id, item_id, post_id, user_id, reason, note, weight, created_at)";
    insert(db, columns, 3_000, "i, i, 300000 + i, 1 + i % 300, 'spam', '', 1, i").await;
    let columns = "bans (id, user_id, kind, reason, created_by, created_at, ended_at)";
    let ended = "CASE WHEN i % 50 = 0 THEN NULL ELSE i END";
    insert(db, columns, 3_000, &format!("i, 1 + i % 300, 'ban', '', 1, i, {ended}")).await;
    let columns = "moderation_log (id, moderator_id, action, category_id, reason, created_at)";
    insert(db, columns, 3_000, "i, 1, 'post.hide', 1 + i % 11, '', i").await;
    let columns = "thread_tags (thread_id, tag, created_at, last_post_at, reply_count)";
    insert(
        db,
        columns,
        2_999,
        "100000 + i, CASE WHEN i % 3 = 0 THEN 'rust' ELSE 'x' || i END, i, i, i % 50",
    )
    .await;
    analyze(db).await;
}

/// Two thousand accounts with sessions, half of which were ended long ago.
pub(super) async fn auth(db: &mut RawSql) {
    common(db).await;
    let columns = "users (id, username, username_key, email, email_key, display_name, \
                   password_hash, role, status, created_at, updated_at, version)";
    let values = "i, 'u' || i, 'u' || i, 'u' || i || '@x', 'u' || i || '@x', 'u' || i, '', 1, \
                  'active', i, i, 1";
    insert(db, columns, 2_000, values).await;
    let columns = "sessions (id, user_id, created_at, last_used_at, expires_at, revoked_at)";
    let values = "i, i, i, i, i, CASE WHEN i % 2 = 0 THEN i END";
    insert(db, columns, 2_000, values).await;
    let columns = "refresh_tokens (hash, session_id, expires_at)";
    insert(db, columns, 2_000, "CAST('token ' || i AS BLOB), i, i").await;
    analyze(db).await;
}

/// Two thousand people, as the administration knows them.
pub(super) async fn admin(db: &mut RawSql) {
    common(db).await;
    let columns = "users (id, username, email, display_name, search, role, status, created_at)";
    let values = "i, 'u' || i, 'u' || i || '@x', 'u' || i, 'u' || i, 1, 'active', i";
    insert(db, columns, 2_000, values).await;
    analyze(db).await;
}

/// Three thousand articles, most of them published, and what they are about.
pub(super) async fn cms(db: &mut RawSql) {
    common(db).await;
    let columns = "articles (id, slug, title, excerpt, body, body_html, status, author_id, author_name, \
                   category, tags, published_at, updated_at, version, edited_at, publish_at)";
    let values = "1000 + i, 'seeded-' || i, 'Seeded', '', 'text', '<p>text</p>', \
                  CASE WHEN i % 3 = 0 THEN 'draft' WHEN i % 50 = 1 THEN 'scheduled' ELSE 'published' END, \
                  1 + i % 200, 'somebody', 'seeded-' || (1 + i % 11), '[\"seeded\"]', \
                  CASE WHEN i % 3 <> 0 AND i % 50 <> 1 THEN i END, i, 1, i, \
                  CASE WHEN i % 50 = 1 THEN 9000000000000000 END";
    insert(db, columns, 3_000, values).await;
    db.run("UPDATE articles SET comments = 1").await;
    let columns = "article_tags (tag, article_id, published_at)";
    let values = "'seeded', 1000 + i, CASE WHEN i % 3 <> 0 AND i % 50 <> 1 THEN i END";
    insert(db, columns, 3_000, values).await;
    insert(db, columns, 3_000, &values.replace("seeded", "other")).await;
    insert(db, "article_slugs (slug, article_id)", 3_000, "'former-' || i, 1000 + i").await;
    let columns = "article_revisions (id, article_id, number, title, body, editor_id, editor_name, created_at)";
    insert(db, columns, 3_000, "i, 1000 + i, 1, 'Seeded', 'text', 1, 'somebody', i").await;
    // Each wrote some with others; every seventh is there in another language.
    insert(db, "people (id, name)", 3_000, "i, 'somebody'").await;
    let columns = "co_authored (author_id, article_id, kind, published_at)";
    let values = "201 + i % 200, 1000 + i, 'post', CASE WHEN i % 3 <> 0 AND i % 50 <> 1 THEN i END";
    insert(db, columns, 3_000, values).await;
    insert(db, columns, 3_000, &values.replace("201", "1")).await;
    db.run(
        "UPDATE articles SET language = 'en', co_authors = '[\"0000000000007\"]' WHERE id % 7 = 0",
    )
    .await;
    db.run("UPDATE articles SET language = 'de', translation_of = id - id % 7 WHERE id % 7 = 1")
        .await;
    insert(db, "menus (name, updated_at, version)", 1, "'main', 0, 1").await;
    let columns = "menu_items (menu, position, is_below, label, article_id)";
    insert(db, columns, 50, "'main', i, 0, 'Seeded', 1000 + i").await;
    let columns = "terms (kind, slug, name, position, created_at)";
    insert(db, columns, 11, "'category', 'seeded-' || i, 'Seeded', i, 0").await;
    insert(db, columns, 20_000, "'tag', 'seeded-' || i, 'Seeded', 0, 0").await;
    insert(db, columns, 1, "'tag', 'seeded', 'Seeded', 0, 0").await;
    pictures(db).await;
    webhooks(db).await;
    analyze(db).await;
}

/// Twenty thousand pictures of a thousand people, each in an article.
async fn pictures(db: &mut RawSql) {
    let sha256 = format!("'{}' || (100000 + i)", "a".repeat(58));
    let columns = "assets (id, state, sha256, kind, width, height, since, orphaned_at)";
    let values = format!(
        "1000 + i, 'kept', {sha256}, 'png', 9, 9, i, CASE WHEN i % 9 = 0 THEN 9000000000000000 END"
    );
    insert(db, columns, 20_000, &values).await;
    let values = format!("{sha256}, 1000 + i");
    insert(db, "asset_sources (source, asset_id)", 20_000, &values).await;
    insert(db, "article_media (sha256, article_id)", 20_000, &values).await;
    let columns = "media (id, asset_id, owner_id, owner_name, name, alt, created_at, updated_at)";
    let values = "1000 + i, 1000 + i, CASE WHEN i % 400 = 7 THEN 7 ELSE 1000 + i % 1000 END, 'somebody', 'picture', CASE WHEN i % 2 = 0 THEN 'x' END, i, i";
    insert(db, columns, 20_000, values).await;
}

/// Twenty webhooks, of which one was told much of what they were told together; what is not yet told is for later.
async fn webhooks(db: &mut RawSql) {
    let columns =
        "webhooks (id, url, description, topics, enabled, since, secret, created_at, updated_at)";
    let values = "i, 'https://panel.invalid/', '', '*', 1, 0, 'x', 0, 0";
    insert(db, columns, 20, values).await;
    let columns = "webhook_deliveries (id, webhook_id, number, topic, body, state, attempts, created_at, next_at, \
                   give_up_at, finished_at)";
    let values = "1000 + i, CASE WHEN i % 4 = 0 THEN 7 ELSE 1 + i % 20 END, i, 'ping', '{}', \
                  CASE WHEN i % 5 = 0 THEN 'pending' ELSE 'delivered' END, 1, i, 9000000000000000, \
                  9000000000000000, CASE WHEN i % 5 = 0 THEN NULL ELSE i END";
    insert(db, columns, 20_000, values).await;
    let columns = "webhook_attempts (delivery_id, number, at, millis, status)";
    insert(db, columns, 20_000, "1000 + i, 1, i, 1, 204").await;
}
