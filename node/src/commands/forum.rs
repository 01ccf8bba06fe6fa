//! `panel-node forum export` and `forum import`: work beside a running node, and without one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use panel_auth::ImportedAccount;
use panel_forum::transfer::original::{Tables, Target, User};
use panel_forum::transfer::{self, Import, Imported, Options, Skipped};
use panel_kernel::data::{Database, WriteContext};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Clock;

use super::{accounts, brief_runtime, database, say};
use crate::Failure;
use crate::cli::{ExportArgs, ImportArgs};
use crate::config::Config;

/// Where nobody looks, a line so often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The longest line of a file: as long as a post may be, several times over.
const MOST_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let config = Config::load_common(&args.common)?;
    let exported = brief_runtime()?.block_on(async {
        let db = open(&config).await?;
        let shown = Shown::new("posts", None);
        let exported = transfer::export(&db, &args.file, |done, total| {
            shown.of(total);
            shown.at(done);
        })
        .await;
        db.give_back().await;
        shown.done();
        exported.map_err(Failure::other)
    })?;
    let kept = match exported.kept {
        0 => String::new(),
        kept => format!(", {kept} of them from an earlier attempt"),
    };
    say(format_args!("{}: {} lines{kept}", args.file.display(), exported.lines));
    Ok(())
}

pub(super) fn import(args: &ImportArgs) -> Result<(), Failure> {
    let config = Config::load_common(&args.common)?;
    crate::lock::make_private_dir(&config.node.data_dir).map_err(Failure::other)?;
    let (imported, skipped) = brief_runtime()?.block_on(async {
        let db = open(&config).await?;
        let done = match (&args.file, &args.original) {
            (Some(file), _) => lines(&db, args, file).await,
            (None, Some(folder)) => tables(&config, &db, args, folder).await,
            (None, None) => Err(Failure::Usage("name a file, or --original".to_owned())),
        };
        db.give_back().await;
        done
    })?;
    for (line, reason) in &skipped.reasons {
        say(format_args!("left out, line {line}: {reason}"));
    }
    let Imported { authors, categories, threads, posts, revisions, reactions, known } = imported;
    say(format_args!(
        "new: {categories} categories, {threads} threads, {posts} posts, {revisions} earlier texts, \
         {reactions} reactions, by {authors} people; there before: {known}"
    ));
    if skipped.count == 0 {
        return Ok(());
    }
    Err(Failure::Other(format!("{} lines were left out", skipped.count)))
}

/// The forum's database, ready to make ids.
async fn open(config: &Config) -> Result<Database, Failure> {
    database::open(config, panel_forum::SERVICE.name, &panel_forum::migrations()).await
}

type Done = Result<(Imported, Skipped), Failure>;

fn options(args: &ImportArgs) -> Options {
    // As long as any post may be, whatever this site wants of those who write here.
    Options { match_names: args.match_names, skip: args.skip, max_body_chars: 32_000 }
}

async fn lines(db: &Database, args: &ImportArgs, file: &Path) -> Done {
    let opened =
        File::open(file).map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
    let shown = Shown::new("bytes", Some(opened.metadata().map_or(0, |it| it.len())));
    let mut import = Import::new(db, options(args));
    let (mut reader, mut done, mut line) = (BufReader::new(opened), 0, Vec::new());
    let took = loop {
        line.clear();
        let limit = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
        let read = std::io::Read::take(&mut reader, limit).read_until(b'\n', &mut line);
        let read = match read {
            Ok(0) => break Ok(()),
            Ok(read) if read >= MOST_BYTES => {
                break import.unreadable("it is too long".to_owned()).await;
            }
            Ok(read) => read,
            Err(error) => break import.unreadable(error.to_string()).await,
        };
        if let Err(error) = import.line(&line).await {
            break Err(error);
        }
        done += u64::try_from(read).unwrap_or(0);
        shown.at(done);
    };
    shown.done();
    took.map_err(Failure::other)?;
    import.finish().await.map_err(Failure::other)
}

async fn tables(config: &Config, db: &Database, args: &ImportArgs, folder: &Path) -> Done {
    let tables = Tables::new(folder);
    let users = tables.users().map_err(Failure::other)?;
    let accounts = make_accounts(config, &users).await?;
    let now = Clock::system().now();
    let (source, category) = (args.source.clone(), args.category.clone());
    let target = Target { source, category, accounts, now };
    let mut import = Import::new(db, options(args));
    let shown = Shown::new("threads and posts", None);
    let took = tables.take(&mut import, &target, |done| shown.at(done)).await;
    shown.done();
    took.map_err(Failure::other)?;
    import.finish().await.map_err(Failure::other)
}

/// Accounts for those who had one: without a password, which they choose anew by a mail.
async fn make_accounts(config: &Config, users: &[User]) -> Result<HashMap<String, Id>, Failure> {
    let (db, shown) = (accounts::open(config).await?, Shown::new("accounts", None));
    shown.of(u64::try_from(users.len()).unwrap_or(0));
    let (mut made, mut staff, mut failed) = (HashMap::new(), Vec::new(), Vec::new());
    for (done, user) in (1..).zip(users) {
        match make_account(&db, user).await {
            Ok((id, name)) => {
                made.insert(user.id.clone(), id);
                if !matches!(user.role.trim(), "" | "user") {
                    staff.push(format!("{name}: {}", user.role.trim()));
                }
            }
            Err(problem) => failed.push(format!("user {}: {}", user.id, sentence(&problem))),
        }
        shown.at(done);
    }
    db.give_back().await;
    shown.done();
    for line in failed {
        say(format_args!("no account for {line}; what they wrote is shown under their name"));
    }
    for line in staff {
        say(format_args!("not taken over, for somebody to decide: {line}"));
    }
    Ok(made)
}

async fn make_account(db: &Database, user: &User) -> Result<(Id, String), Problem> {
    let context = WriteContext::internal("command line", Clock::system().now());
    let account = ImportedAccount {
        email: user.email.clone(),
        display_name: user.name(),
        is_active: user.is_active,
    };
    panel_auth::import_account(db, account, &context).await
}

fn sentence(problem: &Problem) -> String {
    let wrong: Vec<String> =
        problem.errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect();
    if wrong.is_empty() { problem.detail.clone() } else { wrong.join("; ") }
}

/// How far something is, on a terminal as a bar.
struct Shown {
    what: &'static str,
    bar: ProgressBar,
    said: std::cell::Cell<Instant>,
}

impl Shown {
    fn new(what: &'static str, total: Option<u64>) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(total.unwrap_or(0))
        } else {
            ProgressBar::hidden()
        };
        let form = "{bar:40} {human_pos} of {human_len} {msg}, {elapsed_precise}, {eta} to go";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.set_length(total.unwrap_or(0));
        Self { what, bar, said: std::cell::Cell::new(Instant::now()) }
    }

    fn of(&self, total: u64) {
        self.bar.set_length(total);
    }

    fn at(&self, done: u64) {
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.said.get().elapsed() >= LINE_EVERY {
            self.said.set(Instant::now());
            let of = match self.bar.length() {
                Some(total) if total > 0 => format!(" of {total}"),
                _ => String::new(),
            };
            say(format_args!("{done}{of} {}", self.what));
        }
    }

    fn done(&self) {
        self.bar.finish_and_clear();
    }
}
