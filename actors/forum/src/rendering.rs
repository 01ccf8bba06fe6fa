//! When and where Markdown is rendered: short texts at once, long ones in turn, off the async
//! threads, so that a flood of long posts costs those posts and not everybody's reads.

use panel_kernel::blocking::{BlockingPool, half_of_the_processors};
use panel_kernel::config::PoolConfig;
use panel_kernel::problem::Problem;

use crate::SERVICE;
use crate::error::ForumError;
use crate::markdown;

/// The longest text that is rendered at once. On the machine of `docs/benchmarks.md`, in a debug
/// build (its Markdown crates optimised), so many bytes of prose take 0.12 ms, and of the worst text
/// found (mail addresses) less than 0.8 ms; the longest post takes 7 ms, or 120 ms at worst.
const AT_ONCE_BYTES: usize = 512;

/// Renders posts. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Renderer(BlockingPool);

impl Renderer {
    /// For a service with this pool: long texts hold at most half of its workers.
    pub(crate) fn new(pool: PoolConfig) -> Self {
        let threads = half_of_the_processors().min(pool.workers);
        Self(BlockingPool::new(threads, (pool.workers / 2).saturating_sub(threads)))
    }

    /// The HTML of a text that is short.
    pub(crate) fn at_once(text: &str) -> Option<String> {
        (text.len() <= AT_ONCE_BYTES).then(|| markdown::render(text))
    }

    /// The HTML of a text of any length.
    pub(crate) async fn in_turn(&self, text: &str) -> Result<String, ForumError> {
        let busy = |_| Problem::unavailable(SERVICE.name, "too many long posts at once").into();
        let place = self.0.enter().map_err(busy)?;
        let text = text.to_owned();
        place.run(move || markdown::render(&text)).await.map_err(busy)
    }
}

#[cfg(test)]
impl Renderer {
    /// Takes every place there is, until what comes back is dropped.
    pub(crate) fn fill(&self) -> Vec<panel_kernel::blocking::Place> {
        std::iter::from_fn(|| self.0.enter().ok()).collect()
    }
}
