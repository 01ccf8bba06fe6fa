//! How one service's requests are spread, as it is looked up for each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use panel_kernel::config::Span;

use super::config::{Canary, Mirror, OTHERS, Outliers, Route, ServiceTraffic};
use crate::matching::begins;

/// How one service's requests are spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Of the releases that are named, and of all others.
    weights: BTreeMap<String, u32>,
    others: u32,
    canary: Option<Canary>,
    pub(crate) mirror: Option<Mirror>,
    pub(crate) outliers: Option<Outliers>,
    timeout: Option<Span>,
    /// The longest paths first.
    routes: Vec<Route>,
}

impl Policy {
    pub(super) fn new(traffic: &ServiceTraffic) -> Self {
        let ServiceTraffic { mut weights, canary, mirror, outliers, timeout, mut routes } =
            traffic.clone();
        if weights.is_empty() {
            // What is only tried, or only shown copies, gets nothing else.
            let tried = canary.iter().map(|canary| &canary.release);
            let shown = mirror.iter().map(|mirror| &mirror.release);
            weights.extend(tried.chain(shown).map(|release| (release.clone(), 0)));
            weights.insert(OTHERS.to_owned(), 1);
        }
        let others = weights.remove(OTHERS).unwrap_or_default();
        // Stable.
        routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
        Self { weights, others, canary, mirror, outliers, timeout, routes }
    }

    /// How long such a request may take inside, if that is not as everywhere.
    pub(crate) fn timeout(&self, method: &Method, path: &str) -> Option<Duration> {
        let mut routes = self.routes.iter();
        let is_meant = |route: &&Route| route.methods.include(method) && begins(path, &route.path);
        let timeout = routes.find(is_meant).map(|route| route.timeout).or(self.timeout);
        timeout.map(|timeout| timeout.0)
    }

    /// The longest that any may take, if that is said.
    pub(super) fn longest_timeout(&self) -> Option<Duration> {
        let all = self.routes.iter().map(|route| route.timeout).chain(self.timeout);
        all.map(|timeout| timeout.0).max()
    }

    /// Whether these headers ask for the release that is to be tried.
    pub(crate) fn is_canary(&self, headers: &HeaderMap) -> bool {
        self.canary.as_ref().is_some_and(|Canary { header, value, .. }| {
            let mut sent = headers.get_all(header).iter();
            sent.any(|sent| value.is_empty() || sent.as_bytes() == value.as_bytes())
        })
    }

    /// The header on which it depends by which release a request is answered.
    pub(crate) fn canary_header(&self) -> Option<&HeaderName> {
        self.canary.as_ref().map(|canary| &canary.header)
    }

    /// Keeps those of the members `fit`, each of a release, of whose release a request is answered: of the one that is
    /// to be tried, if it asks for that; else of one that is drawn by the weights, in which `point` is a share of all.
    /// Where that can't be, all of them.
    pub(crate) fn narrow<T>(
        &self,
        fit: &mut Vec<T>,
        release: impl Fn(&T) -> &str,
        (is_canary, point): (bool, u64),
    ) {
        let is_tried = |member: &T| self.is_tried(release(member));
        if is_canary && fit.iter().any(is_tried) {
            fit.retain(is_tried);
            return;
        }
        let group = |member: &T| self.group(release(member));
        if let Some(drawn) = self.draw(|one| fit.iter().any(|member| group(member) == one), point) {
            fit.retain(|member| group(member) == drawn);
        }
    }

    fn is_tried(&self, release: &str) -> bool {
        self.canary.as_ref().is_some_and(|canary| canary.release == release)
    }

    /// By what a request was answered by this release.
    pub(crate) fn chosen(&self, release: &str, is_canary: bool) -> Chosen {
        match is_canary && self.is_tried(release) {
            true => Chosen::Canary,
            false if self.weights.is_empty() => Chosen::Balance,
            false => Chosen::Weights,
        }
    }

    /// Draws a group of those that are there, by their weights.
    fn draw(&self, is_there: impl Fn(Group<'_>) -> bool, point: u64) -> Option<Group<'_>> {
        let named = self.weights.iter().map(|(release, weight)| (Group::Of(release), *weight));
        let groups = named.chain([(Group::Others, self.others)]);
        let groups: Vec<_> = groups.filter(|(group, _)| is_there(*group)).collect();
        let total: u128 = groups.iter().map(|(_, weight)| u128::from(*weight)).sum();
        // Below the sum of the weights; if that is 0, below none of them.
        let at = (u128::from(point) * total) >> 64;
        let mut below = 0;
        let mut groups = groups.into_iter();
        let drawn = groups.find(|(_, weight)| {
            below += u128::from(*weight);
            at < below
        });
        drawn.map(|(group, _)| group)
    }

    fn group(&self, release: &str) -> Group<'_> {
        let named = self.weights.get_key_value(release);
        named.map_or(Group::Others, |(named, _)| Group::Of(named))
    }
}

/// What a release is as far as weights are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group<'p> {
    /// It has one of its own.
    Of(&'p str),
    /// It has that of all others together.
    Others,
}

/// By what the release was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// By nothing: any will do.
    #[default]
    Balance,
    Weights,
    Canary,
}

impl Chosen {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Weights => "weights",
            Self::Canary => "canary",
        }
    }
}
