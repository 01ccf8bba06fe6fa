//! Fills a forum: 10 categories, 2,000 threads of 40 posts, 200 authors.

use panel_harness::new_id;
use panel_kernel::data::{Database, DbError, Statement, Tx, Value};
use panel_kernel::ids::Id;

/// The account that writes during the benchmark.
pub(crate) const USER: i64 = 1;
const CATEGORIES: usize = 10;
const THREADS: usize = 2_000;
const POSTS: usize = 40;
const AUTHORS: usize = 200;
const BODY: &str = "Lorem ipsum dolor sit amet, **consectetur** adipiscing elit, sed do eiusmod \
tempor incididunt ut labore et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud \
exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat.";
const HTML: &str = "<p>Lorem ipsum dolor sit amet, <strong>consectetur</strong> adipiscing elit, \
sed do eiusmod tempor incididunt ut labore et dolore magna aliqua. Ut enim ad minim veniam, quis \
nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat.</p>\n";

/// What is there to be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Seeded {
    pub(crate) categories: Vec<Id>,
    pub(crate) threads: Vec<Id>,
}

/// Fills the forum's tables, directly.
pub(crate) async fn fill(db: &Database) -> Seeded {
    let now = db.clock().now().as_micros();
    let categories: Vec<Id> = (0..CATEGORIES).map(|_| new_id()).collect();
    let rows = (0..AUTHORS)
        .map(|n| vec![i64::try_from(n + 1).unwrap().into(), format!("author {n}").into()]);
    insert(db, "authors (id, name)", rows.collect()).await;
    let rows = categories.iter().enumerate().map(|(n, id)| {
        let name = format!("Category {n}");
        let zero = || Value::from(0_i64);
        let slug = format!("category-{n}");
        vec![(*id).into(), name.into(), slug.into(), zero(), zero(), zero(), zero(), now.into()]
    });
    let columns =
        "categories (id, name, slug, position, own_read_level, read_level, post_level, created_at)";
    insert(db, columns, rows.collect()).await;
    let mut threads = Vec::with_capacity(THREADS);
    for number in 0..THREADS {
        let id = new_id();
        threads.push(id);
        thread(db, id, categories[number % CATEGORIES], number, now).await;
    }
    Seeded { categories, threads }
}

async fn thread(db: &Database, id: Id, category: Id, number: usize, now: i64) {
    let count = |n: usize| i64::try_from(n).unwrap();
    let author = |n: usize| Value::from(count(n % AUTHORS + 1));
    let at = now - count(THREADS - number) * 1_000_000;
    let row = vec![
        id.into(),
        category.into(),
        author(number),
        format!("Thread number {number} about something or other").into(),
        format!("thread-number-{number}-about-something-or-other").into(),
        at.into(),
        at.into(),
        count(POSTS).into(),
        count(POSTS - 1).into(),
    ];
    let columns = "threads (id, category_id, author_id, title, slug, created_at, last_post_at, \
                   last_number, reply_count)";
    insert(db, columns, vec![row]).await;
    let rows = (0..POSTS).map(|post| {
        vec![
            new_id().into(),
            id.into(),
            count(post + 1).into(),
            author(number + post),
            BODY.into(),
            HTML.into(),
            at.into(),
        ]
    });
    let columns = "posts (id, thread_id, number, author_id, body, body_html, created_at)";
    insert(db, columns, rows.collect()).await;
}

pub(crate) async fn insert(db: &Database, columns: &'static str, rows: Vec<Vec<Value>>) {
    let done: Result<(), DbError> =
        db.transact(move |tx| Box::pin(async move { insert_all(tx, columns, rows).await })).await;
    done.unwrap();
}

async fn insert_all(tx: &mut Tx, columns: &str, rows: Vec<Vec<Value>>) -> Result<(), DbError> {
    let mut iterator = rows.into_iter().peekable();
    while iterator.peek().is_some() {
        let piece: Vec<Vec<Value>> = iterator.by_ref().take(50).collect();
        let mut place = 0;
        let tuples: Vec<String> = piece
            .iter()
            .map(|row| {
                let places: Vec<String> = row
                    .iter()
                    .map(|_| {
                        place += 1;
                        format!("${place}")
                    })
                    .collect();
                format!("({})", places.join(", "))
            })
            .collect();
        let text = format!("INSERT INTO {columns} VALUES {}", tuples.join(", "));
        let statement =
            piece.into_iter().flatten().fold(Statement::composed(text), Statement::bind);
        tx.execute(statement).await?;
    }
    Ok(())
}
