//! A file through a window that moves on: what reads frames or packets sees as many bytes as it asks for, and a file of any
//! size takes the memory of its largest frame.
use std::{fs::File, io, io::Read as _};

/// Read at once, at least.
const BLOCK: usize = 1 << 20;

/// A file in the course of being read.
pub struct Feed {
    file: File,
    buffer: Vec<u8>,
    /// The window's place in the buffer.
    start: usize,
    end: usize,
}

impl Feed {
    pub fn new(file: File) -> Self {
        Self { file, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// What was read and not used.
    pub fn window(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// These bytes of the window are done with.
    pub fn used(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
    }

    /// Reads on until the window has so many bytes; says whether it has. The caller bounds what it asks for.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn fill(&mut self, needed: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < needed.max(BLOCK) {
            self.buffer.resize(needed.max(BLOCK), 0);
        }
        while self.end < needed {
            match self.file.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
