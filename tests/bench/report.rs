//! The figures, as a table.

use crate::load::Outcome;

/// One scenario's rounds, node and bare by turns.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub(crate) name: String,
    pub(crate) goal: f64,
    pub(crate) node: Vec<Outcome>,
    pub(crate) bare: Vec<Outcome>,
}

fn median(mut values: Vec<f64>) -> f64 {
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
        let pairs = self.node.iter().zip(&self.bare);
        let ratio = median(pairs.map(|(node, bare)| node.rate / bare.rate).collect());
        let cpu = |side: &[Outcome]| median(side.iter().map(|outcome| outcome.cpu).collect());
        let failed: usize = self.node.iter().chain(&self.bare).map(|outcome| outcome.failed).sum();
        let verdict = if ratio >= self.goal { "reached" } else { "**short**" };
        format!(
            "| {} | {:.0} | {:.0} | **{ratio:.2}** | {:.2} {verdict} | {:.2} / {:.2} | {:.1} / {:.1} \
             | {:.2} | {:.0} / {:.0} | {failed} |",
            self.name,
            rate(&self.node),
            rate(&self.bare),
            self.goal,
            p50(&self.node),
            p50(&self.bare),
            p99(&self.node),
            p99(&self.bare),
            p99(&self.node) / p99(&self.bare),
            cpu(&self.node),
            cpu(&self.bare),
        )
    }
}

/// The head of the table.
pub(crate) const HEAD: &str = "| scenario | node/s | bare/s | ratio | goal | p50 ms node / bare | p99 ms \
node / bare | p99 ratio | CPU µs per answer, node / bare | failed |\n\
|---|---|---|---|---|---|---|---|---|---|";
