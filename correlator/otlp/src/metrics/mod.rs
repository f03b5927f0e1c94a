//! Metrics: families and series, as they are written by whoever has them, become requests.
mod collection;
mod measure;
mod point;
mod resources;
mod streams;
#[cfg(test)]
mod tests;

pub use collection::{Batch, Collection, Times};
pub use resources::Resources;
pub use streams::Streams;
