//! Prometheus's text format, as far as tests ask: the value of a counter or gauge.

use std::collections::BTreeMap;

use crate::http::Client;

/// Everything that was counted at one moment.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Vec<Sample>);

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads the text.
    ///
    /// # Panics
    /// If a line is not of the format.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines.map(|line| sample(line).unwrap_or_else(|| panic!("no metric: {line}"))).collect(),
        )
    }

    /// Asks an ops port.
    pub async fn fetch(ops: &Client) -> Self {
        Self::parse(&ops.get("/metrics").await.expect(200).text())
    }

    /// The sum of all samples of `name` that carry at least these labels; 0 if there are none,
    /// because a counter shows only after its first event.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or(0.0)
    }

    /// The same, of something that is counted in whole numbers.
    ///
    /// # Panics
    /// If it is not a whole number.
    #[must_use]
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let value = self.value(name, labels);
        value.to_string().parse().unwrap_or_else(|_| panic!("{name}{labels:?} is {value}"))
    }

    /// The sum of all samples of `name` that carry at least these labels, if there are any.
    #[must_use]
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let matching = self.0.iter().filter(|sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| {
                    sample.labels.get(*label).is_some_and(|found| found == value)
                })
        });
        matching.map(|sample| sample.value).reduce(|sum, value| sum + value)
    }

    /// The names there are, each once.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let names: std::collections::BTreeSet<&str> =
            self.0.iter().map(|sample| sample.name.as_str()).collect();
        names.into_iter().collect()
    }
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    // A time stamp may follow the value.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// The labels up to the closing brace, and what follows it.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (label, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut escaped = false;
        let mut end = None;
        for (at, character) in quoted.char_indices() {
            match character {
                'n' if escaped => value.push('\n'),
                _ if escaped => value.push(character),
                '\\' => {
                    escaped = true;
                    continue;
                }
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                _ => value.push(character),
            }
            escaped = false;
        }
        labels.insert(label.to_owned(), value);
        rest = &quoted[end?..];
    }
}
