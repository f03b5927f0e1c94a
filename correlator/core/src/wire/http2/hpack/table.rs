//! The dynamic table (RFC 7541, 2.3.2 and 4), as far as it is known.
//!
//! A listener may have missed what was inserted before it came, or in a block that was lost. **Why what it resolves is
//! right all the same**: an index counts from the newest entry (2.3.3), so the place of an entry that we saw inserted
//! depends on later insertions alone, and we saw all of those (else `forget` was called). Whether the entry is still
//! there depends on sizes, which may be unknown; but an encoder refers to no entry that is gone, so any index that *is*
//! used names a living entry. Sizes are needed for two things only, and there bounds do: an entry goes for certain when
//! what is newer fills the table even by its least size (unknown text counts as empty), which bounds our memory; and
//! when what we know fills the table, nothing older can be in it, so that an index beyond is an error again.
use std::collections::VecDeque;

use super::{HpackError, Text};

/// What an entry counts beside its name and value (RFC 7541, 4.1).
const ENTRY_OVERHEAD: u32 = 32;
/// The most that is kept of a table, in the sizes of 4.1, whatever was announced: at most 2048 entries.
pub(super) const MOST_KEPT: u32 = 64 * 1024;
/// The length of a text that is not known.
const UNKNOWN: u16 = u16::MAX;

/// Where an entry's name and, behind it, its value are.
#[derive(Clone, Copy)]
struct Entry {
    /// Bytes that were ever put in before it, modulo 2^32.
    at: u32,
    name: u16,
    value: u16,
}

impl Entry {
    fn name_len(self) -> usize {
        known_len(self.name)
    }

    fn value_len(self) -> usize {
        known_len(self.value)
    }

    /// Bytes that are kept of it.
    fn len(self) -> usize {
        self.name_len() + self.value_len()
    }

    /// Its least size.
    fn size(self) -> u32 {
        ENTRY_OVERHEAD + self.len() as u32
    }
}

fn known_len(len: u16) -> usize {
    if len == UNKNOWN { 0 } else { usize::from(len) }
}

/// The newest entries of an encoder's table.
#[derive(Clone)]
pub(super) struct Table {
    /// The oldest first.
    entries: VecDeque<Entry>,
    /// Their texts one behind the other, the oldest first, behind `dead` bytes of entries that are gone.
    bytes: Vec<u8>,
    dead: u32,
    /// Bytes that were ever put in before the first of `bytes`, modulo 2^32.
    base: u32,
    /// The entries' least size.
    size: u32,
    /// The most that the encoder's table may hold now.
    max: u32,
    /// There may be entries older than ours.
    older: bool,
}

impl Table {
    pub(super) fn new(max: u32, older: bool) -> Self {
        let (entries, bytes) = (VecDeque::new(), Vec::new());
        Self { entries, bytes, dead: 0, base: 0, size: 0, max, older }
    }

    /// Entries may have been inserted that we did not see: those that we have are in unknown places now.
    pub(super) fn forget(&mut self, max: u32) {
        *self = Self::new(max, true);
    }

    /// The name and value of the entry that is so many places behind the newest; unknown where it is older than ours.
    pub(super) fn get(&self, age: u32) -> Result<(Text<'_>, Text<'_>), HpackError> {
        let place = self.entries.len().checked_sub(age as usize + 1);
        match place.and_then(|place| self.entries.get(place)) {
            Some(entry) => Ok(self.texts(*entry)),
            None if self.may_hold(age) => Ok((Text::Unknown, Text::Unknown)),
            None => Err(HpackError::Index),
        }
    }

    /// Whether there may be an entry of this age that is not ours.
    fn may_hold(&self, age: u32) -> bool {
        let more = u64::from(age) + 1 - self.entries.len() as u64;
        self.older && u64::from(self.size) + more * u64::from(ENTRY_OVERHEAD) <= u64::from(self.max)
    }

    fn texts(&self, entry: Entry) -> (Text<'_>, Text<'_>) {
        let from = entry.at.wrapping_sub(self.base) as usize;
        let split = from + entry.name_len();
        (self.text(entry.name, from), self.text(entry.value, split))
    }

    fn text(&self, len: u16, from: usize) -> Text<'_> {
        if len == UNKNOWN {
            return Text::Unknown;
        }
        self.bytes.get(from..from + usize::from(len)).map_or(Text::Unknown, Text::Known)
    }

    /// The encoder's table may hold so much from now on (4.3).
    pub(super) fn resize(&mut self, max: u32) {
        self.max = max;
        self.evict(0);
        if self.entries.is_empty() {
            (self.entries, self.bytes, self.dead, self.base) = (VecDeque::new(), Vec::new(), 0, 0);
        }
    }

    /// Puts in an entry (4.4). One that is larger than the table empties it, and is no error.
    pub(super) fn insert(&mut self, name: Text<'_>, value: Text<'_>) {
        let size = ENTRY_OVERHEAD.saturating_add(name.len()).saturating_add(value.len());
        if size > self.max {
            self.clear();
            self.older = false;
        } else if size > MOST_KEPT {
            // Its place counts, even if it is too large for us.
            self.clear();
            self.older = true;
            self.push(Text::Unknown, Text::Unknown);
        } else {
            self.evict(size);
            self.push(name, value);
        }
    }

    fn push(&mut self, name: Text<'_>, value: Text<'_>) {
        self.make_room((name.len() + value.len()) as usize);
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(growth(self.entries.len(), 1));
        }
        let at = self.base.wrapping_add(self.bytes.len() as u32);
        let entry = Entry { at, name: len(name), value: len(value) };
        for text in [name, value] {
            self.bytes.extend_from_slice(text.known().unwrap_or_default());
        }
        self.size += entry.size();
        self.entries.push_back(entry);
    }

    /// Moves the texts to the front when there is no room for more, and enough would be won to pay for it.
    fn make_room(&mut self, more: usize) {
        if self.bytes.len() + more <= self.bytes.capacity() {
            return;
        }
        let dead = self.dead as usize;
        if dead > (self.bytes.len() - dead) / 4 {
            self.bytes.drain(..dead);
            self.base = self.base.wrapping_add(self.dead);
            self.dead = 0;
        }
        self.bytes.reserve_exact(growth(self.bytes.len(), more));
    }

    /// Makes room for an entry of this size: drops what cannot be in the encoder's table any more, and what is too much
    /// for us.
    fn evict(&mut self, incoming: u32) {
        let filled = |size: u32| size.saturating_add(incoming);
        // Entries go in the order of their age: when ours alone fill the table, the older ones are gone.
        self.older &= filled(self.size).saturating_add(ENTRY_OVERHEAD) <= self.max;
        while filled(self.size) > self.max.min(MOST_KEPT) {
            self.older |= filled(self.size) <= self.max;
            let Some(entry) = self.entries.pop_front() else { break };
            self.size -= entry.size();
            self.dead += entry.len() as u32;
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        (self.dead, self.base, self.size) = (0, 0, 0);
    }

    /// The most that the encoder's table may hold now.
    pub(super) fn max(&self) -> u32 {
        self.max
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Entries that are known to be there at most, the newest first, for tests.
    #[cfg(test)]
    pub(super) fn contents(&self) -> (Vec<(Text<'_>, Text<'_>)>, u32) {
        (self.entries.iter().rev().map(|entry| self.texts(*entry)).collect(), self.size)
    }
}

/// Room for how much more to take where there is none. The tables of most connections stop growing soon, and then stay as
/// they are: an eighth too much is enough to be quick, twice as much would be what they mostly consist of.
fn growth(len: usize, more: usize) -> usize {
    more.max(len / 8)
}

/// A text's length in an entry, which holds less than `MOST_KEPT`.
fn len(text: Text<'_>) -> u16 {
    text.known().and_then(|bytes| u16::try_from(bytes.len()).ok()).unwrap_or(UNKNOWN)
}
