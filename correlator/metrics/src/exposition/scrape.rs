use std::fmt::Write as _;

use super::{Distribution, Format, Kind, Label, Metric, Output, Point, name, protobuf, text};

/// What is scraped, written series by series: nothing but the page is held.
#[derive(Debug)]
pub struct Scrape {
    format: Format,
    text: String,
    bytes: Vec<u8>,
    /// The samples' name in the family that began last.
    name: String,
    kind: Kind,
    /// Of the protobuf format: the family so far.
    message: protobuf::Family,
    /// Of the text formats.
    lines: text::Lines,
}

impl Scrape {
    /// An empty one.
    pub fn new(format: Format) -> Self {
        let (text, bytes, name) = Default::default();
        let (message, lines) = Default::default();
        Self { format, text, bytes, name, kind: Kind::Info, message, lines }
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

impl Output for Scrape {
    fn begin(&mut self, metric: &Metric<'_>) {
        self.name = name::sample(metric);
        self.kind = metric.kind;
        match self.format {
            Format::Protobuf => self.message = protobuf::Family::new(&self.name, metric.help, metric.kind),
            format => {
                self.lines = text::Lines::default();
                let openmetrics = format == Format::OpenMetrics;
                let family = if openmetrics { &name::family(metric) } else { &self.name };
                text::header(&mut self.text, (family, metric.help), metric.kind, openmetrics);
            }
        }
    }

    fn value(&mut self, point: &Point<'_>, value: u64) {
        let labels = &labels(point);
        if self.format == Format::Protobuf {
            return self.message.value(labels, self.kind, value);
        }
        self.text.push_str(&self.name);
        text::labels(&mut self.text, labels);
        // Writing to a string does not fail.
        let _ = writeln!(self.text, " {value}");
    }

    fn distribution(&mut self, point: &Point<'_>, distribution: &Distribution<'_>) {
        let labels = &labels(point);
        match self.format {
            Format::Protobuf => self.message.distribution(labels, distribution),
            format => {
                let exemplar = distribution.exemplar.filter(|_| format == Format::OpenMetrics);
                let out = (&mut self.text, &mut self.lines);
                text::distribution(out, &self.name, labels, distribution, exemplar);
            }
        }
    }

    fn end(&mut self) {
        if self.format == Format::Protobuf {
            self.message.write(&mut self.bytes);
        }
    }
}

/// A pod's series are told by the pod, too: a scraper has one target for all of them.
fn labels<'a>(point: &Point<'a>) -> Vec<Label<'a>> {
    let mut labels = Vec::with_capacity(point.labels.len() + 2);
    labels.extend(point.pod.iter().flat_map(|pod| pod.labels()));
    labels.extend(point.labels);
    labels
}
