//! From a header block to fields (RFC 7541, 3.2 and 6).
use super::{Field, HpackError, Summary, Text, huffman, integer::Input, static_table, table::Table};

/// SETTINGS_HEADER_TABLE_SIZE until something else is announced (RFC 9113, 6.5.2).
const DEFAULT_LIMIT: u32 = 4096;
/// The most bytes of names and values of one block that are handed on. An index of one byte may stand for all of the
/// table, so that a short block may mean gigabytes.
pub(super) const MOST_DECODED: u32 = 64 * 1024;

/// The state of one direction's header blocks. On the heap is what was inserted into the dynamic table, no more.
#[derive(Clone)]
pub(in crate::wire) struct Decoder {
    table: Table,
    /// The most that the encoder may set its table to; `u32::MAX` where it is not known.
    limit: u32,
}

/// A block that is being decoded.
pub(super) struct Block<'a, 'b, F> {
    pub(super) input: Input<'a>,
    /// What a coded name and value say; one field's at a time.
    pub(super) scratch: &'b mut Vec<u8>,
    pub(super) field: F,
    pub(super) summary: Summary,
    /// Bytes that may still be handed on.
    pub(super) budget: u32,
}

/// Where a literal's name or value is.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// In the block, or in the static table.
    Bytes(&'a [u8]),
    Scratch {
        from: usize,
        to: usize,
    },
    Unknown,
}

impl<'a> Place<'a> {
    pub(super) fn text<'s>(self, scratch: &'s [u8]) -> Text<'s>
    where
        'a: 's,
    {
        match self {
            Self::Bytes(bytes) => Text::Known(bytes),
            Self::Scratch { from, to } => scratch.get(from..to).map_or(Text::Unknown, Text::Known),
            Self::Unknown => Text::Unknown,
        }
    }
}

impl Decoder {
    /// Of a direction that was `seen_from_start`, or that is joined midway: then what its table holds, and how much it
    /// may hold, is not known.
    pub(in crate::wire) fn new(seen_from_start: bool) -> Self {
        let limit = if seen_from_start { DEFAULT_LIMIT } else { u32::MAX };
        Self { table: Table::new(limit, !seen_from_start), limit }
    }

    /// SETTINGS_HEADER_TABLE_SIZE that the receiver of these header blocks announced, and their sender acknowledged.
    /// `u32::MAX` means that it is not known any more. The table changes with the sender's next size update (4.2), not
    /// now.
    pub(in crate::wire) fn set_limit(&mut self, bytes: u32) {
        self.limit = bytes;
    }

    /// A header block was lost: what it inserted, and so where all entries are by now, is not known.
    pub(in crate::wire) fn lost_block(&mut self) {
        // It may have changed the size, too, to anything up to the limit; to less than before is safe to ignore.
        self.table.forget(self.limit.max(self.table.max()));
    }

    /// Bytes on the heap.
    pub(in crate::wire) fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }

    /// Calls `field` for each field of a whole header block, in order. `scratch` is any buffer; what is in it is lost,
    /// and it grows to at most 8/5 of the longest block and one name.
    ///
    /// After an error nothing is known of the table nor of its limit, as if this decoder had just joined; the fields
    /// that were handed on were there.
    pub(in crate::wire) fn decode(
        &mut self,
        block: &[u8],
        scratch: &mut Vec<u8>,
        field: impl FnMut(Field<'_>),
    ) -> Result<Summary, HpackError> {
        let (input, summary) = (Input::new(block), Summary::default());
        let mut block = Block { input, scratch, field, summary, budget: MOST_DECODED };
        let done = self.size_updates(&mut block).and_then(|()| self.fields(&mut block));
        if done.is_err() {
            *self = Self::new(false);
        }
        done.map(|()| block.summary)
    }

    /// Those that a block may begin with (4.2, 6.3).
    pub(super) fn size_updates<F>(&mut self, block: &mut Block<'_, '_, F>) -> Result<(), HpackError> {
        while let Some(0x20..=0x3f) = block.input.peek() {
            let size = block.input.integer(5)?;
            if size > self.limit {
                return Err(HpackError::SizeUpdate);
            }
            self.table.resize(size);
        }
        Ok(())
    }

    fn fields<F: FnMut(Field<'_>)>(&mut self, block: &mut Block<'_, '_, F>) -> Result<(), HpackError> {
        while let Some(first) = block.input.peek() {
            match first {
                0x80.. => self.indexed(block)?,
                0x40..=0x7f => self.indexing_literal(block)?,
                0x20..=0x3f => return Err(HpackError::LateSizeUpdate),
                0x00..=0x1f => self.literal(block, first & 0x10 != 0)?,
            }
        }
        Ok(())
    }

    /// 6.1.
    pub(super) fn indexed<F: FnMut(Field<'_>)>(
        &mut self,
        block: &mut Block<'_, '_, F>,
    ) -> Result<(), HpackError> {
        let index = block.input.integer(7)?;
        let (name, value) = self.entry(index)?;
        block.hand_on(name, value, false);
        Ok(())
    }

    /// 6.2.1.
    fn indexing_literal<F: FnMut(Field<'_>)>(
        &mut self,
        block: &mut Block<'_, '_, F>,
    ) -> Result<(), HpackError> {
        let (name, value) = self.name_and_value(block, 6)?;
        block.hand_on_literal(name, value, false);
        self.table.insert(name.text(block.scratch), value.text(block.scratch));
        Ok(())
    }

    /// 6.2.2 and 6.2.3.
    fn literal<F: FnMut(Field<'_>)>(
        &mut self,
        block: &mut Block<'_, '_, F>,
        never_indexed: bool,
    ) -> Result<(), HpackError> {
        let (name, value) = self.name_and_value(block, 4)?;
        block.hand_on_literal(name, value, never_indexed);
        Ok(())
    }

    fn name_and_value<'a, F>(
        &self,
        block: &mut Block<'a, '_, F>,
        prefix_bits: u32,
    ) -> Result<(Place<'a>, Place<'a>), HpackError> {
        let name = self.literal_name(block, prefix_bits)?;
        Ok((name, block.string()?))
    }

    /// A literal's name, which is an entry's or stands there itself.
    pub(super) fn literal_name<'a, F>(
        &self,
        block: &mut Block<'a, '_, F>,
        prefix_bits: u32,
    ) -> Result<Place<'a>, HpackError> {
        block.scratch.clear();
        match block.input.integer(prefix_bits)? {
            0 => block.string(),
            index => self.name(index, block.scratch),
        }
    }

    pub(super) fn insert(&mut self, name: Text<'_>, value: Text<'_>) {
        self.table.insert(name, value);
    }

    /// The name of an entry. It is copied out of the dynamic table, from which its own field may push it (4.4).
    fn name(&self, index: u32, scratch: &mut Vec<u8>) -> Result<Place<'static>, HpackError> {
        if let Some((name, _)) = static_table::get(index) {
            return Ok(Place::Bytes(name));
        }
        let (Text::Known(name), _) = self.entry(index)? else { return Ok(Place::Unknown) };
        let from = scratch.len();
        scratch.extend_from_slice(name);
        Ok(Place::Scratch { from, to: scratch.len() })
    }

    /// 2.3.3.
    fn entry(&self, index: u32) -> Result<(Text<'_>, Text<'_>), HpackError> {
        if let Some((name, value)) = static_table::get(index) {
            return Ok((Text::Known(name), Text::Known(value)));
        }
        let age = index.checked_sub(static_table::LEN + 1).ok_or(HpackError::Index)?;
        self.table.get(age)
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }
}

impl<'a, F> Block<'a, '_, F> {
    /// A string literal (5.2).
    pub(super) fn string(&mut self) -> Result<Place<'a>, HpackError> {
        let coded = self.input.peek().is_some_and(|octet| octet & 0x80 != 0);
        let len = self.input.integer(7)?;
        let bytes = self.input.bytes(len)?;
        if !coded {
            return Ok(Place::Bytes(bytes));
        }
        let from = self.scratch.len();
        huffman::decode(bytes, self.scratch)?;
        Ok(Place::Scratch { from, to: self.scratch.len() })
    }
}

impl<F: FnMut(Field<'_>)> Block<'_, '_, F> {
    fn hand_on_literal(&mut self, name: Place<'_>, value: Place<'_>, never_indexed: bool) {
        let scratch = std::mem::take(self.scratch);
        self.hand_on(name.text(&scratch), value.text(&scratch), never_indexed);
        *self.scratch = scratch;
    }

    /// Counts a field, and hands it on if the block's are not too long with it.
    fn hand_on(&mut self, name: Text<'_>, value: Text<'_>, never_indexed: bool) {
        self.summary.fields += 1;
        self.summary.unknown += u32::from(name == Text::Unknown || value == Text::Unknown);
        match self.budget.checked_sub(name.len().saturating_add(value.len())) {
            Some(budget) => {
                self.budget = budget;
                (self.field)(Field { name, value, never_indexed });
            }
            None => self.summary.oversized += 1,
        }
    }
}
