//! Programs that Go's toolchains built, against what Go's and GNU's own tools say of them. They need Go (which fetches its
//! other versions by itself), gcc and binutils: `cargo xtask test` runs them, or `cargo test -p weft-gobin -- --ignored`.
mod build;
mod counters;
mod damaged;
mod members;
mod named;
mod oracle;
mod places;

pub use build::{Program, VERSIONS, Variant};
