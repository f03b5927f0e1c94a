//! A recording as a file: read as a stream, created for its owner alone.
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use weft_core::{
    Input,
    recording::{self, Decoded},
};

use crate::feed::Feed;

/// A recording in the course of being read.
pub struct RecordingFile {
    feed: Feed,
    /// Of the frame that was handed out last, and how long it is.
    offset: u64,
    taken: usize,
    /// Nothing follows.
    ended: bool,
}

impl RecordingFile {
    /// Reads the header.
    ///
    /// # Errors
    /// When the file cannot be read, is no recording, or one of another version.
    pub fn open(path: &Path) -> Result<Self> {
        Self::new(File::open(path).context("cannot read")?)
    }

    /// Reads the header of an open file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn new(file: File) -> Result<Self> {
        let mut feed = Feed::new(file);
        let mut needed = 1;
        loop {
            if !feed.fill(needed).context("cannot read")? {
                bail!("the recording ends within its header: there is nothing in it");
            }
            match recording::decode_header(feed.window())? {
                Decoded::Whole((), taken) => return Ok(Self { feed, offset: 0, taken, ended: false }),
                Decoded::Partial(more) => needed = more,
            }
        }
    }

    /// The next input; nothing at the end.
    ///
    /// # Errors
    /// When the file ends within an input, cannot be read further, or is damaged. Nothing follows then.
    pub fn next(&mut self) -> Result<Option<Input<'_>>> {
        let next = self.measure();
        self.ended = !matches!(next, Ok(Some(_)));
        if next?.is_none() {
            return Ok(None);
        }
        match recording::decode(self.feed.window(), self.offset) {
            Ok(Decoded::Whole(input, length)) => {
                self.taken = length;
                Ok(Some(input))
            }
            Ok(Decoded::Partial(_)) => Ok(None),
            Err(error) => {
                self.ended = true;
                Err(error.into())
            }
        }
    }

    /// Brings the next frame into the window whole; says how long it is.
    fn measure(&mut self) -> Result<Option<usize>> {
        self.feed.used(self.taken);
        self.offset += std::mem::take(&mut self.taken) as u64;
        while !self.ended {
            let needed = match recording::measure(self.feed.window(), self.offset)? {
                Decoded::Whole((), length) => return Ok(Some(length)),
                Decoded::Partial(needed) => needed,
            };
            if !self.feed.fill(needed).context("cannot read on")? {
                let left = self.feed.window().len();
                ensure!(left == 0, "ends within an input, at byte {}", self.offset + left as u64);
                break;
            }
        }
        Ok(None)
    }
}

/// Creates a recording for its owner alone.
///
/// # Errors
/// When it exists, or cannot be created.
pub fn create(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(|| {
        let exists = if path.exists() { "; an existing file is not overwritten" } else { "" };
        format!("{}: cannot create{exists}", path.display())
    })
}

/// Removes a recording in which nothing is: it would be in the way of the next try.
pub fn remove_empty(path: &Path, file: &File) {
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        let _ = fs::remove_file(path);
    }
}

/// What a recording holds, for people.
pub fn holds(redacted: bool) -> &'static str {
    if redacted {
        "redacted: paths, hosts and fields that are not on the list are in it; mode 0600"
    } else {
        "raw traffic, secrets included: mode 0600"
    }
}
