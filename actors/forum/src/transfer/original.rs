//! Tables of the application that Panel follows, as CSV with a head: `user.csv`, `forum_thread.csv`, `forum_post.csv`,
//! by the names of their columns; others are passed over. Every database writes such files.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Deserializer};

use super::{Author, Category, Forum, Import, Post, Record, Thread, TransferError, VERSION};
use crate::rules::MAX_TITLE_CHARS;

/// Somebody who had an account.
#[derive(Clone, Debug, Deserialize)]
pub struct User {
    /// The key of the row.
    pub id: String,
    /// The first name.
    #[serde(default)]
    pub first_name: String,
    /// The last name.
    #[serde(default)]
    pub last_name: String,
    /// The mail address.
    #[serde(default)]
    pub email: String,
    /// What they were: `user`, `moderator`, …
    #[serde(default)]
    pub role: String,
    /// Whether the account could be used.
    #[serde(default = "yes", deserialize_with = "flag")]
    pub is_active: bool,
}

impl User {
    /// How they are shown.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.first_name.trim(), self.last_name.trim()).trim().to_owned()
    }
}

#[derive(Deserialize)]
struct ThreadRow {
    id: String,
    title: String,
    author_id: String,
    #[serde(default, deserialize_with = "flag")]
    is_pinned: bool,
    #[serde(default, deserialize_with = "flag")]
    is_locked: bool,
    #[serde(deserialize_with = "moment")]
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct PostRow {
    id: String,
    thread_id: String,
    author_id: String,
    content: String,
    #[serde(deserialize_with = "moment")]
    created_at: Timestamp,
}

/// The folder that has the tables.
#[derive(Clone, Debug)]
pub struct Tables {
    folder: PathBuf,
}

/// Where everything goes, and who is who.
#[derive(Clone, Debug)]
pub struct Target {
    /// What the place is called that they come from: the same one the next time.
    pub source: String,
    /// The category.
    pub category: String,
    /// The accounts of people here, by the keys of their rows.
    pub accounts: HashMap<String, Id>,
    /// Now.
    pub now: Timestamp,
}

impl Tables {
    /// Those in this folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Everybody who had an account.
    ///
    /// # Errors
    /// [`TransferError`], with the line in `user.csv`.
    pub fn users(&self) -> Result<Vec<User>, TransferError> {
        let mut users = Vec::new();
        self.read("user.csv", |user| {
            users.push(user);
            Ok(())
        })?;
        Ok(users)
    }

    /// Takes threads and posts in, and tells `told` how many of each table were read. Posts are in the order of the
    /// file; whatever has no author any more is a deleted user's.
    ///
    /// # Errors
    /// [`TransferError`]; lines are those of all tables, one after the other.
    pub async fn take(
        &self,
        import: &mut Import<'_>,
        target: &Target,
        mut told: impl FnMut(u64),
    ) -> Result<(), TransferError> {
        let forum =
            Forum { version: VERSION, source: target.source.clone(), exported_at: target.now };
        import.take(Record::Forum(forum)).await?;
        import.take(Record::Category(category(target))).await?;
        let mut people = HashSet::new();
        let names: HashMap<String, String> =
            self.users()?.into_iter().map(|user| (user.id.clone(), user.name())).collect();
        let mut written = HashSet::new();
        self.read("forum_post.csv", |post: PostRow| {
            written.insert(post.thread_id);
            Ok(())
        })?;
        let (mut long, mut done) = (HashMap::new(), 0);
        for row in self.rows::<ThreadRow>("forum_thread.csv")? {
            let row = row?;
            if people.insert(row.author_id.clone()) {
                import.take(author(&row.author_id, &names, target)).await?;
            }
            let empty = (!written.contains(&row.id)).then(|| row.title.clone());
            let (title, rest) = shortened(&row.title);
            if let Some(rest) = rest {
                long.insert(row.id.clone(), rest);
            }
            import.take(thread(&row, title)).await?;
            if let Some(body) = empty {
                // A thread begins with a post here.
                let (id, created_at) = (format!("thread {}", row.id), row.created_at);
                let post = PostRow {
                    id,
                    thread_id: row.id,
                    author_id: row.author_id,
                    content: body,
                    created_at,
                };
                import.take(post_of(post, None)).await?;
            }
            done += 1;
            told(done);
        }
        for row in self.rows::<PostRow>("forum_post.csv")? {
            let row = row?;
            if people.insert(row.author_id.clone()) {
                import.take(author(&row.author_id, &names, target)).await?;
            }
            let title = long.remove(&row.thread_id);
            import.take(post_of(row, title)).await?;
            done += 1;
            told(done);
        }
        import.take(Record::End { records: import.lines() }).await
    }

    fn rows<R: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
    ) -> Result<impl Iterator<Item = Result<R, TransferError>> + use<R>, TransferError> {
        let path = self.folder.join(name);
        let file = File::open(&path).map_err(|error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        let rows = csv::Reader::from_reader(std::io::BufReader::new(file)).into_deserialize();
        let name = name.to_owned();
        Ok(rows.map(move |row| {
            row.map_err(|error| TransferError::Line {
                line: error.position().map_or(0, csv::Position::line),
                reason: format!("{name}: {error}"),
            })
        }))
    }

    fn read<R: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        mut take: impl FnMut(R) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        for row in self.rows(name)? {
            take(row?)?;
        }
        Ok(())
    }
}

fn category(target: &Target) -> Category {
    Category {
        id: "original".to_owned(),
        parent_id: None,
        name: target.category.clone(),
        slug: None,
        description: None,
        position: 0,
        read_role: None,
        post_role: None,
        created_at: target.now,
    }
}

fn author(id: &str, names: &HashMap<String, String>, target: &Target) -> Record {
    let name = names.get(id).cloned().unwrap_or_default();
    let account = target.accounts.get(id).copied();
    Record::Author(Author { id: id.to_owned(), name, username: None, account })
}

fn thread(row: &ThreadRow, title: String) -> Record {
    Record::Thread(Thread {
        id: row.id.clone(),
        category_id: "original".to_owned(),
        author_id: row.author_id.clone(),
        title,
        tags: Vec::new(),
        created_at: row.created_at,
        pinned: row.is_pinned,
        locked: row.is_locked,
        view_count: 0,
        deleted_at: None,
        hidden: false,
    })
}

/// With the whole title before it, where that is too long for one.
fn post_of(row: PostRow, title: Option<String>) -> Record {
    let body = match title {
        Some(title) => format!("{title}\n\n{}", row.content),
        None => row.content,
    };
    Record::Post(Post {
        id: row.id,
        thread_id: row.thread_id,
        author_id: row.author_id,
        body,
        created_at: row.created_at,
        edited_at: None,
        edited_by: None,
        reply_to: None,
        quote: None,
        deleted_at: None,
        hidden: false,
    })
}

/// A title that is not too long, and all of it, if it was.
fn shortened(title: &str) -> (String, Option<String>) {
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if title.chars().count() <= MAX_TITLE_CHARS {
        let title = if title.is_empty() { "(without a title)".to_owned() } else { title };
        return (title, None);
    }
    let short: String = title.chars().take(MAX_TITLE_CHARS - 1).collect();
    (format!("{}\u{2026}", short.trim_end()), Some(title))
}

const fn yes() -> bool {
    true
}

fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "yes" => Ok(true),
        "" | "0" | "f" | "false" | "no" => Ok(false),
        other => Err(serde::de::Error::custom(format!("{other:?} is neither true nor false"))),
    }
}

/// Times there have no zone: they are in UTC.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut text = text.trim().replacen(' ', "T", 1);
    let time = text.split_once('T').map(|(_, time)| time.to_owned()).unwrap_or_default();
    if time.is_empty() {
        text.push_str("T00:00:00");
    }
    match time.rfind(['+', '-']).filter(|_| !time.ends_with(['Z', 'z'])) {
        // PostgreSQL leaves the minutes of a zone out.
        Some(at) if time.len() - at == 3 => text.push_str(":00"),
        Some(_) => {}
        None if time.ends_with(['Z', 'z']) => {}
        None => text.push('Z'),
    }
    serde_json::from_value(serde_json::Value::String(text)).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_flags_are_read_as_databases_write_them() {
        let at = |text: &str| {
            let value = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
            moment(value).map(|at| at.to_string())
        };
        for text in [
            "2024-05-06 07:08:09",
            "2024-05-06T07:08:09Z",
            "2024-05-06 07:08:09.000000",
            "2024-05-06 09:08:09+02",
            "2024-05-06 09:08:09+02:00",
        ] {
            assert_eq!(at(text).unwrap(), "2024-05-06T07:08:09.000000Z", "{text}");
        }
        assert_eq!(at("2024-05-06").unwrap(), "2024-05-06T00:00:00.000000Z");
        assert!(at("yesterday").is_err() && at("").is_err());
        let is = |text: &str| {
            let value = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
            flag(value)
        };
        assert_eq!(
            [is("t"), is("1"), is("False"), is("")],
            [Ok(true), Ok(true), Ok(false), Ok(false)]
        );
        assert!(is("perhaps").is_err());
    }

    #[test]
    fn titles_are_cut_and_not_lost() {
        assert_eq!(shortened(" a\nb "), ("a b".to_owned(), None));
        assert_eq!(shortened(" ").0, "(without a title)");
        let long = "word ".repeat(60);
        let (title, whole) = shortened(&long);
        assert!(title.chars().count() <= MAX_TITLE_CHARS && title.ends_with('\u{2026}'));
        assert_eq!(whole.as_deref(), Some(long.trim()));
    }
}
