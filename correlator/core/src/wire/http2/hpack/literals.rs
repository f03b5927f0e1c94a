//! Where in a header block the literal values are: for redaction, which changes nothing else.
use std::ops::Range;

use super::{
    HpackError, Summary,
    decode::{Block, Decoder, MOST_DECODED},
    huffman,
    integer::Input,
};

/// A field's value that stands in the block itself.
pub(in crate::wire) struct Literal {
    /// Nothing where it is an entry that is not known.
    pub(in crate::wire) name: Option<Vec<u8>>,
    pub(in crate::wire) value: Vec<u8>,
    /// Where in the block it is, without its length.
    pub(in crate::wire) place: Range<usize>,
    /// In the Huffman code.
    pub(in crate::wire) coded: bool,
    pub(in crate::wire) never_indexed: bool,
}

/// Those of a block.
#[derive(Default)]
pub(in crate::wire) struct Literals {
    pub(in crate::wire) values: Vec<Literal>,
    /// How many bytes of the block could be read.
    pub(in crate::wire) read: usize,
}

impl Decoder {
    /// The literal values of a block that is decoded next.
    pub(in crate::wire) fn literals(&self, block: &[u8]) -> Literals {
        let mut decoder = self.clone();
        let mut scratch = Vec::new();
        let field = |_: super::Field<'_>| {};
        let (input, summary) = (Input::new(block), Summary::default());
        let mut state = Block { input, scratch: &mut scratch, field, summary, budget: MOST_DECODED };
        let mut literals = Literals::default();
        if decoder.size_updates(&mut state).is_err() {
            return literals;
        }
        literals.read = block.len() - state.input.left();
        while let Ok(true) = decoder.next_literal(block, &mut state, &mut literals.values) {
            literals.read = block.len() - state.input.left();
        }
        literals
    }

    /// Reads one field; says whether there was one.
    fn next_literal<F: FnMut(super::Field<'_>)>(
        &mut self,
        whole: &[u8],
        block: &mut Block<'_, '_, F>,
        literals: &mut Vec<Literal>,
    ) -> Result<bool, HpackError> {
        let Some(first) = block.input.peek() else { return Ok(false) };
        let prefix_bits = match first {
            0x80.. => return self.indexed(block).map(|()| true),
            0x40..=0x7f => 6,
            0x20..=0x3f => return Err(HpackError::LateSizeUpdate),
            0x00..=0x1f => 4,
        };
        let name = self.literal_name(block, prefix_bits)?;
        let coded = block.input.peek().is_some_and(|octet| octet & 0x80 != 0);
        let value = block.string()?;
        let end = whole.len() - block.input.left();
        let (name, value) = (name.text(block.scratch), value.text(block.scratch));
        let text = value.known().unwrap_or_default();
        // The length of a coded value in the block is that of its code, padded.
        let length = if coded { huffman::coded_len(text) } else { text.len() };
        literals.push(Literal {
            name: name.known().map(<[u8]>::to_vec),
            value: text.to_vec(),
            place: end.saturating_sub(length)..end,
            coded,
            never_indexed: first & 0xf0 == 0x10,
        });
        if prefix_bits == 6 {
            self.insert(name, value);
        }
        Ok(true)
    }
}
