//! How values become bytes.
use std::sync::Arc;

use crate::Ktime;

/// What can be packed. Unpacking gives nothing where the bytes are not those of a value.
pub(super) trait Pack: Sized {
    fn pack(&self, to: &mut Writer);
    fn unpack(from: &mut Reader<'_>) -> Option<Self>;
}

/// Bytes to which values are added.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// The last time: the next one is told by what lies between.
    time: u64,
}

/// Bytes from which values are taken.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    time: u64,
}

impl Writer {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// What is added from now on is read from here on.
    pub(super) fn begin(&mut self) -> usize {
        self.time = 0;
        self.bytes.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first; all but the last have the eighth (LEB128).
    fn number(&mut self, mut value: u64) {
        while let Some(rest) = Some(value >> 7).filter(|rest| *rest > 0) {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value = rest;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, time: 0 }
    }

    pub(super) fn raw(&mut self, length: usize) -> Option<&'a [u8]> {
        self.bytes.split_off(..length)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.raw(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.bytes.split_off_first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Signed numbers near 0 are small ones.
const fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Pack for $number {
            fn pack(&self, to: &mut Writer) {
                to.number(u64::from(*self));
            }

            fn unpack(from: &mut Reader<'_>) -> Option<Self> {
                from.number()?.try_into().ok()
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64);

impl Pack for i64 {
    fn pack(&self, to: &mut Writer) {
        to.number(zigzag(*self));
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        from.number().map(unzigzag)
    }
}

impl Pack for bool {
    fn pack(&self, to: &mut Writer) {
        u8::from(*self).pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        Some(u8::unpack(from)? != 0)
    }
}

impl Pack for Ktime {
    fn pack(&self, to: &mut Writer) {
        self.0.wrapping_sub(to.time).cast_signed().pack(to);
        to.time = self.0;
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        let since = i64::unpack(from)?.cast_unsigned();
        from.time = from.time.wrapping_add(since);
        Some(Self(from.time))
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, to: &mut Writer) {
        self.is_some().pack(to);
        if let Some(value) = self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        if bool::unpack(from)? { T::unpack(from).map(Some) } else { Some(None) }
    }
}

impl<T: Pack> Pack for Box<T> {
    fn pack(&self, to: &mut Writer) {
        T::pack(self, to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        T::unpack(from).map(Self::new)
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, to: &mut Writer) {
        to.number(self.len() as u64);
        self.iter().for_each(|value| value.pack(to));
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        (0..from.number()?).map(|_| T::unpack(from)).collect()
    }
}

fn pack_text(text: &str, to: &mut Writer) {
    to.number(text.len() as u64);
    to.raw(text.as_bytes());
}

fn unpack_text<'a>(from: &mut Reader<'a>) -> Option<&'a str> {
    let length = from.number()?;
    std::str::from_utf8(from.raw(length.try_into().ok()?)?).ok()
}

impl Pack for String {
    fn pack(&self, to: &mut Writer) {
        pack_text(self, to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        unpack_text(from).map(str::to_owned)
    }
}

impl Pack for Arc<str> {
    fn pack(&self, to: &mut Writer) {
        pack_text(self, to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        unpack_text(from).map(Into::into)
    }
}
