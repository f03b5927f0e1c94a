//! What is counted of exchanges under the names of the semantic conventions, for whoever shows it. Series are made here and
//! nowhere else, so this is where hostile labels are bounded: `labels` (what an exchange is counted under), `guard` (how many
//! values a label may have), `pod` (a pod's series), `registry` (all of them). `requests` shows them; `beyla` says what these
//! series are called and labelled there; `istio` counts by itself, because its labels are others.
//!
//! Shared between the thread that counts and those that show: each pod has a lock of its own, held for microseconds, so that
//! nobody who reads everything makes the pipeline wait.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

pub mod beyla;
pub mod custom;
pub mod exposition;
mod family;
mod guard;
pub mod istio;
mod labels;
mod pod;
mod pod_labels;
mod profile;
mod registry;
pub mod requests;
mod series;
mod sizes;
#[cfg(test)]
mod tests;

pub use family::Family;
pub use labels::{Labels, OTHER, Status};
pub use pod_labels::PodLabels;
pub use profile::Profiles;
pub use registry::{PodFamily, PodSeries, Registry, RegistryCounts, Settings};
pub use series::{Exemplar, Series};
pub use sizes::{Bodies, SIZE_BOUNDS, Sizes};

/// Nanoseconds in the unit that the conventions have for durations.
#[expect(clippy::cast_precision_loss, reason = "a double is what the exposition formats have")]
pub fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
