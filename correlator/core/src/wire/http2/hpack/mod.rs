//! HPACK (RFC 7541) for one who listens: header blocks of one direction, from its start or from anywhere in it.
//!
//! A decoder that joins midway, or that missed a block, says `Unknown` where an index leads to what it did not see
//! inserted, and is exact about all else (`table` says why).
mod decode;
mod huffman;
mod integer;
mod literals;
mod static_table;
mod table;
#[cfg(test)]
mod tests;

pub(in crate::wire) use decode::Decoder;
pub(in crate::wire) use huffman::coded_mask;
pub(in crate::wire) use literals::{Literal, Literals};

/// A name or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Text<'a> {
    Known(&'a [u8]),
    /// It was inserted into the table before we listened, in a block that was lost, or too long ago for us to keep.
    Unknown,
}

impl<'a> Text<'a> {
    pub(in crate::wire) fn known(self) -> Option<&'a [u8]> {
        match self {
            Self::Known(bytes) => Some(bytes),
            Self::Unknown => None,
        }
    }

    /// Its length as far as it is known; nothing here is longer than a header block, whose length has 32 bits.
    fn len(self) -> u32 {
        self.known().map_or(0, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX))
    }
}

/// A header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Field<'a> {
    pub(in crate::wire) name: Text<'a>,
    pub(in crate::wire) value: Text<'a>,
    /// A literal that no intermediary may put into a table (6.2.3): the sender holds it for a secret.
    pub(in crate::wire) never_indexed: bool,
}

/// What a header block was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::wire) struct Summary {
    /// Fields in the block.
    pub(in crate::wire) fields: u32,
    /// Those of them whose name or value is not known.
    pub(in crate::wire) unknown: u32,
    /// Those of them that were not handed on, because the block's fields together are too long.
    pub(in crate::wire) oversized: u32,
}

/// Why a header block is none; the connection's ends would give it up (RFC 9113, 4.3: COMPRESSION_ERROR).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::wire) enum HpackError {
    #[error("the header block ends in the middle of a field")]
    Truncated,
    #[error("an integer of the header block has more than 32 bits")]
    Integer,
    #[error("a string of the header block is no Huffman code")]
    Huffman,
    #[error("an index of the header block leads to no entry")]
    Index,
    #[error("the dynamic table is to be larger than its limit")]
    SizeUpdate,
    #[error("the dynamic table's size changes in the middle of a header block")]
    LateSizeUpdate,
}
