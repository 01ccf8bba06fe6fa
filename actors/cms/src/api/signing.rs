//! Whose an article is, and which it says the same as in another language: what a request names, as it is.

use std::collections::BTreeSet;
use std::time::Duration;

use panel_kernel::http::{Caller, RouteError, SignedIn};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use panel_kernel::service::{Told, read};
use serde::Deserialize;

use super::Cms;
use super::articles::seen;
use super::writing::Writing;
use crate::rules;
use crate::store::articles::Article;
use crate::store::people::{self, Person};
use crate::store::translations;

/// Who knows accounts.
const AUTH: &str = "auth";
/// How long it has to tell what they are called.
const PATIENCE: Duration = Duration::from_secs(5);

/// Accounts that somebody names as authors, the first as whose it is; with what they are called, as far as anybody knows
/// them.
pub(super) type Signed = Vec<(Id, Option<String>)>;

#[derive(Debug, Deserialize)]
struct Answer {
    people: Vec<Known>,
}

#[derive(Debug, Deserialize)]
struct Known {
    id: Id,
    name: String,
}

impl Cms {
    /// What those are called: as it is known here, else as auth says.
    ///
    /// # Errors
    /// 503 or 504 if auth would have to tell, and does not.
    pub(super) async fn called(
        &self,
        caller: &Caller,
        by: &SignedIn,
        ids: Vec<Id>,
    ) -> Result<Signed, RouteError> {
        let wanted: BTreeSet<Id> = ids.iter().copied().collect();
        let mut names = people::known(&mut self.db.reader().await?, &wanted).await?;
        names.entry(by.user.id).or_insert_with(|| Some(by.user.name.trim().to_owned()));
        let unknown: Vec<String> =
            wanted.iter().filter(|id| !names.contains_key(id)).map(Id::to_string).collect();
        if !unknown.is_empty() {
            let path = format!("/.panel/people?ids={}", unknown.join(","));
            let told: Told<Answer> = read(&self.runtime, AUTH, caller, &path, PATIENCE).await?;
            names.extend(told.value.people.into_iter().map(|it| (it.id, Some(it.name))));
        }
        Ok(ids.into_iter().map(|id| (id, names.get(&id).cloned().flatten())).collect())
    }
}

impl Writing<'_> {
    /// The article by these; who is gone stays what they were.
    pub(super) async fn signed(
        &mut self,
        article: &mut Article,
        signed: Signed,
    ) -> Result<(), RouteError> {
        let first = signed.first().map_or(article.author.0, |(id, _)| *id);
        rules::may_sign(self.viewer, article.author.0, first)?;
        let mut all: Vec<Person> = Vec::new();
        for (id, name) in signed {
            let before = article.authors().find(|(known, _)| *known == id).cloned();
            let unknown = || {
                let message = format!("there is no account {id}");
                Problem::field("authors", "unknown", message)
            };
            all.push(match before {
                Some(before) => before,
                None => (id, name.ok_or_else(unknown)?),
            });
        }
        // From here on auth's facts keep the names of those, whichever comes first.
        people::note(self.tx, &all).await?;
        let fresh: BTreeSet<Id> = all.iter().map(|(id, _)| *id).collect();
        let names = people::known(self.tx, &fresh).await?;
        for (id, name) in &mut all {
            if let Some(Some(known)) = names.get(id) {
                name.clone_from(known);
            }
        }
        let mut all = all.into_iter();
        if let Some(first) = all.next() {
            article.author = first;
        }
        article.co_authors = all.collect();
        Ok(())
    }

    /// The article as a translation of the one of that name, or of whatever that one translates.
    pub(super) async fn translates(
        &mut self,
        article: &mut Article,
        of: &str,
    ) -> Result<(), RouteError> {
        let unknown = || {
            let message = "there is no such article in another language";
            Problem::field("translation_of", "unknown", message)
        };
        let found = match seen(self.tx, article.kind, of, self.viewer).await {
            Err(RouteError::NotFound(_)) => return Err(unknown().into()),
            found => found?,
        };
        // Whichever was there first, all others name it.
        let first = found.group().ok_or_else(unknown)?;
        if first == article.id {
            return Err(unknown().into());
        }
        if translations::has_some(self.tx, article.id).await? {
            let problem = Problem::new(
                ProblemKind::Conflict,
                "others are translations of this article; say of the other one that it is one",
            );
            return Err(problem.code("has_translations").into());
        }
        article.translation_of = Some(first);
        Ok(())
    }

    /// Of all that say the same, each is in a language of its own, which is known.
    pub(super) async fn speaks(&mut self, article: &Article) -> Result<(), RouteError> {
        let Some(group) = article.group() else {
            if article.translation_of.is_some() {
                let message = "must be said of what is a translation";
                return Err(Problem::field("language", "required", message).into());
            }
            return Ok(());
        };
        let mut others = translations::of(self.tx, group).await?;
        others.retain(|other| other.id != article.id);
        if others.len() >= translations::MOST {
            let detail = "there are as many translations as there may be";
            return Err(Problem::new(ProblemKind::Conflict, detail).code("too_many").into());
        }
        let same =
            |other: &translations::Translation| Some(&other.language) == article.language.as_ref();
        match others.into_iter().find(same) {
            Some(other) => {
                let detail = format!("it is there in this language already: {}", other.slug);
                Err(Problem::new(ProblemKind::Conflict, detail).code("translation_exists").into())
            }
            None => Ok(()),
        }
    }
}
