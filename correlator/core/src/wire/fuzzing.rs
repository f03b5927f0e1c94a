//! What is inside, for the fuzz targets (`correlator/fuzz`): no part of the crate's interface.
use super::http2::{Decoder, Text};

/// The HPACK decoder.
pub struct Hpack {
    decoder: Decoder,
    scratch: Vec<u8>,
}

/// A header field; unknown texts are absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpackField {
    /// Its name.
    pub name: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// The sender holds it for a secret.
    pub never_indexed: bool,
}

impl Hpack {
    /// Of a direction that was seen from its start, or joined midway.
    pub fn new(seen_from_start: bool) -> Self {
        Self { decoder: Decoder::new(seen_from_start), scratch: Vec::new() }
    }

    /// SETTINGS_HEADER_TABLE_SIZE.
    pub fn set_limit(&mut self, bytes: u32) {
        self.decoder.set_limit(bytes);
    }

    /// A block was lost.
    pub fn lost_block(&mut self) {
        self.decoder.lost_block();
    }

    /// A block's fields, and how many of them have a text that is unknown; the error's text where it is no block.
    pub fn decode(&mut self, block: &[u8]) -> Result<(Vec<HpackField>, u32), String> {
        let mut fields = Vec::new();
        let own = |text: Text<'_>| text.known().map(<[u8]>::to_vec);
        let summary = self.decoder.decode(block, &mut self.scratch, |field| {
            let (name, value) = (own(field.name), own(field.value));
            fields.push(HpackField { name, value, never_indexed: field.never_indexed });
        });
        let summary = summary.map_err(|error| error.to_string())?;
        assert_eq!(fields.len() as u32, summary.fields - summary.oversized);
        Ok((fields, summary.unknown))
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.decoder.heap_bytes()
    }
}
