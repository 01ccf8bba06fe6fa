//! Accounts, as this service knows them.

use panel_kernel::data::{Conn, DbError, Statement, Tx, Value, sql};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;

use crate::events::UserRegistered;
use crate::rules::{UserFilter, search_key};

/// An account in the list.
#[derive(Clone, Debug)]
pub(crate) struct UserRow {
    pub(crate) id: Id,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    role: i64,
    status: String,
    suspended_until: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
}

panel_kernel::from_row!(UserRow {
    id,
    username,
    email,
    display_name,
    role,
    status,
    suspended_until,
    created_at
});

impl UserRow {
    pub(crate) fn role(&self) -> Role {
        Role::from_level(self.role).unwrap_or(Role::User)
    }

    /// Whether it may not be used at `now`, and until when if that has an end.
    pub(crate) fn suspension(&self, now: Timestamp) -> (bool, Option<Timestamp>) {
        let over = self.suspended_until.is_some_and(|until| until <= now);
        let suspended = self.status == "suspended" && !over;
        (suspended, self.suspended_until.filter(|_| suspended))
    }
}

pub(crate) async fn upsert(tx: &mut Tx, user: &UserRegistered) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO users \
             (id, username, email, display_name, search, role, status, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 'active', $7) ON CONFLICT (id) DO UPDATE SET \
             username = excluded.username, email = excluded.email, \
             display_name = excluded.display_name, search = excluded.search, \
             role = excluded.role")
        .bind(user.id)
        .bind(&user.username)
        .bind(&user.email)
        .bind(&user.display_name)
        .bind(search_text(&user.username, &user.email, &user.display_name))
        .bind(user.role.level())
        .bind(user.created_at),
    )
    .await
    .map(|_| ())
}

pub(crate) async fn rename(tx: &mut Tx, id: Id, display_name: &str) -> Result<(), DbError> {
    let Some(mut names) = names(tx, id).await? else { return Ok(()) };
    display_name.clone_into(&mut names.display_name);
    set_names(tx, id, &names).await
}

pub(crate) async fn change_email(tx: &mut Tx, id: Id, email: &str) -> Result<(), DbError> {
    let Some(mut names) = names(tx, id).await? else { return Ok(()) };
    email.clone_into(&mut names.email);
    set_names(tx, id, &names).await
}

/// What a person is found by.
struct Names {
    username: String,
    email: String,
    display_name: String,
}

panel_kernel::from_row!(Names { username, email, display_name });

async fn names(tx: &mut Tx, id: Id) -> Result<Option<Names>, DbError> {
    let names = sql("SELECT username, email, display_name FROM users WHERE id = $1");
    tx.optional(names.bind(id)).await
}

async fn set_names(tx: &mut Tx, id: Id, names: &Names) -> Result<(), DbError> {
    let Names { username, email, display_name } = names;
    tx.execute(
        sql("UPDATE users SET email = $2, display_name = $3, search = $4 WHERE id = $1")
            .bind(id)
            .bind(email)
            .bind(display_name)
            .bind(search_text(username, email, display_name)),
    )
    .await
    .map(|_| ())
}

pub(crate) async fn set_status(
    tx: &mut Tx,
    id: Id,
    status: &'static str,
    until: Option<Timestamp>,
) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE users SET status = $2, suspended_until = $3 WHERE id = $1")
            .bind(id)
            .bind(status)
            .bind(until),
    )
    .await
    .map(|_| ())
}

pub(crate) async fn set_role(tx: &mut Tx, id: Id, role: Role) -> Result<(), DbError> {
    let set = sql("UPDATE users SET role = $2 WHERE id = $1").bind(id).bind(role.level());
    tx.execute(set).await.map(|_| ())
}

/// What is left is the id, so that what is heard later is known to be of nobody.
pub(crate) async fn erase(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO users (id, username, email, display_name, search, role, status, created_at) \
             VALUES ($1, '', '', '', '', 1, 'erased', 0) ON CONFLICT (id) DO UPDATE SET \
             username = '', email = '', display_name = '', search = '', role = 1, \
             status = 'erased', suspended_until = NULL")
        .bind(id),
    )
    .await
    .map(|_| ())
}

pub(crate) async fn is_erased(tx: &mut Tx, id: Id) -> Result<bool, DbError> {
    let erased = sql("SELECT id FROM users WHERE id = $1 AND status = 'erased'").bind(id);
    let found: Option<(i64,)> = tx.optional(erased).await?;
    Ok(found.is_some())
}

fn search_text(username: &str, email: &str, display_name: &str) -> String {
    search_key(&format!("{username}\n{email}\n{display_name}"))
}

/// Accounts after `after`, oldest first.
pub(crate) async fn list(
    conn: &mut Conn,
    filter: UserFilter,
    (after, limit): (i64, i64),
    now: Timestamp,
) -> Result<Vec<UserRow>, DbError> {
    let mut text = String::from(
        "SELECT id, username, email, display_name, role, status, suspended_until, \
         created_at FROM users WHERE id > $1 AND status <> 'erased'",
    );
    let mut values: Vec<Value> = vec![after.into(), limit.into()];
    let mut add = |condition: &str, value: Value| {
        values.push(value);
        text.push_str(&condition.replace('?', &format!("${}", values.len())));
    };
    if let Some(role) = filter.role {
        add(" AND role = ?", role.level().into());
    }
    if let Some(status) = filter.status {
        // One that has ended is none.
        let suspended = "status = 'suspended' AND (suspended_until IS NULL OR suspended_until > ?)";
        let not = if status == "suspended" { "" } else { "NOT " };
        add(&format!(" AND {not}({suspended})"), now.into());
    }
    if let Some(search) = filter.search {
        let escaped = search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        add(" AND search LIKE ? ESCAPE '\\'", format!("%{escaped}%").into());
    }
    text.push_str(" ORDER BY id LIMIT $2");
    conn.all(values.into_iter().fold(Statement::composed(text), Statement::bind)).await
}
