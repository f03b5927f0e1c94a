//! What is known of binaries, by file: each is read once, however many processes execute it.
use std::{collections::BTreeMap, sync::Arc};

use weft_gobin::GoBinary;

use super::file_id::FileId;

/// Files that are known. What is not used for longest gives way to others, and is read again when it comes back.
const FILES: usize = 1024;
/// The memory of what is known of them all, in bytes.
const BYTES: usize = 8 << 20;
/// Processes that wait for one file to be read; others are found by the next look at all processes.
const WAITING: usize = 1024;

/// What a file is.
#[derive(Clone, Debug)]
pub enum Known {
    /// A Go program.
    Go(Arc<GoBinary>),
    /// Nothing to trace: no Go program, or one of which nothing could be told.
    Nothing,
}

/// The files.
#[derive(Default)]
pub struct Cache {
    files: BTreeMap<FileId, Entry>,
    bytes: usize,
    /// Counts uses: the smaller one was used earlier.
    clock: u64,
    evicted: u64,
}

struct Entry {
    state: State,
    bytes: usize,
    used: u64,
}

enum State {
    Reading(Vec<u32>),
    Known(Known),
}

/// What a process has to wait for.
pub enum Asked {
    /// Nothing.
    Known(Known),
    /// The file is being read; the process is told of by [`Cache::learn`].
    Wait,
    /// Nobody has asked for the file before: it must be read.
    Read,
}

impl Cache {
    /// A process executes the file.
    pub fn ask(&mut self, file: FileId, pid: u32) -> Asked {
        self.clock += 1;
        let Some(entry) = self.files.get_mut(&file) else { return Asked::Read };
        entry.used = self.clock;
        match &mut entry.state {
            State::Known(known) => Asked::Known(known.clone()),
            State::Reading(waiting) => {
                if waiting.len() < WAITING && !waiting.contains(&pid) {
                    waiting.push(pid);
                }
                Asked::Wait
            }
        }
    }

    /// The file is being read for this process.
    pub fn reading(&mut self, file: FileId, pid: u32) {
        self.put(file, State::Reading(vec![pid]), 0);
    }

    /// The file was read. Gives the processes that wait for it.
    pub fn learn(&mut self, file: FileId, known: Known) -> Vec<u32> {
        let bytes = match &known {
            Known::Go(binary) => size(binary),
            Known::Nothing => 0,
        };
        let before = self.put(file, State::Known(known), bytes);
        if let Some(State::Reading(waiting)) = before { waiting } else { Vec::new() }
    }

    /// How many gave way to others.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn put(&mut self, file: FileId, state: State, bytes: usize) -> Option<State> {
        self.clock += 1;
        let before = self.files.insert(file, Entry { state, bytes, used: self.clock });
        self.bytes = self.bytes + bytes - before.as_ref().map_or(0, |entry| entry.bytes);
        while (self.files.len() > FILES || self.bytes > BYTES) && self.evict(file) {}
        before.map(|entry| entry.state)
    }

    /// What is being read stays: somebody waits. Says whether there was something to evict.
    fn evict(&mut self, but: FileId) -> bool {
        let known =
            self.files.iter().filter(|(file, entry)| **file != but && matches!(entry.state, State::Known(_)));
        let Some((oldest, bytes)) =
            known.min_by_key(|(_, entry)| entry.used).map(|(file, entry)| (*file, entry.bytes))
        else {
            return false;
        };
        self.files.remove(&oldest);
        self.bytes -= bytes;
        self.evicted += 1;
        true
    }
}

/// About how many bytes of memory.
fn size(binary: &GoBinary) -> usize {
    let points = binary.points.iter().map(|point| size_of_val(point) + point.symbol.len());
    size_of_val(binary) + points.sum::<usize>() + binary.missing.iter().map(String::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use weft_abi::GoProcess;
    use weft_gobin::{GoVersion, RuntimeAddresses};

    use super::*;

    fn file(number: u64) -> FileId {
        FileId::numbered(number)
    }

    fn binary(bytes: usize) -> Known {
        Known::Go(Arc::new(GoBinary {
            version: GoVersion { major: 1, minor: 26, patch: 0 },
            build_id: None,
            linked_at: 0,
            process: GoProcess::default(),
            points: Vec::new(),
            runtime: RuntimeAddresses::default(),
            missing: vec!["x".repeat(bytes)],
        }))
    }

    #[test]
    fn many_processes_of_one_binary_read_it_once() {
        let mut cache = Cache::default();
        let reads = (0..200).filter(|pid| {
            let asked = cache.ask(file(1), *pid);
            if matches!(asked, Asked::Read) {
                cache.reading(file(1), *pid);
            }
            matches!(asked, Asked::Read)
        });
        assert_eq!(reads.count(), 1);
        assert_eq!(cache.learn(file(1), binary(1)), (0..200).collect::<Vec<_>>());
        assert!(matches!(cache.ask(file(1), 7), Asked::Known(Known::Go(_))));
    }

    #[test]
    fn the_number_of_files_is_bounded_and_what_is_used_stays() {
        let mut cache = Cache::default();
        for number in 0..5000 {
            cache.learn(file(number), Known::Nothing);
            assert!(matches!(cache.ask(file(0), 1), Asked::Known(_)), "{number}");
        }
        assert_eq!((cache.files.len(), cache.evicted()), (FILES, 5000 - FILES as u64));
        assert!(matches!(cache.ask(file(1), 1), Asked::Read));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut cache = Cache::default();
        for number in 0..100 {
            cache.learn(file(number), binary(1 << 20));
            assert!(cache.bytes <= BYTES);
        }
        assert!(matches!(cache.ask(file(99), 1), Asked::Known(_)));
        (0..100).for_each(|number| drop(cache.learn(file(number), Known::Nothing)));
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn what_is_being_read_is_not_forgotten() {
        let mut cache = Cache::default();
        cache.reading(file(9999), 5);
        (0..5000).for_each(|number| drop(cache.learn(file(number), Known::Nothing)));
        assert_eq!(cache.learn(file(9999), Known::Nothing), [5]);
    }
}
