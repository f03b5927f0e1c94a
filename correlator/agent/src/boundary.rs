//! Where the last whole frame of a recording ends that comes in blocks: a recording may be stopped anywhere.
use weft_core::recording::{self, Decoded};

/// Follows the frames of a recording.
#[derive(Default)]
pub struct Boundary {
    /// All before this byte is whole.
    whole: u64,
    /// Of the frame (or the header of the recording) that is not: its beginning, until its length is known.
    begun: Vec<u8>,
    /// Its length, and how much of it is to come.
    length: usize,
    left: usize,
    /// This is no recording: nothing more of it is whole.
    broken: bool,
}

impl Boundary {
    /// How many bytes are whole.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// The next bytes of the recording.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.broken {
            if self.length == 0 {
                bytes = self.begin(bytes);
            }
            let taken = self.left.min(bytes.len());
            self.left -= taken;
            bytes = bytes.get(taken..).unwrap_or_default();
            if self.left == 0 {
                self.whole += std::mem::take(&mut self.length) as u64;
            }
        }
    }

    /// Takes bytes until the length is known; gives the rest.
    fn begin<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        let enough = self.measure(&[]).unwrap_or(0);
        while let Some((byte, rest)) = bytes.split_first() {
            self.begun.push(*byte);
            bytes = rest;
            if self.begun.len() >= enough {
                let length = self.measure(&self.begun);
                self.broken = length.is_none();
                self.length = length.unwrap_or(0);
                self.left = self.length.saturating_sub(self.begun.len());
                self.begun.clear();
                return bytes;
            }
        }
        bytes
    }

    /// How many bytes are needed to tell the length, and then the length.
    fn measure(&self, bytes: &[u8]) -> Option<usize> {
        let measured = match self.whole {
            0 => recording::decode_header(bytes),
            whole => recording::measure(bytes, whole),
        };
        match measured {
            Ok(Decoded::Whole((), length) | Decoded::Partial(length)) => Some(length),
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use weft_core::{Input, Ktime};

    use super::*;

    #[test]
    fn the_last_whole_frame_is_found_whatever_the_blocks() {
        let mut bytes = Vec::new();
        recording::encode_header(&mut bytes);
        let mut ends = vec![0, bytes.len()];
        for input in [Input::Tick(Ktime(7)), Input::Probe(b""), Input::Probe(&[9; 300]), Input::Probe(b"x")] {
            recording::encode(&input, &mut bytes).unwrap();
            ends.push(bytes.len());
        }
        for length in 0..=bytes.len() {
            for size in [1, 3, 7, 100, 1000] {
                let mut boundary = Boundary::default();
                bytes[..length].chunks(size).for_each(|block| boundary.pass(block));
                let expected = ends.iter().rfind(|end| **end <= length).copied();
                assert_eq!(Some(boundary.whole() as usize), expected, "{length} in blocks of {size}");
            }
        }
    }

    #[test]
    fn what_is_no_recording_has_no_frames() {
        let mut boundary = Boundary::default();
        (0..1000).for_each(|_| boundary.pass(b"no recording at all"));
        assert_eq!((boundary.whole(), boundary.begun.capacity() < 100), (0, true));
    }
}
