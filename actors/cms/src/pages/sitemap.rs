//! What search engines are told: where everything is, a part for each month, and what they are to leave alone.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;
use panel_kernel::http::{CacheFor, Caller, RouteError, Segments};
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;

use crate::api::Shared;
use crate::rules::{Kind, path};
use crate::store::shown;
use crate::tags;

/// Places in a part: as many as fit into an answer, and fewer than there may be (50,000).
const MOST: i64 = 5_000;
/// Months in the index: fifty years.
const MONTHS: usize = 600;

#[derive(Template)]
#[template(path = "sitemap.xml")]
enum Sitemap {
    /// The parts.
    Index(Vec<String>),
    /// Places, and when each was changed last.
    Part(Vec<(String, String)>),
}

/// A month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Month {
    year: i32,
    /// From 1.
    month: u8,
}

impl Month {
    fn of(at: Timestamp) -> Option<Self> {
        Self::parse(at.to_string().get(..7)?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let is_number = |text: &str, digits| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let month = month.parse().ok().filter(|_| is_number(month, 2))?;
        let year = year
            .parse()
            .ok()
            .filter(|year| is_number(text.get(..4).unwrap_or_default(), 4) && *year >= 1970)?;
        (1..=12).contains(&month).then_some(Self { year, month })
    }

    /// From when to when it is.
    const fn bounds(self) -> (Timestamp, Timestamp) {
        let (year, month) =
            if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        (Timestamp::midnight(self.year, self.month, 1), Timestamp::midnight(year, month, 1))
    }
}

/// `GET /sitemap.xml`
pub(super) async fn index(
    State(cms): State<Shared>,
    caller: Caller,
) -> Result<Response, RouteError> {
    let url = &cms.public_url;
    let mut conn = cms.db.reader().await?;
    let end = Timestamp::from_micros(i64::MAX);
    let mut parts = Vec::new();
    if shown::last_before(&mut conn, Kind::Page, end).await?.is_some() {
        parts.push(format!("{url}/sitemap/pages.xml"));
    }
    let mut before = end;
    while let Some(month) =
        shown::last_before(&mut conn, Kind::Post, before).await?.and_then(Month::of)
        && parts.len() < MONTHS
    {
        parts.push(format!("{url}/sitemap/{:04}-{:02}.xml", month.year, month.month));
        before = month.bounds().0;
    }
    answer(&caller, &Sitemap::Index(parts))
}

/// `GET /sitemap/{part}`: `pages.xml`, or a month of posts, such as `2026-05.xml`.
pub(super) async fn part(
    State(cms): State<Shared>,
    caller: Caller,
    Segments(part): Segments<String>,
) -> Result<Response, RouteError> {
    let name = part.strip_suffix(".xml").unwrap_or_default();
    let (kind, when) = if name == "pages" {
        (Kind::Page, (Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX)))
    } else {
        let month = Month::parse(name).ok_or(RouteError::NotFound("part of the site"))?;
        (Kind::Post, month.bounds())
    };
    let found = shown::between(&mut cms.db.reader().await?, kind, when, MOST).await?;
    if found.is_empty() {
        return Err(RouteError::NotFound("part of the site"));
    }
    let place = |(slug, at): (String, Timestamp)| {
        (format!("{}{}", cms.public_url, path(kind, &slug)), at.to_string())
    };
    answer(&caller, &Sitemap::Part(found.into_iter().map(place).collect()))
}

fn answer(caller: &Caller, map: &Sitemap) -> Result<Response, RouteError> {
    let xml = map.render().map_err(|_| Problem::internal())?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::ARTICLES]);
    let kind = [(header::CONTENT_TYPE, "application/xml; charset=utf-8")];
    Ok((cache, kind, xml).into_response())
}

/// `GET /robots.txt`
pub(super) async fn robots(State(cms): State<Shared>, caller: Caller) -> Response {
    let url = &cms.public_url;
    let text = format!(
        "User-agent: *\nDisallow: /api/\nDisallow: /blog/preview/\nSitemap: {url}/sitemap.xml\n"
    );
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::ARTICLES]);
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (cache, kind, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_and_end_where_the_next_begins() {
        let may = Month::parse("2026-05").unwrap();
        assert_eq!(Month::of(may.bounds().0), Some(may));
        assert_eq!(may.bounds().1, Month::parse("2026-06").unwrap().bounds().0);
        assert_eq!(Month::parse("2026-12").unwrap().bounds().1, Timestamp::midnight(2027, 1, 1));
        for wrong in ["2026-13", "2026-00", "2026-5", "26-05", "1969-01", "pages", "", "+026-05"] {
            assert_eq!(Month::parse(wrong), None, "{wrong}");
        }
    }
}
