use std::{fmt::Display, io::Write as _};

use super::{Distribution, Format, Kind, Label, Metric, Output, Point, name, protobuf, text};

/// So much of a page is handed on at a time, and what comes before the next rest.
const PIECE: usize = 64 << 10;

/// What is scraped, written series by series and handed on piece by piece: a page may have half a gigabyte.
pub struct Scrape<'a> {
    format: Format,
    /// Where pieces go.
    out: &'a mut dyn FnMut(&[u8]),
    piece: Vec<u8>,
    /// The samples' name in the family that began last.
    name: String,
    kind: Kind,
    /// Of the protobuf format, in which a family's length stands before it: the family so far.
    message: protobuf::Family,
    /// Of the text formats.
    lines: text::Lines,
}

impl<'a> Scrape<'a> {
    /// An empty one.
    pub fn new(format: Format, out: &'a mut dyn FnMut(&[u8])) -> Self {
        let (piece, name) = (Vec::with_capacity(2 * PIECE), String::new());
        let (message, lines) = Default::default();
        Self { format, out, piece, name, kind: Kind::Info, message, lines }
    }

    /// The page is complete.
    pub fn finish(mut self) {
        if self.format == Format::OpenMetrics {
            self.piece.extend_from_slice(b"# EOF\n");
        }
        self.hand_on();
    }

    /// A sample: as text and as protobuf have it.
    fn number(&mut self, point: &Point<'_>, value: impl Display, double: f64) {
        let labels = &labels(point);
        if self.format == Format::Protobuf {
            return self.message.value(labels, self.kind, double);
        }
        self.piece.extend_from_slice(self.name.as_bytes());
        text::labels(&mut self.piece, labels);
        // Writing to memory does not fail.
        let _ = writeln!(self.piece, " {value}");
    }

    fn hand_on(&mut self) {
        if !self.piece.is_empty() {
            (self.out)(&self.piece);
            self.piece.clear();
        }
    }
}

impl Output for Scrape<'_> {
    fn begin(&mut self, metric: &Metric<'_>) {
        self.name = name::sample(metric);
        self.kind = metric.kind;
        match self.format {
            Format::Protobuf => self.message.begin(&self.name, metric.help, metric.kind),
            format => {
                self.lines = text::Lines::default();
                let openmetrics = format == Format::OpenMetrics;
                let family = if openmetrics { &name::family(metric) } else { &self.name };
                text::header(&mut self.piece, (family, metric.help), metric.kind, openmetrics);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a double is what protobuf has")]
    fn value(&mut self, point: &Point<'_>, value: u64) {
        self.number(point, value, value as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "a double is what protobuf has")]
    fn signed(&mut self, point: &Point<'_>, value: i64) {
        self.number(point, value, value as f64);
    }

    fn distribution(&mut self, point: &Point<'_>, distribution: &Distribution<'_>) {
        let labels = &labels(point);
        match self.format {
            Format::Protobuf => self.message.distribution(labels, distribution),
            format => {
                let exemplar = distribution.exemplar.filter(|_| format == Format::OpenMetrics);
                let out = (&mut self.piece, &mut self.lines);
                text::distribution(out, &self.name, labels, distribution, exemplar);
            }
        }
    }

    fn rest(&mut self) {
        if self.piece.len() >= PIECE {
            self.hand_on();
        }
    }

    fn end(&mut self) {
        if self.format == Format::Protobuf {
            self.message.write(&mut self.piece);
        }
        self.rest();
    }
}

/// A pod's series are told by the pod, too: a scraper has one target for all of them.
fn labels<'a>(point: &Point<'a>) -> Vec<Label<'a>> {
    let mut labels = Vec::with_capacity(point.labels.len() + 2);
    labels.extend(point.pod.iter().flat_map(|pod| pod.labels()));
    labels.extend(point.labels);
    labels
}
