//! Who answers a path: the gateway itself, or a service by its prefix.

use std::collections::HashSet;

use http::Method;
use panel_kernel::access::{UploadRoute, open_writes, uploads};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::service::ServiceSpec;

use crate::own::OWN_ROUTES;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The gateway, by this route of its own.
    Own(&'static str),
    /// The service of that name.
    Service(&'static str),
}

/// All prefixes.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    services: Vec<&'static str>,
    pages: Vec<(&'static str, &'static str)>,
    /// What anybody may change, by method and path.
    open: HashSet<(Method, String)>,
    /// Where files are sent to.
    uploads: Vec<UploadRoute>,
}

impl Targets {
    pub(crate) fn new<'a>(specs: impl Iterator<Item = &'a ServiceSpec> + Clone) -> Self {
        Self {
            services: specs.clone().map(|spec| spec.name).collect(),
            pages: longest_first(specs.clone()),
            open: specs.clone().flat_map(|spec| open_writes((spec.openapi)())).collect(),
            uploads: specs.flat_map(|spec| uploads((spec.openapi)())).collect(),
        }
    }

    /// Whether this changes something, and needs nobody to be signed in.
    pub(crate) fn is_open(&self, method: &Method, path: &str) -> bool {
        self.open.contains(&(method.clone(), path.to_owned()))
    }

    /// The route that takes a file, where this is sent to one.
    pub(crate) fn upload(&self, method: &Method, path: &str) -> Option<&UploadRoute> {
        self.uploads.iter().find(|route| route.method == *method && is_of(path, &route.path))
    }

    /// Who answers when `path` is asked for so.
    ///
    /// # Errors
    /// 404 for nobody; 410 for the first version of the API.
    pub(crate) fn resolve(&self, method: &Method, path: &str) -> Result<Target, Problem> {
        if let Some(route) = OWN_ROUTES.iter().find(|route| **route == path) {
            return Ok(Target::Own(route));
        }
        if let Some(rest) = path.strip_prefix("/api/v2/") {
            let name = rest.split('/').next().unwrap_or_default();
            let service = self.services.iter().find(|service| **service == name);
            return service.map(|service| Target::Service(service)).ok_or_else(no_route);
        }
        if under(path, "/api/v1") {
            return Err(Problem::new(Kind::Gone, "version 1 has ended; use /api/v2"));
        }
        if under(path, "/api") || path.starts_with("/.") {
            return Err(no_route());
        }
        self.pages
            .iter()
            .find(|(page, _)| under(path, page) && (!page.is_empty() || method.is_safe()))
            .map(|(_, service)| Target::Service(service))
            .ok_or_else(no_route)
    }
}

/// Pages of services, those first that say more.
fn longest_first<'a>(
    specs: impl Iterator<Item = &'a ServiceSpec>,
) -> Vec<(&'static str, &'static str)> {
    let mut pages: Vec<_> =
        specs.flat_map(|spec| spec.pages.iter().map(move |page| (*page, spec.name))).collect();
    pages.sort_by_key(|(page, _)| std::cmp::Reverse(page.len()));
    pages
}

fn no_route() -> Problem {
    Problem::new(Kind::NotFound, "there is no such route")
}

/// Whether `path` is one of those that `template` stands for.
fn is_of(path: &str, template: &str) -> bool {
    let (mut segments, mut wanted) = (path.split('/'), template.split('/'));
    loop {
        match (segments.next(), wanted.next()) {
            (None, None) => return true,
            (Some(segment), Some(name)) if name.starts_with('{') && !segment.is_empty() => {}
            (Some(segment), Some(literal)) if segment == literal => {}
            _ => return false,
        }
    }
}

/// Whether `path` is `prefix` or below it.
fn under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_stands_for_paths() {
        for (path, template, expected) in [
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/{id}", true),
            ("/a/", "/a/{id}", false),
            ("/a", "/a/{id}", false),
            ("/a/b/c", "/a/{id}", false),
            ("/a/b/c", "/a/{id}/c", true),
            ("/a/b/d", "/a/{id}/c", false),
        ] {
            assert_eq!(is_of(path, template), expected, "{path} {template}");
        }
    }

    #[test]
    fn prefixes_are_whole_segments() {
        let targets = Targets {
            services: vec!["forum", "auth"],
            pages: vec![("/setup", "auth"), ("/blog", "cms"), ("", "cms")],
            open: HashSet::new(),
            uploads: Vec::new(),
        };
        let get = |path: &str| targets.resolve(&Method::GET, path);
        assert_eq!(get("/api/v2/forum/threads").unwrap(), Target::Service("forum"));
        assert_eq!(get("/api/v2/forum").unwrap(), Target::Service("forum"));
        assert_eq!(get("/setup").unwrap(), Target::Service("auth"));
        assert_eq!(get("/api/v2/health").unwrap(), Target::Own("/api/v2/health"));
        // What nobody else serves is somebody's, where it is read.
        for path in ["/", "/setups", "/2019/05/hello", "/apis"] {
            assert_eq!(get(path).unwrap(), Target::Service("cms"), "{path}");
            assert!(targets.resolve(&Method::POST, path).is_err(), "{path}");
        }
        assert_eq!(targets.resolve(&Method::POST, "/blog").unwrap(), Target::Service("cms"));
        let refused = |path: &str| get(path).unwrap_err().kind;
        assert_eq!(refused("/api/v1/x"), Kind::Gone);
        assert_eq!(refused("/api/v1"), Kind::Gone);
        for path in ["/api", "/api/v10", "/api/v2/forums", "/.panel/events", "/api/v2/", "/.env"] {
            assert_eq!(refused(path), Kind::NotFound, "{path}");
        }
    }
}
