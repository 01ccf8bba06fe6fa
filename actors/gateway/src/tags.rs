//! By which tags an answer is made old: those of the service that gave it, and of others whose words are in it.

/// What stands between a service's name and a tag of it, in the answer of another service.
const OF: char = '/';

/// The tags of one answer, by the service whose they are: first of the one that gave it, whether it has any or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tags(Box<[OfService]>);

/// A service, and tags of it.
type OfService = (&'static str, Box<[Box<str>]>);

impl Tags {
    /// As `service` has said them, between spaces; `None` if one is of a service that `known` does not know: nobody
    /// would be told when it is old.
    pub(crate) fn parse(
        service: &'static str,
        said: &str,
        known: impl Fn(&str) -> Option<&'static str>,
    ) -> Option<Self> {
        let mut all: Vec<(&'static str, Vec<Box<str>>)> = vec![(service, Vec::new())];
        for tag in said.split_whitespace() {
            let (whose, tag) = match tag.split_once(OF) {
                Some((whose, tag)) => (known(whose)?, tag),
                None => (service, tag),
            };
            match all.iter_mut().find(|(service, _)| *service == whose) {
                Some((_, tags)) => tags.push(tag.into()),
                None => all.push((whose, vec![tag.into()])),
            }
        }
        Some(Self(all.into_iter().map(|(service, tags)| (service, tags.into())).collect()))
    }

    /// These of one service, whatever is in them.
    #[cfg(test)]
    pub(crate) fn of(service: &'static str, tags: &[&str]) -> Self {
        let tags = tags.iter().map(|tag| Box::from(*tag)).collect();
        Self([(service, tags)].into())
    }

    /// Each service, with its tags.
    pub(crate) fn by_service(&self) -> impl Iterator<Item = (&'static str, &[Box<str>])> {
        self.0.iter().map(|(service, tags)| (*service, &**tags))
    }

    /// As they were said.
    pub(crate) fn said(&self) -> String {
        let mut said = String::new();
        for (place, (service, tags)) in self.by_service().enumerate() {
            for tag in tags {
                if !said.is_empty() {
                    said.push(' ');
                }
                if place > 0 {
                    said.extend([service, "/"]);
                }
                said.push_str(tag);
            }
        }
        said
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|(_, tags)| tags.len()).sum()
    }

    /// What they take, in bytes, about.
    pub(crate) fn weight(&self) -> usize {
        let tags = self.0.iter().flat_map(|(_, tags)| tags);
        tags.map(|tag| tag.len() + 16).sum::<usize>() + 32 * self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(said: &str) -> Option<Tags> {
        Tags::parse("cms", said, |name| ["cms", "forum"].into_iter().find(|known| *known == name))
    }

    #[test]
    fn each_tag_is_of_who_gave_the_answer_or_of_whom_it_says() {
        let tags = parse("forum/thread:1 article:2  forum/discussion:2 cms/terms").unwrap();
        let all: Vec<_> = tags.by_service().map(|(whose, tags)| (whose, tags.join(","))).collect();
        assert_eq!(
            all,
            [("cms", "article:2,terms".to_owned()), ("forum", "thread:1,discussion:2".to_owned())]
        );
        assert_eq!(tags.len(), 4);
        let again = parse(&tags.said()).unwrap();
        assert_eq!(again, tags);
        // Who has none is made old by what makes everything of it old.
        for said in ["", "forum/threads"] {
            assert_eq!(parse(said).unwrap().by_service().next().unwrap().0, "cms", "{said}");
        }
        assert!(parse("other/thread:1").is_none() && parse("/thread:1").is_none());
    }
}
