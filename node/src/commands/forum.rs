//! `panel-node forum export` and `forum import`: work beside a running node, and without one.

use std::collections::HashMap;
use std::path::Path;

use panel_auth::ImportedAccount;
use panel_forum::transfer::original::{Tables, Target, User};
use panel_forum::transfer::{self, Import, Imported, Options, Skipped};
use panel_kernel::data::Database;
use panel_kernel::ids::Id;
use panel_kernel::time::Clock;

use super::lines::Lines;
use super::progress::Shown;
use super::{accounts, brief_runtime, database, say};
use crate::Failure;
use crate::cli::{ExportArgs, ImportArgs};
use crate::config::Config;

/// The longest line of a file: as long as a post may be, several times over.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

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
    let mut lines = Lines::open(file, MOST_BYTES)?;
    let shown = Shown::new("bytes", Some(lines.length));
    let mut import = Import::new(db, options(args));
    let took = loop {
        let taken = match lines.next() {
            Ok(None) => break Ok(()),
            Ok(Some(line)) => import.line(line).await,
            Err(reason) => import.unreadable(reason).await,
        };
        if let Err(error) = taken {
            break Err(error);
        }
        shown.at(lines.read);
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
        let account = ImportedAccount {
            email: user.email.clone(),
            display_name: user.name(),
            is_active: user.is_active,
        };
        match accounts::made(&db, account).await {
            Ok((id, name)) => {
                made.insert(user.id.clone(), id);
                if !matches!(user.role.trim(), "" | "user") {
                    staff.push(format!("{name}: {}", user.role.trim()));
                }
            }
            Err(problem) => {
                failed.push(format!("user {}: {}", user.id, accounts::sentence(&problem)));
            }
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
