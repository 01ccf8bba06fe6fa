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
            pages: specs
                .clone()
                .flat_map(|spec| spec.pages.iter().map(move |page| (*page, spec.name)))
                .collect(),
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

    /// Who answers `path`.
    ///
    /// # Errors
    /// 404 for nobody; 410 for the first version of the API.
    pub(crate) fn resolve(&self, path: &str) -> Result<Target, Problem> {
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
        self.pages
            .iter()
            .find(|(page, _)| under(path, page))
            .map(|(_, service)| Target::Service(service))
            .ok_or_else(no_route)
    }
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
            pages: vec![("/setup", "auth")],
            open: HashSet::new(),
            uploads: Vec::new(),
        };
        assert_eq!(targets.resolve("/api/v2/forum/threads").unwrap(), Target::Service("forum"));
        assert_eq!(targets.resolve("/api/v2/forum").unwrap(), Target::Service("forum"));
        assert_eq!(targets.resolve("/setup").unwrap(), Target::Service("auth"));
        assert_eq!(targets.resolve("/api/v2/health").unwrap(), Target::Own("/api/v2/health"));
        let refused = |path: &str| targets.resolve(path).unwrap_err().kind;
        assert_eq!(refused("/api/v1/x"), Kind::Gone);
        assert_eq!(refused("/api/v1"), Kind::Gone);
        for path in ["/", "/api/v10", "/api/v2/forums", "/setups", "/.panel/events", "/api/v2/"] {
            assert_eq!(refused(path), Kind::NotFound, "{path}");
        }
    }
}
