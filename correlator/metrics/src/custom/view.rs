use std::sync::Arc;

use super::{Definition, table::Values};
use crate::exposition::{Page, Point};

/// The series of one metric as a reading left them: whoever shows them, however slowly, keeps nobody from reading anew.
#[derive(Debug)]
pub struct View {
    pub(super) definition: Arc<Definition>,
    pub(super) series: Vec<(Values, Number)>,
}

/// The value of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Counter {
        value: u64,
        /// Of that, what was counted before anything was read.
        inherited: u64,
    },
    Gauge(u64),
    /// A gauge below 0.
    Below(i64),
}

impl View {
    /// Writes the family; nothing where no entry was read.
    pub fn write(&self, page: &mut Page<'_>) {
        if self.series.is_empty() {
            return;
        }
        let names = &self.definition.layout.labels;
        let mut family = page.family(&self.definition.metric());
        for (values, number) in &self.series {
            let labels =
                names.iter().zip(values.iter()).map(|(label, value)| (label.name.as_str(), &**value));
            let labels: Vec<_> = labels.filter(|(_, value)| !value.is_empty()).collect();
            let point = Point::own(&labels);
            match *number {
                Number::Counter { value, inherited } => {
                    family.value(&Point { inherited: Some(inherited), ..point }, value);
                }
                Number::Gauge(value) => family.value(&point, value),
                Number::Below(value) => family.signed(&point, value),
            }
            family.rest();
        }
    }
}
