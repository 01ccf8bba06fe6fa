//! Taking records in, each in a transaction of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use panel_kernel::data::{Database, DbError, OwnAct};
use panel_kernel::ids::{Id, random_hex};
use panel_text::markdown::Embed;
use serde_json::json;

use super::TransferError;
use super::pictures::Pictures;
use super::preparing::{Fresh, Prepared};
use super::record::{Record, VERSION};
use super::taking::{Origin, Refusal, Taken, Taking};
use crate::SERVICE;
use crate::store::transfer::site;

/// What was left out of which it is remembered why.
const MOST_SKIPPED: usize = 1_000;
/// How often something is tried that a database does not do at the moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// How to take a file in.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What can't be taken in is left out, instead of ending it there.
    pub skip: bool,
    /// The longest text, in characters.
    pub max_body_chars: usize,
    /// The address of this site.
    pub site: String,
    /// Whose videos are shown in texts.
    pub embeds: Vec<Embed>,
    /// Who has an account here, by what they are called in the file: which, and its name.
    pub people: HashMap<String, (Id, String)>,
    /// Where its pictures are, if they are to be taken in.
    pub pictures: Option<Pictures>,
}

/// What was taken in, and was not there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Posts and pages.
    pub articles: u64,
    /// Pictures, in libraries.
    pub pictures: u64,
    /// Categories and tags.
    pub terms: u64,
    /// Texts before an edit.
    pub revisions: u64,
    /// Articles that are the same in another language.
    pub translations: u64,
    /// Menus.
    pub menus: u64,
    /// Addresses that lead elsewhere, also those at which articles were on another site.
    pub redirects: u64,
    /// Of the latter, those that could not be made to.
    pub unled: u64,
    /// Of all these, what was there.
    pub known: u64,
}

impl Imported {
    fn count(&mut self, record: &Record, taken: Taken) {
        self.redirects += taken.led;
        self.unled += taken.unled;
        self.pictures += taken.pictures;
        let of_kind = match record {
            Record::Site(_) | Record::End { .. } => return,
            _ if !taken.is_new => &mut self.known,
            Record::Article(_) => &mut self.articles,
            Record::Picture(_) => &mut self.pictures,
            Record::Term(_) => &mut self.terms,
            Record::Revision(_) => &mut self.revisions,
            Record::Redirect(_) => &mut self.redirects,
            Record::Translation(_) => &mut self.translations,
            Record::Menu(_) => &mut self.menus,
        };
        *of_kind += 1;
    }
}

/// What was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How much.
    pub count: u64,
    /// Of the first of it, where it is, and why.
    pub reasons: Vec<(String, String)>,
}

impl Skipped {
    fn note(&mut self, what: String, reason: String) {
        self.count += 1;
        if self.reasons.len() < MOST_SKIPPED {
            self.reasons.push((what, reason));
        }
    }
}

/// What has become of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// What is here now.
    pub imported: Imported,
    /// Records that can't be taken in.
    pub skipped: Skipped,
    /// Pictures that stay where they are.
    pub unmoved: Skipped,
}

/// A file that is being taken in.
#[derive(Debug)]
pub struct Import<'d> {
    db: &'d Database,
    options: Arc<Options>,
    origin: Option<Origin>,
    records: u64,
    counts: Imported,
    has_ended: bool,
    skipped: Skipped,
    unmoved: Skipped,
}

impl<'d> Import<'d> {
    /// Into this database.
    #[must_use]
    pub fn new(db: &'d Database, options: Options) -> Self {
        Self {
            db,
            options: Arc::new(options),
            origin: None,
            records: 0,
            counts: Imported::default(),
            has_ended: false,
            skipped: Skipped::default(),
            unmoved: Skipped::default(),
        }
    }

    /// Takes a record, which is there in the file; or a reason why there is none.
    ///
    /// # Errors
    /// [`TransferError`]; what came before it is stored.
    pub async fn take(
        &mut self,
        record: Result<Record, String>,
        place: String,
    ) -> Result<(), TransferError> {
        self.records += 1;
        let record = match record {
            Ok(record) => record,
            Err(reason) => return self.refused(place, reason),
        };
        if self.has_ended {
            return self.refused(place, "it comes after the last one".to_owned());
        }
        match record {
            Record::Site(site) if self.origin.is_none() => {
                if site.version > VERSION {
                    let reason = format!("it is of form {}; this reads {VERSION}", site.version);
                    return Err(TransferError::Refused { place, reason });
                }
                self.begin(site.source, place).await
            }
            // Not what may be left out: nobody could know from where the rest is.
            _ if self.origin.is_none() => {
                let reason = "first, it must say what the file is (type site)".to_owned();
                Err(TransferError::Refused { place, reason })
            }
            Record::End { records } => {
                self.has_ended = true;
                if records == self.records - 1 {
                    return Ok(());
                }
                let reason = format!("{} came before it, not {records}", self.records - 1);
                self.refused(place, reason)
            }
            Record::Picture(picture) if self.options.pictures.is_none() => {
                let reason = "it is not said where its files are".to_owned();
                self.unmoved.note(picture.sha256, reason);
                Ok(())
            }
            record => match self.store(&record, &place).await {
                Ok(taken) => {
                    self.counts.count(&record, taken);
                    Ok(())
                }
                Err(Refusal::Reason(reason) | Refusal::Later(reason)) => {
                    self.refused(place, reason)
                }
                Err(Refusal::Database(error)) => Err(error.into()),
            },
        }
    }

    /// What has become of it.
    ///
    /// # Errors
    /// [`TransferError`], also if the file does not end with its last record.
    pub async fn finish(self) -> Result<Finished, TransferError> {
        if let Some(origin) = self.origin {
            let Imported {
                articles,
                pictures,
                terms,
                revisions,
                translations,
                menus,
                redirects,
                ..
            } = self.counts;
            let (now, target) = (self.db.clock().now(), format!("source:{}", origin.source));
            let after = json!({"articles": articles, "pictures": pictures, "terms": terms,
                               "revisions": revisions,
                               "translations": translations, "menus": menus,
                               "redirects": redirects});
            let act = OwnAct { action: "cms.import", target, before: None, after: Some(after) };
            self.db
                .transact(move |tx| {
                    Box::pin(async move {
                        tx.audit_of_service(SERVICE.name, &act, now);
                        Ok::<(), DbError>(())
                    })
                })
                .await?;
        }
        if !self.has_ended {
            let place = "the end".to_owned();
            let reason = "the file ends before its last line (type end)".to_owned();
            return Err(TransferError::Refused { place, reason });
        }
        let Self { counts: imported, skipped, unmoved, .. } = self;
        Ok(Finished { imported, skipped, unmoved })
    }

    async fn begin(&mut self, source: String, place: String) -> Result<(), TransferError> {
        if !(1..=200).contains(&source.len()) {
            let reason = "its source must have 1 to 200 bytes".to_owned();
            return Err(TransferError::Refused { place, reason });
        }
        let fresh = random_hex();
        let own =
            self.db.transact(move |tx| Box::pin(async move { site(tx, &fresh).await })).await?;
        self.origin = Some(Origin { is_same: own == source, source: source.into() });
        Ok(())
    }

    /// Something can't be taken in.
    fn refused(&mut self, place: String, reason: String) -> Result<(), TransferError> {
        if !self.options.skip {
            return Err(TransferError::Refused { place, reason });
        }
        self.skipped.note(place, reason);
        Ok(())
    }

    /// Stores one.
    async fn store(&mut self, record: &Record, place: &str) -> Result<Taken, Refusal> {
        let Some(origin) = &self.origin else { return Ok(Taken::default()) };
        let mut conn = self.db.reader().await?;
        let is_known = match record {
            Record::Article(article) => origin.known(&mut conn, &article.id).await?.is_some(),
            Record::Picture(picture) => origin.has_picture(&mut conn, picture).await?,
            _ => false,
        };
        drop(conn);
        if is_known {
            // Before anything is made of it.
            return Ok(Taken::default());
        }
        let mut tries = 0;
        let (prepared, left) = loop {
            tries += 1;
            match Box::pin(Prepared::new(self.db, record, &self.options)).await {
                Err(Refusal::Later(_)) if tries < TRIES => tokio::time::sleep(PAUSE).await,
                prepared => break prepared?,
            }
        };
        for (address, reason) in left {
            self.unmoved.note(format!("{address} ({place})"), reason);
        }
        let prepared = Arc::new(prepared);
        let mut tries = 0;
        loop {
            let fresh = Fresh::new(self.db, &prepared).await?;
            let (origin, options) = (origin.clone(), Arc::clone(&self.options));
            let (prepared, now) = (Arc::clone(&prepared), self.db.clock().now());
            let done = self
                .db
                .transact(move |tx| {
                    Box::pin(async move {
                        tx.makes_nothing_old();
                        Taking { tx, origin, options, fresh, now }.take(&prepared).await
                    })
                })
                .await;
            tries += 1;
            match done {
                // Whether it was done or not: what is there is passed over.
                Err(Refusal::Database(error)) if error.may_pass() && tries < TRIES => {
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }
}
