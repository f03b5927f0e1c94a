//! Metrics that the operator defines: series from the entries of an eBPF map that somebody else's programs fill. What an entry's
//! bytes mean is a [`Layout`]; a [`Table`] makes series of them, within the limits that every other metric has.
mod layout;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use layout::{Field, Label, Layout, Part, Scalar};
pub use table::{Bounds, Reading, Table};
pub use view::View;

use crate::exposition::{Kind, Metric, Unit};

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// As OpenTelemetry has it: dots are underscores in Prometheus.
    pub name: String,
    /// What it means, in one line.
    pub help: String,
    /// Of its values.
    pub unit: Unit,
    /// A counter or a gauge.
    pub kind: Kind,
    /// What an entry's bytes are.
    pub layout: Layout,
}

impl Definition {
    /// As pages begin the family.
    pub fn metric(&self) -> Metric<'_> {
        Metric { name: &self.name, unit: self.unit, help: &self.help, kind: self.kind }
    }
}
