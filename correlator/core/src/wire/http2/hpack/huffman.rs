//! The Huffman code of string literals (RFC 7541, 5.2 and appendix B).
//!
//! The code is canonical: within a length, codes count up in the order of their symbols. So the lengths are all that has
//! to be written down, and a code of more than eight bits is found by comparing with the first code of each length. The
//! short ones, which are nearly all of any real text, take one look into a table by the next eight bits.
use super::HpackError;

/// The symbol that ends no string (5.2).
const EOS: u16 = 256;
/// Codes up to this length are found at once.
const SHORT: usize = 8;
const LONGEST: usize = 30;

/// Bits of each symbol's code, appendix B.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// A symbol and its code's length in bits.
#[derive(Clone, Copy)]
struct Code {
    symbol: u16,
    bits: u8,
}

/// The codes of one length, in the order of their symbols.
#[derive(Clone, Copy)]
struct Group {
    /// Its first code, at the top of 32 bits.
    first: u32,
    /// Where its symbols begin in `SYMBOLS`.
    index: u16,
    count: u16,
}

/// Symbols by length, then by value.
static SYMBOLS: [u16; 257] = symbols();
/// By length.
static GROUPS: [Group; LONGEST + 1] = groups();
/// By the next eight bits; no bits where the code is longer.
static BY_OCTET: [Code; 1 << SHORT] = by_octet();

const fn symbols() -> [u16; 257] {
    let mut symbols = [0; 257];
    let (mut bits, mut count) = (1, 0);
    while bits <= LONGEST {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                symbols[count] = symbol as u16;
                count += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    symbols
}

const fn groups() -> [Group; LONGEST + 1] {
    let mut groups = [Group { first: 0, index: 0, count: 0 }; LONGEST + 1];
    let (mut bits, mut next, mut index) = (1, 0_u64, 0);
    while bits <= LONGEST {
        let mut count = 0;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            count += (LENGTHS[symbol] as usize == bits) as u16;
            symbol += 1;
        }
        groups[bits] = Group { first: next as u32, index, count };
        next += (count as u64) << (32 - bits);
        index += count;
        bits += 1;
    }
    // A complete code leaves no bits without a meaning.
    assert!(next == 1 << 32);
    groups
}

const fn by_octet() -> [Code; 1 << SHORT] {
    let (groups, symbols) = (groups(), symbols());
    let mut table = [Code { symbol: 0, bits: 0 }; 1 << SHORT];
    let mut octet = 0;
    while octet < table.len() {
        let mut bits = 1;
        while bits <= SHORT {
            let group = groups[bits];
            let place = (((octet as u32) << 24) - group.first) >> (32 - bits);
            if place < group.count as u32 {
                table[octet] =
                    Code { symbol: symbols[group.index as usize + place as usize], bits: bits as u8 };
                break;
            }
            bits += 1;
        }
        octet += 1;
    }
    table
}

/// The code that the next 32 bits begin with.
fn code(next: u32) -> Code {
    let short = BY_OCTET.get((next >> 24) as usize);
    match short {
        Some(code) if code.bits > 0 => *code,
        _ => long(next),
    }
}

#[cold]
fn long(next: u32) -> Code {
    let groups = GROUPS.iter().enumerate().skip(SHORT + 1);
    let found = groups.filter_map(|(bits, group)| {
        let place = next.checked_sub(group.first)? >> (32 - bits);
        let symbol = SYMBOLS.get(usize::from(group.index) + place as usize)?;
        (place < u32::from(group.count)).then_some(Code { symbol: *symbol, bits: bits as u8 })
    });
    let mut found = found;
    found.next().unwrap_or(Code { symbol: EOS, bits: LONGEST as u8 })
}

/// Bits of a string that are to be read, the next one at the top.
struct Bits<'a> {
    window: u64,
    /// How many of the window's bits are there.
    count: u32,
    rest: &'a [u8],
}

impl Bits<'_> {
    /// Makes at least 30 bits be there, where the string has them.
    fn refill(&mut self) {
        if let Some((octets, rest)) = self.rest.split_first_chunk::<4>() {
            self.window |= u64::from(u32::from_be_bytes(*octets)) << (32 - self.count);
            (self.count, self.rest) = (self.count + 32, rest);
            return;
        }
        while let Some((octet, rest)) = self.rest.split_first() {
            self.window |= u64::from(*octet) << (56 - self.count);
            (self.count, self.rest) = (self.count + 8, rest);
        }
    }

    /// The next 32 bits; ones follow the string's end.
    fn next(&self) -> u32 {
        let behind = u64::MAX.checked_shr(self.count).unwrap_or(0);
        ((self.window | behind) >> 32) as u32
    }

    fn skip(&mut self, bits: u32) {
        self.window <<= bits;
        self.count -= bits;
    }

    /// What is left is the beginning of EOS's code, and less than an octet (5.2).
    fn is_padding(&self) -> bool {
        self.count < 8 && self.next() == u32::MAX
    }
}

/// Appends what a coded string says; at most 8/5 of its length.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), HpackError> {
    out.reserve(coded.len() * 8 / 5);
    let mut bits = Bits { window: 0, count: 0, rest: coded };
    loop {
        if bits.count < 32 {
            bits.refill();
        }
        let code = code(bits.next());
        if u32::from(code.bits) > bits.count {
            return if bits.is_padding() { Ok(()) } else { Err(HpackError::Huffman) };
        }
        let symbol = u8::try_from(code.symbol).map_err(|_| HpackError::Huffman)?;
        bits.skip(u32::from(code.bits));
        out.push(symbol);
    }
}

fn bits_of(byte: u8) -> usize {
    LENGTHS.get(usize::from(byte)).map_or(0, |bits| usize::from(*bits))
}

/// Octets of a text's code.
pub(super) fn coded_len(text: &[u8]) -> usize {
    text.iter().map(|byte| bits_of(*byte)).sum::<usize>().div_ceil(8)
}

/// A code as long as `coded`, of a text as long as `text` and the same up to byte `from`: behind it, something else that says
/// no more than how long the code of what was there is.
pub(in crate::wire) fn coded_mask(coded: &[u8], text: &[u8], from: usize) -> Vec<u8> {
    let (kept, masked) = text.split_at_checked(from).unwrap_or((text, &[]));
    let mut out = Writer { octets: Vec::with_capacity(coded.len()), window: 0, count: 0 };
    kept.iter().for_each(|byte| out.push(*byte));
    mask_lengths(masked).into_iter().for_each(|bits| out.push(first_of(bits)));
    out.finish()
}

/// As many codes as the text has, with as many bits together: codes of 5 to 8 bits where that can be, in order; else those of
/// the text, sorted.
fn mask_lengths(text: &[u8]) -> Vec<usize> {
    let mut lengths: Vec<_> = text.iter().map(|byte| bits_of(*byte)).collect();
    let (count, total) = (lengths.len(), lengths.iter().sum::<usize>());
    if count > 0 && total <= count * SHORT {
        let (each, more) = (total / count, total % count);
        return (0..count).map(|index| each + usize::from(index < more)).collect();
    }
    lengths.sort_unstable();
    lengths
}

/// The first symbol with a code of so many bits.
fn first_of(bits: usize) -> u8 {
    let group = GROUPS.get(bits).and_then(|group| SYMBOLS.get(usize::from(group.index)));
    group.and_then(|symbol| u8::try_from(*symbol).ok()).unwrap_or(0)
}

/// A code in the course of being written.
struct Writer {
    octets: Vec<u8>,
    window: u64,
    count: usize,
}

impl Writer {
    fn push(&mut self, byte: u8) {
        let bits = bits_of(byte);
        self.window = self.window << bits | u64::from(code_of(byte));
        self.count += bits;
        while self.count >= 8 {
            self.count -= 8;
            self.octets.push((self.window >> self.count) as u8);
        }
    }

    /// Padded with ones (5.2).
    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            let padding = 8 - self.count;
            self.octets.push((self.window << padding | ((1 << padding) - 1)) as u8);
        }
        self.octets
    }
}

/// A symbol's code, in its lowest bits.
fn code_of(byte: u8) -> u32 {
    let bits = bits_of(byte);
    let Some(group) = GROUPS.get(bits) else { return 0 };
    let from = usize::from(group.index);
    let symbols = SYMBOLS.get(from..from + usize::from(group.count)).unwrap_or_default();
    let place = symbols.iter().position(|symbol| *symbol == u16::from(byte)).unwrap_or(0);
    (group.first >> (32 - bits as u32)) + place as u32
}

#[cfg(test)]
mod mask_tests {
    use proptest::prelude::*;

    use super::*;

    fn coded(text: &[u8]) -> Vec<u8> {
        coded_mask(&[], text, text.len())
    }

    fn decoded(code: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        decode(code, &mut text).unwrap();
        text
    }

    /// Appendix C.4.1.
    #[test]
    fn a_text_is_coded() {
        let expected = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(coded(b"www.example.com"), expected);
        assert_eq!(coded_len(b"www.example.com"), 12);
    }

    proptest! {
        #[test]
        fn a_mask_is_as_long_coded_and_decoded(text in prop::collection::vec(any::<u8>(), 0..80), from in 0..80_usize) {
            let code = coded(&text);
            prop_assert_eq!(&decoded(&code), &text);
            let from = from.min(text.len());
            let masked = coded_mask(&code, &text, from);
            prop_assert_eq!(masked.len(), code.len());
            let shown = decoded(&masked);
            prop_assert_eq!(shown.len(), text.len());
            prop_assert_eq!(&shown[..from], &text[..from]);
        }

        #[test]
        fn a_mask_tells_nothing_of_the_order(text in "[ -~]{2,40}") {
            let mut other = text.clone().into_bytes();
            other.reverse();
            prop_assert_eq!(coded_mask(&[], text.as_bytes(), 0), coded_mask(&[], &other, 0));
        }
    }
}
