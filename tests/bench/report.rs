//! The figures, as a table.

use crate::load::Outcome;

/// One scenario's rounds, by turns.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub(crate) name: String,
    pub(crate) goal: f64,
    /// What is measured.
    pub(crate) subject: Vec<Outcome>,
    /// What it is measured against.
    pub(crate) reference: Vec<Outcome>,
}

/// The value in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Rounds {
    /// A line of the table: rates, the median of the rounds' ratios, and tail latencies.
    pub(crate) fn line(&self) -> String {
        let rate = |side: &[Outcome]| median(side.iter().map(|outcome| outcome.rate).collect());
        #[allow(clippy::cast_precision_loss, reason = "microseconds")]
        let p99 = |side: &[Outcome]| median(side.iter().map(|o| o.p99 as f64 / 1_000.0).collect());
        #[allow(clippy::cast_precision_loss, reason = "microseconds")]
        let p50 = |side: &[Outcome]| median(side.iter().map(|o| o.p50 as f64 / 1_000.0).collect());
        let pairs = self.subject.iter().zip(&self.reference);
        let ratio = median(pairs.map(|(one, other)| one.rate / other.rate).collect());
        let cpu = |side: &[Outcome]| median(side.iter().map(|outcome| outcome.cpu).collect());
        let failed: usize =
            self.subject.iter().chain(&self.reference).map(|outcome| outcome.failed).sum();
        let verdict = if ratio >= self.goal { "reached" } else { "**short**" };
        format!(
            "| {} | {:.0} | {:.0} | **{ratio:.2}** | {:.2} {verdict} | {:.2} / {:.2} | {:.1} / {:.1} \
             | {:.2} | {:.0} / {:.0} | {failed} |",
            self.name,
            rate(&self.subject),
            rate(&self.reference),
            self.goal,
            p50(&self.subject),
            p50(&self.reference),
            p99(&self.subject),
            p99(&self.reference),
            p99(&self.subject) / p99(&self.reference),
            cpu(&self.subject),
            cpu(&self.reference),
        )
    }
}

impl Rounds {
    /// Of what is measured against what; nothing has been measured yet.
    pub(crate) const fn new(name: String, goal: f64) -> Self {
        Self { name, goal, subject: Vec::new(), reference: Vec::new() }
    }
}

/// The head of the table.
pub(crate) fn head(subject: &str, reference: &str) -> String {
    let both = format!("{subject} / {reference}");
    format!(
        "| scenario | {subject}/s | {reference}/s | ratio | goal | p50 ms {both} | p99 ms {both} \
         | p99 ratio | CPU µs per answer, {both} | failed |\n|---|---|---|---|---|---|---|---|---|---|"
    )
}
