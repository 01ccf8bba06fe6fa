//! What those are called who wrote an article with its author. Auth tells of whoever is called otherwise, or is gone,
//! also of such as nobody has named yet: whoever names them later has it from here.

use std::collections::{BTreeSet, HashMap};

use panel_kernel::data::{Composed, Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;

use super::erasure::NOBODY;

/// An account, and what it is called.
pub(crate) type Person = (Id, String);

/// Who of them is known here, and what they are called; nothing if they are gone.
pub(crate) async fn known(
    conn: &mut Conn,
    ids: &BTreeSet<Id>,
) -> Result<HashMap<Id, Option<String>>, DbError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut find = Composed::from("SELECT p.id, p.name FROM people p WHERE p.id IN (");
    for (at, id) in ids.iter().enumerate() {
        find.with(if at == 0 { "$" } else { ", $" }, [(*id).into()]);
    }
    find.add(")");
    let rows: Vec<(Id, Option<String>)> = conn.all(find.done()).await?;
    Ok(rows.into_iter().collect())
}

/// Gives those their names who were read without.
pub(crate) async fn name<'p>(
    conn: &mut Conn,
    people: impl IntoIterator<Item = &'p mut Person>,
) -> Result<(), DbError> {
    let people: Vec<&mut Person> = people.into_iter().collect();
    let ids = people.iter().map(|(id, _)| *id).collect();
    let names = known(conn, &ids).await?;
    for (id, name) in people {
        let known = names.get(id).cloned().flatten();
        *name = known.unwrap_or_else(|| NOBODY.to_owned());
    }
    Ok(())
}

/// From now on they are known here, by these names if by none yet.
pub(crate) async fn note(tx: &mut Tx, people: &[Person]) -> Result<(), DbError> {
    for (id, name) in people {
        let insert =
            sql("INSERT INTO people (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING");
        tx.execute(insert.bind(*id).bind(name)).await?;
    }
    Ok(())
}

/// They are called so from now on, or not at all any more; whether an article names them.
pub(super) async fn rename(tx: &mut Tx, id: Id, name: Option<&str>) -> Result<bool, DbError> {
    let store = sql("INSERT INTO people (id, name) VALUES ($1, $2) \
                     ON CONFLICT (id) DO UPDATE SET name = excluded.name");
    tx.execute(store.bind(id).bind(name)).await?;
    let find = sql("SELECT x.article_id FROM co_authored x WHERE x.author_id = $1 LIMIT 1");
    Ok(tx.optional::<(Id,)>(find.bind(id)).await?.is_some())
}
