//! `panel-node cms export` and `cms import`: work beside a running node, and without one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use panel_auth::ImportedAccount;
use panel_cms::CmsConfig;
use panel_cms::transfer::{
    self, Exported, Finished, Import, Imported, Options, Person, Pictures, PicturesOf, Record,
    Remarks, TransferError, WordPress, ghost,
};
use panel_kernel::data::Database;
use panel_kernel::ids::Id;

use super::lines::Lines;
use super::progress::Shown;
use super::{accounts, brief_runtime, database, say};
use crate::Failure;
use crate::cli::{ArticlesArgs, ArticlesExportArgs, ArticlesFormat as Format};
use crate::config::Config;

/// The longest line of a file: as long as an article may be, several times over.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// What is looked at to see of which program a file is.
const BEGINNING: u64 = 4_096;
/// The longest text, in characters: as long as any article may be, whatever this site wants of those who write here.
const MOST_BODY_CHARS: usize = 128 * 1024;

pub(super) fn export(args: &ArticlesExportArgs) -> Result<(), Failure> {
    let ArticlesExportArgs { to: args, media } = args;
    let config = Config::load_common(&args.common)?;
    let exported = brief_runtime()?.block_on(async {
        let db = open(&config).await?;
        let blobs = match media {
            Some(_) => Some(database::blobs(&config).await?),
            None => None,
        };
        let files = blobs.as_ref().zip(media.as_deref());
        let shown = Shown::new("articles and pictures", None);
        let exported = transfer::export(&db, &args.file, files, |done, total| {
            shown.of(total);
            shown.at(done);
        })
        .await;
        db.give_back().await;
        shown.done();
        exported.map_err(Failure::other)
    })?;
    let Exported { lines, articles, pictures, lost } = exported;
    say(format_args!(
        "{}: {lines} lines, {articles} articles, {pictures} pictures",
        args.file.display()
    ));
    for picture in &lost {
        say(format_args!("left out, {picture}: the store of files has not all of it"));
    }
    if !lost.is_empty() {
        return Err(Failure::Other(format!("{} pictures were left out", lost.len())));
    }
    Ok(())
}

pub(super) fn import(args: &ArticlesArgs) -> Result<(), Failure> {
    let config = Config::load_common(&args.common)?;
    crate::lock::make_private_dir(&config.node.data_dir).map_err(Failure::other)?;
    let format = match args.format {
        Some(format) => format,
        None => format_of(&args.file)?,
    };
    let (finished, remarks) = brief_runtime()?.block_on(async {
        let db = open(&config).await?;
        let done = match format {
            Format::Panel => lines(&config, &db, args).await,
            Format::Wordpress => wordpress(&config, &db, args).await,
            Format::Ghost => of_ghost(&config, &db, args).await,
        };
        db.give_back().await;
        done
    })?;
    let Finished { imported, skipped, unmoved } = finished;
    for (place, reason) in &skipped.reasons {
        say(format_args!("left out, {place}: {reason}"));
    }
    for (picture, reason) in &unmoved.reasons {
        say(format_args!("stays where it is, {picture}: {reason}"));
    }
    for (what, count) in remarks.iter() {
        say(format_args!("in the file, and not here: {count} {what}"));
    }
    let Imported {
        articles,
        pictures,
        terms,
        revisions,
        translations,
        menus,
        redirects,
        unled,
        known,
    } = imported;
    if unmoved.count > 0 {
        say(format_args!("{} pictures stay where they are", unmoved.count));
    }
    if unled > 0 {
        say(format_args!(
            "{unled} addresses of the other site lead nowhere: others have them, they are none, or too many"
        ));
    }
    say(format_args!(
        "new: {articles} articles, {pictures} pictures, {terms} categories and tags, \
         {revisions} earlier texts, {translations} translations, {menus} menus, {redirects} redirects; there before: {known}"
    ));
    if skipped.count == 0 {
        return Ok(());
    }
    Err(Failure::Other(format!("{} were left out", skipped.count)))
}

/// The cms's database, ready to make ids.
async fn open(config: &Config) -> Result<Database, Failure> {
    database::open(config, panel_cms::SERVICE.name, &panel_cms::migrations()).await
}

/// Of which program a file is, by its beginning.
fn format_of(file: &Path) -> Result<Format, Failure> {
    let opened =
        File::open(file).map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
    let mut beginning = Vec::new();
    opened.take(BEGINNING).read_to_end(&mut beginning).map_err(Failure::other)?;
    let beginning = String::from_utf8_lossy(&beginning);
    let beginning = beginning.trim_start_matches('\u{feff}').trim_start();
    let first = beginning.lines().next().unwrap_or_default();
    if beginning.starts_with('<') {
        Ok(Format::Wordpress)
    } else if first.contains("\"type\":\"site\"") {
        Ok(Format::Panel)
    } else if beginning.starts_with('{') {
        Ok(Format::Ghost)
    } else {
        let why = "it is to be seen of no program; say of which it is (--format)";
        Err(Failure::Usage(format!("{}: {why}", file.display())))
    }
}

type Done = Result<(Finished, Remarks), Failure>;

/// What a file has next: a record, or why it can't be read; where that is, and how far the file is read by it.
type Next = Option<(Result<Record, String>, String, u64)>;

/// Takes in all that `next` finds, in a file that is so long, written by these people.
async fn all(
    (config, db, args): (&Config, &Database, &ArticlesArgs),
    (told, of): (&[Person], PicturesOf<'_>),
    (what, length): (&'static str, u64),
    mut next: impl FnMut() -> Result<Next, TransferError>,
) -> Result<Finished, Failure> {
    let section = config.section(panel_cms::SERVICE.name);
    let cms = CmsConfig::parse(&section)
        .map_err(|bad| Failure::Usage(format!("{}: {}", bad.key, bad.reason)))?;
    let pictures = match &args.media {
        Some(folder) => {
            let (blobs, metrics) = (database::blobs(config).await?, database::metrics()?);
            let places = (&cms.media, &metrics);
            let opened = Pictures::open((db, &blobs), places, folder, of);
            Some(opened.map_err(Failure::other)?)
        }
        None => None,
    };
    let options = Options {
        skip: args.skip,
        max_body_chars: MOST_BODY_CHARS,
        site: config.node.public_url.trim_end_matches('/').to_owned(),
        embeds: cms.embeds,
        people: people(config, args, told).await?,
        pictures,
    };
    let mut import = Import::new(db, options);
    let shown = Shown::new(what, Some(length));
    let took = loop {
        match next() {
            Ok(None) => break Ok(()),
            Ok(Some((record, place, read))) => {
                if let Err(error) = import.take(record, place).await {
                    break Err(error);
                }
                shown.at(read);
            }
            Err(error) => break Err(error),
        }
    };
    shown.done();
    took.map_err(Failure::other)?;
    import.finish().await.map_err(Failure::other)
}

async fn lines(config: &Config, db: &Database, args: &ArticlesArgs) -> Done {
    let mut lines = Lines::open(&args.file, MOST_BYTES)?;
    let (length, mut number) = (lines.length, 0_u64);
    let next = || {
        loop {
            number += 1;
            let place = format!("line {number}");
            let record = match lines.next() {
                Ok(None) => return Ok(None),
                Ok(Some(line)) if line.trim_ascii().is_empty() => continue,
                Ok(Some(line)) => Record::parse(line),
                Err(reason) => return Err(TransferError::Refused { place, reason }),
            };
            return Ok(Some((record, place, lines.read)));
        }
    };
    let of = (&[][..], PicturesOf::Panel);
    let finished = all((config, db, args), of, ("bytes", length), next).await?;
    Ok((finished, Remarks::default()))
}

async fn wordpress(config: &Config, db: &Database, args: &ArticlesArgs) -> Done {
    let mut file = WordPress::open(&args.file).map_err(Failure::other)?;
    let (length, people) = (args.file.metadata().map_or(0, |it| it.len()), file.people().to_vec());
    let address = args.address.clone().unwrap_or_else(|| file.address().to_owned());
    let next = || {
        let read = file.read()?;
        Ok(read.map(|(record, place)| (Ok(record), place, file.position())))
    };
    let of = (&people[..], PicturesOf::WordPress(&address));
    let finished = all((config, db, args), of, ("bytes", length), next).await?;
    Ok((finished, file.remarks().clone()))
}

async fn of_ghost(config: &Config, db: &Database, args: &ArticlesArgs) -> Done {
    let (people, records, remarks) =
        ghost(&args.file, args.address.as_deref()).map_err(Failure::other)?;
    let length = u64::try_from(records.len()).unwrap_or(0);
    let mut records = (1_u64..).zip(records);
    let next = || {
        Ok(records.next().map(|(number, record)| {
            let place = match &record {
                Record::Article(article) => format!("post {}", article.id),
                _ => format!("record {number}"),
            };
            (Ok(record), place, number)
        }))
    };
    let of = (&people[..], PicturesOf::Ghost(args.address.as_deref().unwrap_or_default()));
    let finished = all((config, db, args), of, ("records", length), next).await?;
    Ok((finished, remarks))
}

/// Who of them has an account, if there are to be some.
async fn people(
    config: &Config,
    args: &ArticlesArgs,
    told: &[Person],
) -> Result<HashMap<String, (Id, String)>, Failure> {
    let mut made = HashMap::new();
    if !args.accounts {
        return Ok(made);
    }
    let db = accounts::open(config).await?;
    for person in told {
        let Some(email) = person.email.clone() else { continue };
        let display_name = person.name.clone();
        let account = ImportedAccount { email, display_name, is_active: true };
        match accounts::made(&db, account).await {
            Ok((id, _)) => {
                made.insert(person.id.clone(), (id, person.name.clone()));
            }
            Err(problem) => {
                let why = accounts::sentence(&problem);
                say(format_args!(
                    "no account for {}: {why}; what they wrote is shown under their name",
                    person.name
                ));
            }
        }
    }
    db.give_back().await;
    Ok(made)
}
