//! Which file a process executes.
use std::{fs::File, io, os::unix::fs::MetadataExt as _};

use rustix::fs::fstatfs;

/// `OVERLAYFS_SUPER_MAGIC` (include/uapi/linux/magic.h).
const OVERLAY: i64 = 0x794c_7630;

/// A file with one content: written to, it is another. On an overlay (containers' roots) every container has a device of
/// its own while the file below, its inode number and its change time are those of the image's layer: there the device is
/// left out, and the containers of one image share what is known and what is attached, as they share the kernel's inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Nothing on an overlay.
    device: Option<u64>,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The same of the last change to anything about it: nobody can set this one back.
    changed: (i64, i64),
}

impl FileId {
    /// # Errors
    /// When the file cannot be asked.
    pub fn of(file: &File) -> io::Result<Self> {
        let about = file.metadata()?;
        let overlay = fstatfs(file)?.f_type == OVERLAY;
        Ok(Self {
            device: (!overlay).then_some(about.dev()),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}

#[cfg(test)]
impl FileId {
    /// Some file.
    pub fn numbered(inode: u64) -> Self {
        Self { device: None, inode, size: 1, modified: (0, 0), changed: (0, 0) }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    #[test]
    fn a_file_that_was_written_to_is_another() {
        let path = std::env::temp_dir().join(format!("weft-file-id-{}", std::process::id()));
        fs::write(&path, b"one").unwrap();
        let before = FileId::of(&File::open(&path).unwrap()).unwrap();
        assert_eq!(FileId::of(&File::open(&path).unwrap()).unwrap(), before);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"!").unwrap();
        assert_ne!(FileId::of(&File::open(&path).unwrap()).unwrap(), before);
        fs::remove_file(&path).unwrap();
    }
}
