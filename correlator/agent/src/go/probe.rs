//! What is turned on and off by itself.
use super::group::Group;

/// Probes that are on together, or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// What weft itself wants to know.
    Group(Group),
    /// At the function of the metric with this number.
    Function(u32),
}
