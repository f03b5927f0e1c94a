//! Integers and the bytes of a header block that are left (RFC 7541, 5.1).
use super::HpackError;

/// Continuation octets of the longest integer accepted: five carry 35 bits. RFC 7541, 5.1 asks for a limit.
const MOST_OCTETS: u32 = 5;

/// What is left of a header block.
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    /// The next octet, which stays there.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// How many octets are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn octet(&mut self) -> Result<u8, HpackError> {
        let (octet, rest) = self.rest.split_first().ok_or(HpackError::Truncated)?;
        self.rest = rest;
        Ok(*octet)
    }

    /// The next so many octets.
    pub(super) fn bytes(&mut self, len: u32) -> Result<&'a [u8], HpackError> {
        let (bytes, rest) = self.rest.split_at_checked(len as usize).ok_or(HpackError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// An integer with a prefix of so many bits, 1 to 7.
    pub(super) fn integer(&mut self, prefix_bits: u32) -> Result<u32, HpackError> {
        let most = (1_u32 << prefix_bits) - 1;
        let value = u32::from(self.octet()?) & most;
        if value < most { Ok(value) } else { self.continued(value) }
    }

    fn continued(&mut self, prefix: u32) -> Result<u32, HpackError> {
        let mut value = u64::from(prefix);
        for position in 0..MOST_OCTETS {
            let octet = self.octet()?;
            value += u64::from(octet & 0x7f) << (7 * position);
            if octet & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| HpackError::Integer);
            }
        }
        Err(HpackError::Integer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix C.1.
    #[test]
    fn examples_of_c_1() {
        assert_eq!(Input::new(&[0b0000_1010]).integer(5), Ok(10));
        assert_eq!(Input::new(&[0b0001_1111, 0b1001_1010, 0b0000_1010]).integer(5), Ok(1337));
        assert_eq!(Input::new(&[0b0010_1010]).integer(7), Ok(42));
    }

    #[test]
    fn the_largest_is_exact_and_longer_ones_are_refused() {
        // 2^32 - 1 = 127 + 0xffff_ff80.
        let largest = [0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(Input::new(&largest).integer(7), Ok(u32::MAX));
        let one_more = [0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(Input::new(&one_more).integer(7), Err(HpackError::Integer));
        let padded_with_zeros = [0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
        assert_eq!(Input::new(&padded_with_zeros).integer(7), Err(HpackError::Integer));
        for cut in 0..largest.len() {
            assert_eq!(Input::new(&largest[..cut]).integer(7), Err(HpackError::Truncated));
        }
    }
}
