//! What the node gives to everything that runs on it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::blobs::Blobs;
use crate::cursor::Cursors;
use crate::directory::Directory;
use crate::faults;
use crate::ids::random_hex;
use crate::keys::ClusterKey;
use crate::metrics::Metrics;
use crate::redis::Redis;
use crate::supervision::Tree;
use crate::time::Clock;

/// Where a process finds its own program: the very one that runs, also where another has taken its place on the disk.
pub const ITSELF: &str = "/proc/self/exe";

/// Who this process is.
#[derive(Clone, Debug)]
pub struct NodeIdentity {
    /// The node's name, as configured.
    pub name: Arc<str>,
    /// Random per start, so that two lives of a node are told apart.
    pub boot: Arc<str>,
    /// The release of the program.
    pub version: &'static str,
}

impl NodeIdentity {
    /// A new life of the node of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), boot: random_hex().into(), version: faults::release() }
    }
}

/// The node's shared parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Who this is.
    pub node: NodeIdentity,
    /// The time.
    pub clock: Clock,
    /// The cluster's key.
    pub key: ClusterKey,
    /// Page cursors under that key.
    pub cursors: Cursors,
    /// Metrics.
    pub metrics: Metrics,
    /// The live supervision tree.
    pub tree: Tree,
    /// Who serves what.
    pub directory: Directory,
    /// What nodes share, if there is such a thing; [`Redis::none`] until the node says otherwise.
    pub redis: Redis,
    /// Where files are, if there is such a place; [`Blobs::none`] until the node says otherwise.
    pub blobs: Blobs,
    /// The services of this release, wherever they run. Empty where nobody has said.
    pub services: Arc<[&'static str]>,
    /// Whether limits hold that have to do with who somebody is: `limits.enabled`. True until the node
    /// says otherwise.
    pub limits: bool,
    /// Where this node keeps its files.
    pub data_dir: Arc<PathBuf>,
    /// This program, to be started in another role: the very one that runs, also where another has taken its place on
    /// the disk.
    pub program: Arc<PathBuf>,
    /// The address people use, without a slash at the end.
    pub public_url: Arc<str>,
    /// Whether that is known; else it is what this machine alone would use.
    pub knows_public_url: bool,
    /// Who issues tokens: the public URL where one is configured. It must outlive a change of
    /// port, or every token would end with a restart.
    pub issuer: Arc<str>,
}

impl Runtime {
    /// The parts that follow from the others.
    ///
    /// # Errors
    /// Only if the kernel's own metrics clash, which would be a fault of the program.
    pub fn new(
        node: NodeIdentity,
        clock: Clock,
        key: ClusterKey,
        data_dir: PathBuf,
        public_url: &str,
        issuer: &str,
    ) -> prometheus::Result<Self> {
        let metrics = Metrics::new()?;
        metrics.build.with_label_values(&[node.version, &node.name]).set(1.0);
        Ok(Self {
            cursors: Cursors::new(&key),
            tree: Tree::new(clock.clone(), metrics.clone()),
            directory: Directory::new(),
            redis: Redis::none(),
            blobs: Blobs::none(),
            services: Arc::default(),
            limits: true,
            data_dir: Arc::new(data_dir),
            program: Arc::new(PathBuf::from(ITSELF)),
            public_url: Arc::from(public_url.trim_end_matches('/')),
            knows_public_url: true,
            issuer: Arc::from(issuer.trim_end_matches('/')),
            metrics,
            node,
            clock,
            key,
        })
    }

    /// Whether this release has a service of that name.
    #[must_use]
    pub fn is_service(&self, name: &str) -> bool {
        self.services.contains(&name)
    }
}
