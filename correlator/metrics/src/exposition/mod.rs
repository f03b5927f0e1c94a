//! Metrics as others read them. What there is to show is said once, family by family and series by series, under the names of
//! OpenTelemetry; an [`Output`] writes it down: [`Scrape`] as Prometheus' text and protobuf formats and OpenMetrics have it,
//! and others elsewhere.
mod format;
mod name;
mod protobuf;
mod scrape;
#[cfg(test)]
mod tests;
mod text;

pub use format::Format;
pub use name::family as family_name;
pub use scrape::Scrape;

use crate::{PodLabels, series::Exemplar};

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
    /// Labels that say what the instance is.
    Info,
}

/// What is counted or measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things, which the name says.
    Count,
    /// Durations.
    Seconds,
    /// Sizes.
    Bytes,
}

/// A family of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric<'a> {
    /// As OpenTelemetry has it: `http.server.request.duration`.
    pub name: &'a str,
    /// Of its values.
    pub unit: Unit,
    /// What it means, in one line.
    pub help: &'a str,
    /// Which it is.
    pub kind: Kind,
}

/// A label's name, as OpenTelemetry has it, and its value.
pub type Label<'a> = (&'a str, &'a str);

/// Whose series it is, and which of its family.
#[derive(Clone, Copy, Debug, Default)]
pub struct Point<'a> {
    /// The pod that it tells of; absent: this instance.
    pub pod: Option<&'a PodLabels>,
    /// What tells it from the pod's others.
    pub labels: &'a [Label<'a>],
    /// When its first was counted, in ns since the epoch; absent: as long ago as this instance is.
    pub since: Option<u64>,
    /// Of a counter that somebody else keeps: what it had counted before this instance knew of it, since nobody knows when.
    pub inherited: Option<u64>,
}

impl<'a> Point<'a> {
    /// This instance's own.
    pub fn own(labels: &'a [Label<'a>]) -> Self {
        Self { labels, ..Self::default() }
    }

    /// A pod's.
    pub fn of(pod: &'a PodLabels, labels: &'a [Label<'a>]) -> Self {
        Self { pod: Some(pod), labels, ..Self::default() }
    }
}

/// A histogram's series as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Distribution<'a> {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Upper bounds, inclusive, with how many are at most so large; without `+Inf`.
    pub buckets: &'a [(f64, u64)],
    /// The same in exponential buckets, for the formats that have them.
    pub exponential: Option<Exponential<'a>>,
    /// One of them, for the formats that have exemplars.
    pub exemplar: Option<&'a Exemplar>,
}

impl<'a> Distribution<'a> {
    /// One that has nothing but its bounds.
    pub fn of(count: u64, sum: f64, buckets: &'a [(f64, u64)]) -> Self {
        Self { count, sum, buckets, exponential: None, exemplar: None }
    }
}

/// Exponential buckets of base `2^(2^-scale)`.
#[derive(Clone, Copy, Debug)]
pub struct Exponential<'a> {
    /// OpenTelemetry's scale, Prometheus' schema.
    pub scale: i32,
    /// How many are 0.
    pub zero_count: u64,
    /// OpenTelemetry's index of the first bucket: Prometheus' is one more.
    pub offset: i32,
    /// How many are in each bucket.
    pub counts: &'a [u64],
}

/// Where metrics are written. Series belong to the family that began last.
pub trait Output {
    /// A family begins; each has a name of its own.
    fn begin(&mut self, metric: &Metric<'_>);
    /// A series of a counter, a gauge or an info (whose value is 1).
    fn value(&mut self, point: &Point<'_>, value: u64);
    /// A series of a gauge that can be below 0.
    fn signed(&mut self, point: &Point<'_>, value: i64);
    /// A series of a histogram.
    fn distribution(&mut self, point: &Point<'_>, distribution: &Distribution<'_>);
    /// Between two series: whoever adds them holds no lock that others wait for, so this may take its time.
    fn rest(&mut self) {}
    /// The family is complete.
    fn end(&mut self);
}

/// What is to be shown, on its way to an output.
pub struct Page<'o> {
    output: &'o mut dyn Output,
}

/// A family of a page, to which series are added.
pub struct Family<'p> {
    output: &'p mut dyn Output,
}

impl<'o> Page<'o> {
    /// One that is written there.
    pub fn new(output: &'o mut dyn Output) -> Self {
        Self { output }
    }

    /// Begins a family.
    pub fn family(&mut self, metric: &Metric<'_>) -> Family<'_> {
        self.output.begin(metric);
        Family { output: self.output }
    }
}

impl Family<'_> {
    /// A series of a counter, a gauge or an info (whose value is 1).
    pub fn value(&mut self, point: &Point<'_>, value: u64) {
        self.output.value(point, value);
    }

    /// A series of a gauge that can be below 0.
    pub fn signed(&mut self, point: &Point<'_>, value: i64) {
        self.output.signed(point, value);
    }

    /// A series of a histogram.
    pub fn distribution(&mut self, point: &Point<'_>, distribution: &Distribution<'_>) {
        self.output.distribution(point, distribution);
    }

    /// Call it between series, where no lock is held that others wait for.
    pub fn rest(&mut self) {
        self.output.rest();
    }
}

impl Drop for Family<'_> {
    fn drop(&mut self) {
        self.output.end();
    }
}
