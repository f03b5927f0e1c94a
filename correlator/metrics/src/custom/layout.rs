//! What the bytes of a map's key and value are.
use std::{borrow::Cow, collections::BTreeMap, ops::Range, sync::Arc};

/// An integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Bytes: 1, 2, 4 or 8.
    pub size: usize,
    /// In two's complement.
    pub signed: bool,
    /// The most significant byte first, as in packets; otherwise the machine's order, as programs keep them.
    pub big_endian: bool,
}

/// An integer in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its first byte.
    pub offset: usize,
    /// What it is.
    pub scalar: Scalar,
}

/// A label's value in a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// As OpenTelemetry has it: dots are underscores in Prometheus.
    pub name: String,
    /// Its first byte.
    pub offset: usize,
    /// What is there.
    pub part: Part,
}

/// What stands for a label's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// An integer; those that have a name are shown by it.
    Number {
        /// What it is.
        scalar: Scalar,
        /// By the number in decimal digits.
        names: BTreeMap<String, String>,
    },
    /// Text of so many bytes; shorter where a zero ends it.
    Text(usize),
}

/// All that a metric wants of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The value; those of several CPUs are added.
    pub value: Field,
    /// In the order in which they are shown.
    pub labels: Vec<Label>,
}

impl Scalar {
    /// The type with this name: `u8` to `u64`, `i8` to `i64`, with `be` behind it for the byte order of packets.
    pub fn named(name: &str) -> Option<Self> {
        let (name, big_endian) = name.strip_suffix("be").map_or((name, false), |name| (name, true));
        let (signed, bits) = match name.strip_prefix('u') {
            Some(bits) => (false, bits),
            None => (true, name.strip_prefix('i')?),
        };
        let size = match bits {
            "8" if !big_endian => 1,
            "16" => 2,
            "32" => 4,
            "64" => 8,
            _ => return None,
        };
        Some(Self { size, signed, big_endian })
    }

    /// The number; nothing where there are too few bytes.
    fn read(self, bytes: &[u8]) -> Option<i128> {
        let Self { size, signed, big_endian } = self;
        let bytes = bytes.get(..size)?;
        let little = !big_endian && cfg!(target_endian = "little");
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let number = if little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) };
        let unused = 64 - 8 * u32::try_from(size).ok()?;
        Some(if signed { i128::from((number << unused).cast_signed() >> unused) } else { i128::from(number) })
    }
}

impl Field {
    fn read(self, value: &[u8]) -> Option<i128> {
        self.scalar.read(value.get(self.offset..)?)
    }
}

impl Part {
    fn size(&self) -> usize {
        match self {
            Self::Number { scalar, .. } => scalar.size,
            Self::Text(length) => *length,
        }
    }
}

impl Label {
    /// What it takes of a key.
    pub fn bytes(&self) -> Range<usize> {
        self.offset..self.offset.saturating_add(self.part.size())
    }

    fn read<'k>(&'k self, key: &'k [u8]) -> Option<Cow<'k, str>> {
        let bytes = key.get(self.bytes())?;
        Some(match &self.part {
            Part::Number { scalar, names } => {
                let number = scalar.read(bytes)?.to_string();
                names.get(&number).map_or(Cow::Owned(number), |name| Cow::Borrowed(name))
            }
            Part::Text(_) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                String::from_utf8_lossy(bytes.get(..end)?)
            }
        })
    }
}

impl Layout {
    /// Whether keys and values of these sizes have all of it; if not, what lies outside.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn fits(&self, key_size: usize, value_size: usize) -> Result<(), String> {
        let outside = |what: &str, bytes: Range<usize>, of: &str, size: usize| {
            format!(
                "{what} is bytes {} to {} of a {of}, and the map's {of}s have {size}",
                bytes.start, bytes.end
            )
        };
        let Field { offset, scalar } = self.value;
        let value = offset..offset.saturating_add(scalar.size);
        if value.end > value_size {
            return Err(outside("map.value", value, "value", value_size));
        }
        match self.labels.iter().find(|label| label.bytes().end > key_size) {
            Some(label) => Err(outside(&format!("the label {}", label.name), label.bytes(), "key", key_size)),
            None => Ok(()),
        }
    }

    /// An entry's value: the sum of those of all CPUs.
    pub(super) fn value<'v>(&self, of_cpus: impl Iterator<Item = &'v [u8]>) -> i128 {
        of_cpus.filter_map(|value| self.value.read(value)).sum()
    }

    /// An entry's labels. The kernel gives whole keys, so none is missing where the layout fits.
    pub(super) fn labels(&self, key: &[u8]) -> Vec<Arc<str>> {
        self.labels.iter().map(|label| Arc::from(label.read(key).unwrap_or_default())).collect()
    }
}
