//! Who wants to hear what. Known when the program is built: every node knows every service's
//! wishes, also of services that run elsewhere.

/// A consuming service's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The publishing service; `*` for all.
    pub source: &'static str,
    /// Topics, exact or ending in `*`: `user.*`.
    pub topics: &'static [&'static str],
}

impl Subscription {
    fn wants(&self, topic: &str) -> bool {
        wants(self.topics, topic)
    }
}

/// Whether a topic is one of these, which are exact or end in `*`.
pub(super) fn wants(topics: &[&str], topic: &str) -> bool {
    topics.iter().any(|wanted| {
        wanted.strip_suffix('*').map_or(topic == *wanted, |prefix| topic.starts_with(prefix))
    })
}

/// One consumer, as the publishing side sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlet {
    /// The consuming service.
    pub consumer: &'static str,
    subscriptions: Vec<Subscription>,
}

impl Outlet {
    /// The outlets of `source`, given every service's wishes.
    pub fn of<'a>(
        source: &str,
        services: impl IntoIterator<Item = (&'static str, &'a [Subscription])>,
    ) -> Vec<Self> {
        services
            .into_iter()
            .filter_map(|(consumer, subscriptions)| {
                let subscriptions: Vec<Subscription> = subscriptions
                    .iter()
                    .filter(|wish| wish.source == "*" || wish.source == source)
                    .copied()
                    .collect();
                (!subscriptions.is_empty()).then_some(Self { consumer, subscriptions })
            })
            .collect()
    }

    /// Whether this consumer wants to hear of `topic`.
    #[must_use]
    pub fn wants(&self, topic: &str) -> bool {
        self.subscriptions.iter().any(|wish| wish.wants(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_matched_by_source_and_topic() {
        let forum = [Subscription { source: "auth", topics: &["user.*"] }];
        let admin = [Subscription { source: "*", topics: &["audit"] }];
        let all: [(&str, &[Subscription]); 2] = [("forum", &forum), ("admin", &admin)];
        let of_auth = Outlet::of("auth", all);
        assert_eq!(of_auth.len(), 2);
        assert!(of_auth[0].wants("user.registered") && !of_auth[0].wants("audit"));
        assert!(of_auth[1].wants("audit") && !of_auth[1].wants("audit.more"));
        let of_forum = Outlet::of("forum", all);
        assert_eq!(of_forum.iter().map(|outlet| outlet.consumer).collect::<Vec<_>>(), ["admin"]);
    }
}
