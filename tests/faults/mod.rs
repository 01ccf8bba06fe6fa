//! What users see when something breaks: each line of the degradation contract, on real nodes.
//!
//! Each test puts a load on a cluster, breaks something, and looks at what the load has seen and
//! at what is stored. The short form runs with all other tests; `make faults` runs all of it, and
//! reports the figures.

mod crash;
mod freeze;
mod partition;
mod rolling;
mod scene;
mod strangers;
