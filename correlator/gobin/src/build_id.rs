//! The build id: what the linker wrote into a note, the same for every copy of a binary.
use object::{LittleEndian as LE, elf};

use crate::elf::Elf;

/// Longer ones are cut.
const MOST: usize = 256;
/// Note types: `ELF_NOTE_GOBUILDID_TAG` of Go's linker, and GNU's.
const GO: (&[u8], u32) = (b"Go\0\0", 4);
const GNU: (&[u8], u32) = (b"GNU\0", 3);

/// Go's build id, else the GNU one in hexadecimal.
pub fn find(elf: &Elf<'_>) -> Option<String> {
    let go = note(elf, ".note.go.buildid", GO).map(|id| String::from_utf8_lossy(id).into_owned());
    // Go's are hashes with a slash between; some builders write the same word into each of their binaries.
    go.filter(|id| id.contains('/')).or_else(|| note(elf, ".note.gnu.build-id", GNU).map(hexadecimal))
}

fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn note<'a>(elf: &Elf<'a>, section: &str, wanted: (&[u8], u32)) -> Option<&'a [u8]> {
    let named = elf.section(section).map(|section| section.bytes);
    let segments = elf.segments().iter().filter(|segment| segment.p_type.get(LE) == elf::PT_NOTE);
    let places = named.into_iter().chain(segments.map(|segment| elf.segment_bytes(segment)));
    places.filter_map(|bytes| note_in(bytes, wanted)).find(|id| !id.is_empty())
}

/// The note's descriptor, among notes one behind the other.
fn note_in<'a>(mut bytes: &'a [u8], (owner, kind): (&[u8], u32)) -> Option<&'a [u8]> {
    loop {
        let (name_len, rest) = number(bytes)?;
        let (length, rest) = number(rest)?;
        let (found, rest) = number(rest)?;
        let (name, rest) = rest.split_at_checked((name_len as usize).next_multiple_of(4))?;
        if found == kind && name == owner {
            return rest.get(..(length as usize).min(MOST));
        }
        bytes = rest.get((length as usize).next_multiple_of(4)..)?;
    }
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_le_bytes(*number), rest))
}
