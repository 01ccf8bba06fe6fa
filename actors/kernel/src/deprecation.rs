//! Routes that are to end, and say so: in the `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and `Link` of every answer,
//! and in the OpenAPI document.

use axum::middleware::map_response;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use utoipa::openapi::Deprecated;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::access::{extend, operations};
use crate::time::Timestamp;

/// The moment since when a route should no longer be used: `@` and seconds.
pub const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
/// The moment from when on it may be gone.
pub const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Where the OpenAPI document has the same.
pub const SUNSET_EXTENSION: &str = "x-panel-sunset";
const SUCCESSOR_EXTENSION: &str = "x-panel-successor";

/// That a route is to end. Give it by `access::Guarded::deprecated`.
#[derive(Clone, Copy, Debug)]
pub struct Deprecation {
    since: Timestamp,
    sunset: Option<Timestamp>,
    successor: Option<&'static str>,
}

impl Deprecation {
    /// It should not be used since then.
    #[must_use]
    pub const fn since(since: Timestamp) -> Self {
        Self { since, sunset: None, successor: None }
    }

    /// From then on it may be gone, and a release may leave it out.
    #[must_use]
    pub const fn sunset(mut self, at: Timestamp) -> Self {
        self.sunset = Some(at);
        self
    }

    /// What is to be used instead: a path.
    #[must_use]
    pub const fn successor(mut self, path: &'static str) -> Self {
        self.successor = Some(path);
        self
    }

    /// These routes, of which all answers and the document say it.
    pub(crate) fn of<S: Clone + Send + Sync + 'static>(
        self,
        routes: UtoipaMethodRouter<S>,
    ) -> UtoipaMethodRouter<S> {
        let (schemas, mut paths, handlers) = routes;
        for item in paths.paths.values_mut() {
            for (_, operation) in operations(item) {
                operation.deprecated = Some(Deprecated::True);
                let mut more = ExtensionsBuilder::new();
                if let Some(sunset) = self.sunset {
                    more = more.add(SUNSET_EXTENSION, sunset.to_string());
                }
                if let Some(successor) = self.successor {
                    more = more.add(SUCCESSOR_EXTENSION, successor);
                }
                extend(operation, more);
            }
        }
        let told = self.headers();
        let handlers = handlers.route_layer(map_response(move |mut response: Response| {
            let headers = response.headers_mut();
            for (name, value) in &told {
                headers.append(name, value.clone());
            }
            std::future::ready(response)
        }));
        (schemas, paths, handlers)
    }

    fn headers(self) -> HeaderMap {
        let sunset = self.sunset.and_then(Timestamp::http_date);
        let link = self.successor.map(|path| format!("<{path}>; rel=\"successor-version\""));
        let all = [
            (DEPRECATION, Some(format!("@{}", self.since.as_seconds()))),
            (SUNSET, sunset),
            (header::LINK, link),
        ];
        let told = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        // What can't be a header is in the document all the same.
        told.filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_as_its_standards_say() {
        // The examples of RFC 9745, 2.1 and of RFC 8594, 3.
        let since = Timestamp::from_seconds(1_688_169_599);
        let sunset = Timestamp::from_seconds(1_546_300_799);
        let told = Deprecation::since(since).sunset(sunset).successor("/api/v2/a").headers();
        assert_eq!(told[DEPRECATION], "@1688169599");
        assert_eq!(told[SUNSET], "Mon, 31 Dec 2018 23:59:59 GMT");
        assert_eq!(told[header::LINK], "</api/v2/a>; rel=\"successor-version\"");
        assert_eq!(Deprecation::since(since).headers().len(), 1);
    }
}
