//! What users see when something breaks: each line of the degradation contract, on real nodes.
//!
//! Each test puts a load on a cluster, breaks something, and looks at what the load has seen and
//! at what is stored. The short form runs with all other tests; `make faults` runs all of it
//! under a larger load, and reports the figures.

mod certificates;
mod clocks;
mod crash;
mod database;
mod example;
mod freeze;
mod gone;
mod membership;
mod memory;
mod overload;
mod partition;
mod points;
mod random;
mod redis;
mod releases;
mod rogues;
mod rolling;
mod scale;
mod scene;
mod strangers;
mod wedged;
