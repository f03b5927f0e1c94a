//! What a cluster's API says of pods, services and endpoints, as inputs of the pipeline: workload, labels and node of the pods
//! of one node, and whose every other address is. Read only: get, list and watch, no more.
//!
//! `client` (where the API server is), `pod`, `service` and `slice` (what an object means; pure), `mirror` (what has changed
//! since), `addresses` (whose an address is), `watch` (the connection, for ever), `check` (one question, for people).
#![forbid(unsafe_code)]

mod addresses;
mod check;
mod client;
mod failure;
mod mirror;
mod pod;
mod service;
mod slice;
mod status;
mod watch;

pub use check::{Seen, check};
pub use client::{Client, ClientError, client};
pub use status::{Resource, ResourceStatus, Status};
pub use watch::{Options, watch};
