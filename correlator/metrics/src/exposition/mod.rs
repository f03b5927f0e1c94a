//! Metrics as scrapers read them: Prometheus' text and protobuf formats, and OpenMetrics (the same text with exemplars). The
//! one who scrapes says which. Written family by family, series by series: nothing but the page is held.
use std::fmt::Write as _;

mod format;
mod protobuf;
#[cfg(test)]
mod tests;
mod text;

pub use format::Format;

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; the name is given without `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
    /// Labels that say what something is; the name is given without `_info`.
    Info,
}

/// A label's name and its value.
pub type Label<'a> = (&'a str, &'a str);

/// A histogram's series as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Distribution<'a> {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Upper bounds, inclusive, with how many are at most so large; without `+Inf`.
    pub buckets: &'a [(f64, u64)],
    /// The same as a native histogram, for the format that has it.
    pub native: Option<Native<'a>>,
    /// One of them, for the formats that have exemplars.
    pub exemplar: Option<Sample<'a>>,
}

impl<'a> Distribution<'a> {
    /// One that has nothing but its bounds.
    pub fn of(count: u64, sum: f64, buckets: &'a [(f64, u64)]) -> Self {
        Self { count, sum, buckets, native: None, exemplar: None }
    }
}

/// Exponential buckets of base `2^(2^-schema)`.
#[derive(Clone, Copy, Debug)]
pub struct Native<'a> {
    /// Prometheus' schema, OpenTelemetry's scale.
    pub schema: i32,
    /// How many are 0.
    pub zero_count: u64,
    /// OpenTelemetry's index of the first bucket: Prometheus' is one more.
    pub offset: i32,
    /// How many are in each bucket.
    pub counts: &'a [u64],
}

/// One of those that a series counted.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// What leads to it.
    pub labels: &'a [Label<'a>],
    /// Its value.
    pub value: f64,
    /// Ns since the epoch.
    pub time_ns: u64,
}

/// What is scraped.
#[derive(Debug)]
pub struct Page {
    format: Format,
    text: String,
    bytes: Vec<u8>,
}

/// A family of a page, to which series are added.
#[derive(Debug)]
pub struct Family<'p> {
    page: &'p mut Page,
    name: String,
    kind: Kind,
    /// Of the protobuf format: the family so far.
    message: protobuf::Family,
    /// Of the text formats.
    lines: text::Lines,
}

impl Page {
    /// An empty one.
    pub fn new(format: Format) -> Self {
        Self { format, text: String::new(), bytes: Vec::new() }
    }

    /// Begins a family; each has a name of its own. What it means is one line.
    pub fn family(&mut self, name: &str, help: &str, kind: Kind) -> Family<'_> {
        let openmetrics = self.format == Format::OpenMetrics;
        let full = text::sample_name(name, kind);
        if self.format == Format::Protobuf {
            let message = protobuf::Family::new(&full, help, kind);
            return Family { page: self, name: full, kind, message, lines: text::Lines::default() };
        }
        let family = if openmetrics { name } else { &full };
        text::header(&mut self.text, (family, help), kind, openmetrics);
        let (message, lines) = Default::default();
        Family { page: self, name: full, kind, message, lines }
    }

    /// The whole page.
    pub fn finish(mut self) -> Vec<u8> {
        match self.format {
            Format::Protobuf => self.bytes,
            Format::Text => self.text.into_bytes(),
            Format::OpenMetrics => {
                self.text.push_str("# EOF\n");
                self.text.into_bytes()
            }
        }
    }
}

impl Family<'_> {
    /// A series of a counter, a gauge or an info (whose value is 1).
    pub fn value(&mut self, labels: &[Label<'_>], value: u64) {
        if self.page.format == Format::Protobuf {
            return self.message.value(labels, self.kind, value);
        }
        let text = &mut self.page.text;
        text.push_str(&self.name);
        text::labels(text, labels);
        // Writing to a string does not fail.
        let _ = writeln!(text, " {value}");
    }

    /// A series of a histogram.
    pub fn distribution(&mut self, labels: &[Label<'_>], distribution: &Distribution<'_>) {
        match self.page.format {
            Format::Protobuf => self.message.distribution(labels, distribution),
            format => {
                let sample = distribution.exemplar.as_ref().filter(|_| format == Format::OpenMetrics);
                let out = (&mut self.page.text, &mut self.lines);
                text::distribution(out, &self.name, labels, distribution, sample);
            }
        }
    }
}

impl Drop for Family<'_> {
    fn drop(&mut self) {
        if self.page.format == Format::Protobuf {
            self.message.write(&mut self.page.bytes);
        }
    }
}
