//! Archives in the format of initial file systems (Documentation/driver-api/early-userspace/buffer-format.rst: "newc").

use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const TRAILER: &str = "TRAILER!!!";

/// An archive that is being written.
pub struct Archive<W> {
    output: W,
    /// The next entry's inode: two files of one inode would be one.
    inode: u32,
}

impl<W: Write> Archive<W> {
    pub fn new(output: W) -> Self {
        Self { output, inode: 1 }
    }

    /// A folder; those above it must be there.
    pub fn directory(&mut self, name: &str) -> io::Result<()> {
        self.entry(name, DIRECTORY, &[])
    }

    /// A file that can be executed.
    pub fn file(&mut self, name: &str, data: &[u8]) -> io::Result<()> {
        self.entry(name, EXECUTABLE, data)
    }

    /// Ends the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.entry(TRAILER, 0, &[])?;
        Ok(self.output)
    }

    fn entry(&mut self, name: &str, mode: u32, data: &[u8]) -> io::Result<()> {
        let size = u32::try_from(data.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        // inode, mode, uid, gid, links, time, size, device, device of a device file, length of the name, checksum.
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.len() as u32 + 1, 0]
            .map(|field| format!("{field:08x}"));
        self.inode += 1;
        let header = format!("070701{}{name}\0", fields.concat());
        self.padded(header.as_bytes())?;
        self.padded(data)
    }

    /// Header and data each end on a multiple of four bytes.
    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)?;
        self.output.write_all(&[0; 3][..bytes.len().wrapping_neg() % 4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_a_header_a_name_and_padding() {
        let mut archive = Archive::new(Vec::new());
        archive.file("init", b"#!/b").unwrap();
        let bytes = archive.finish().unwrap();
        // 110 bytes of header and five of name, to the next multiple of four.
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[54..62], b"00000004", "the file's size");
        assert_eq!(&bytes[94..102], b"00000005", "the name's length");
        assert_eq!(&bytes[110..120], b"init\0\0#!/b");
        assert!(bytes.len().is_multiple_of(4) && bytes[120..].starts_with(b"070701"));
    }
}
