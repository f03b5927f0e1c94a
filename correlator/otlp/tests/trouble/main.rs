//! Backends in trouble cost memory that is known beforehand, and a counter.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod backend;
mod exporting;
mod grpc;
mod http;
