//! When and where Markdown is rendered: short texts at once, long ones in turn, off the async
//! threads, so that a flood of long posts costs those posts and not everybody's reads.

use panel_kernel::blocking::{BlockingPool, half_of_the_processors};
use panel_kernel::config::PoolConfig;
use panel_kernel::problem::Problem;

use crate::markdown::{self, Dialect, Rendered};

/// The longest text that is rendered at once. On the machine of `docs/benchmarks.md`, in a debug
/// build (its Markdown crates optimised), so many bytes of prose take 0.12 ms, and of the worst text
/// found (mail addresses) less than 0.8 ms; the longest post takes 7 ms, or 120 ms at worst.
const AT_ONCE_BYTES: usize = 512;

/// What readers may have waiting to be computed for them.
const READERS_WAITING: usize = 8;

/// Renders posts, and computes what readers ask for; neither takes the other's places. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Renderer {
    service: &'static str,
    texts: BlockingPool,
    readers: BlockingPool,
}

impl Renderer {
    /// For a service with this pool: long texts hold at most half of its workers.
    #[must_use]
    pub fn new(service: &'static str, pool: PoolConfig) -> Self {
        let threads = half_of_the_processors().min(pool.workers);
        Self {
            service,
            texts: BlockingPool::new(threads, (pool.workers / 2).saturating_sub(threads)),
            readers: BlockingPool::new(1, READERS_WAITING),
        }
    }

    /// A text that is short, rendered.
    #[must_use]
    pub fn at_once(text: &str, dialect: &Dialect) -> Option<Rendered> {
        let is_short = text.len() <= AT_ONCE_BYTES && !markdown::may_have_code(text);
        is_short.then(|| markdown::render(text, dialect))
    }

    /// A text of any length, rendered.
    ///
    /// # Errors
    /// 503 if too many wait for it already.
    pub async fn in_turn(&self, text: &str, dialect: Dialect) -> Result<Rendered, Problem> {
        let text = text.to_owned();
        let render = move || markdown::render(&text, &dialect);
        self.run(&self.texts, "too many long texts at once", render).await
    }

    /// Something for somebody who reads. Who is refused hears `busy`.
    ///
    /// # Errors
    /// 503 if too many wait for it already.
    pub async fn for_readers<T: Send + 'static>(
        &self,
        busy: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(&self.readers, busy, work).await
    }

    /// Where long texts wait for their turn.
    #[must_use]
    pub const fn texts(&self) -> &BlockingPool {
        &self.texts
    }

    async fn run<T: Send + 'static>(
        &self,
        pool: &BlockingPool,
        busy: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = |_| Problem::unavailable(self.service, busy);
        let place = pool.enter().map_err(busy)?;
        place.run(work).await.map_err(busy)
    }
}
