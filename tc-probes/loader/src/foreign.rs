//! Maps of other people's programs, read and never written: aya's own types want to know at compile time how large keys and
//! values are.
use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    slice::ChunksExact,
};

use aya::{
    maps::{MapData, MapError, MapType},
    util::nr_cpus,
};

/// `enum bpf_cmd`, include/uapi/linux/bpf.h.
const OBJ_GET: libc::c_long = 7;
const MAP_LOOKUP_BATCH: libc::c_long = 24;
/// `BPF_F_RDONLY`: a file that cannot be written through.
const RDONLY: u32 = 1 << 3;

/// Entries that are asked for at a time, and what they may take.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 1 << 20;

/// Why a map cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// Nothing has this path.
    #[error(
        "nothing is pinned there (is the program that pins it running, and its BPF file system mounted here?)"
    )]
    Missing,
    /// The path may not be used, or is on no BPF file system (the kernel says EACCES for both).
    #[error(
        "access is denied (CAP_BPF and the pin's mode allow it; the path has to be on a BPF file system)"
    )]
    Denied,
    /// It is a program or a link.
    #[error("what is pinned there is no map")]
    NoMap,
    /// Its entries are nothing to count.
    #[error("a map of type {0} cannot be read: array, hash, lru_hash and their per-CPU kinds can")]
    Kind(String),
    /// An entry is too large.
    #[error("an entry has {0} bytes on all CPUs together: {BATCH_BYTES} are allowed")]
    TooLarge(usize),
    /// There are too many.
    #[error("it has more than {0} entries, and no more are read")]
    TooMany(usize),
    /// The kernel's answer.
    #[error("{call}: {source}")]
    Kernel {
        /// What was asked.
        call: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A map that somebody pinned.
#[derive(Debug)]
pub struct ForeignMap {
    map: MapData,
    /// Bytes of a key, and of a value of one CPU.
    key_size: usize,
    value_size: usize,
    /// From one CPU's value to the next one's (the kernel rounds up to 8), and how many there are.
    stride: usize,
    cpus: usize,
    max_entries: usize,
}

/// An entry's value, for each CPU that has one of its own; one, where they share it.
#[derive(Clone, Debug)]
pub struct Values<'v> {
    chunks: ChunksExact<'v, u8>,
    size: usize,
}

/// The memory that a batch is read to.
struct Batch {
    keys: Vec<u8>,
    values: Vec<u8>,
    /// Where the kernel goes on: a key, or a bucket's number.
    cursor: Vec<u8>,
    capacity: usize,
}

/// `union bpf_attr` for `BPF_OBJ_GET`.
#[repr(C)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// `union bpf_attr` for `BPF_MAP_LOOKUP_BATCH`.
#[repr(C)]
struct LookupBatch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

impl ForeignMap {
    /// Opens what is pinned there, for reading.
    ///
    /// # Errors
    /// When there is no map, it is of a kind whose entries are nothing to count, or access is denied.
    pub fn open(pin: &Path) -> Result<Self, ForeignError> {
        let fd = get(pin)?;
        if !is_map(fd.as_raw_fd()) {
            return Err(ForeignError::NoMap);
        }
        let map = MapData::from_fd(fd).map_err(unreadable)?;
        let info = map.info().map_err(unreadable)?;
        let kind = info.map_type().map_err(|_| ForeignError::Kind("unknown".to_owned()))?;
        let per_cpu = match kind {
            MapType::Array | MapType::Hash | MapType::LruHash => false,
            MapType::PerCpuArray | MapType::PerCpuHash | MapType::LruPerCpuHash => true,
            other => return Err(ForeignError::Kind(format!("{other:?}"))),
        };
        // The kernel makes no map of these kinds with a size of 0.
        let [key_size, value_size, max_entries] =
            [info.key_size(), info.value_size(), info.max_entries()].map(|size| size.max(1) as usize);
        let (stride, cpus) =
            if per_cpu { (value_size.next_multiple_of(8), cpus()?) } else { (value_size, 1) };
        let map = Self { map, key_size, value_size, stride, cpus, max_entries };
        match map.entry_bytes() {
            bytes if bytes > BATCH_BYTES => Err(ForeignError::TooLarge(bytes)),
            _ => Ok(map),
        }
    }

    /// Bytes of a key.
    pub fn key_size(&self) -> usize {
        self.key_size
    }

    /// Bytes of a value, of one CPU.
    pub fn value_size(&self) -> usize {
        self.value_size
    }

    /// Hands over every entry, once; gives how many there were. Others write to the map meanwhile: each entry is what it was when its turn came.
    ///
    /// # Errors
    /// When there are more than `limit`, or the kernel refuses; some were handed over then.
    pub fn read(&self, limit: usize, mut take: impl FnMut(&[u8], Values<'_>)) -> Result<usize, ForeignError> {
        let mut batch = self.batch((BATCH_BYTES / self.entry_bytes().max(1)).clamp(1, BATCH));
        let (mut first, mut read) = (true, 0);
        loop {
            let (count, last) = match self.lookup(&mut batch, first) {
                Ok(found) => found,
                // A bucket of the hash table is longer than the batch.
                Err(error) if is(&error, libc::ENOSPC) && batch.capacity < self.max_entries => {
                    let cursor = std::mem::take(&mut batch.cursor);
                    batch = Batch { cursor, ..self.batch(batch.capacity * 2) };
                    continue;
                }
                Err(source) => return Err(ForeignError::Kernel { call: "BPF_MAP_LOOKUP_BATCH", source }),
            };
            read += count;
            if read > limit {
                return Err(ForeignError::TooMany(limit));
            }
            self.entries(&batch, count, &mut take);
            if last {
                return Ok(read);
            }
            first = false;
        }
    }

    fn entries(&self, batch: &Batch, count: usize, take: &mut impl FnMut(&[u8], Values<'_>)) {
        let keys = batch.keys.chunks_exact(self.key_size);
        let values = batch.values.chunks_exact(self.stride * self.cpus);
        for (key, value) in keys.zip(values).take(count) {
            take(key, Values { chunks: value.chunks_exact(self.stride), size: self.value_size });
        }
    }

    fn entry_bytes(&self) -> usize {
        self.key_size.saturating_add(self.stride.saturating_mul(self.cpus))
    }

    fn batch(&self, capacity: usize) -> Batch {
        Batch {
            keys: vec![0; capacity * self.key_size],
            values: vec![0; capacity * self.stride * self.cpus],
            cursor: vec![0; self.key_size.max(8)],
            capacity,
        }
    }

    /// The next entries: how many, and whether they are the last.
    fn lookup(&self, batch: &mut Batch, first: bool) -> io::Result<(usize, bool)> {
        let cursor = batch.cursor.as_mut_ptr() as u64;
        let mut attr = LookupBatch {
            in_batch: if first { 0 } else { cursor },
            out_batch: cursor,
            keys: batch.keys.as_mut_ptr() as u64,
            values: batch.values.as_mut_ptr() as u64,
            count: u32::try_from(batch.capacity).unwrap_or(u32::MAX),
            map_fd: self.map.fd().as_fd().as_raw_fd().cast_unsigned(),
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: keys and values have room for `count` entries of the sizes that the kernel named for this map, a per-CPU value
        // for each possible CPU rounded up to 8 (kernel/bpf/syscall.c: bpf_map_value_size); the cursor has room for a key and
        // for a bucket's number; all of it lives until the call returns.
        let called = unsafe { bpf(MAP_LOOKUP_BATCH, &mut attr) };
        let count = (attr.count as usize).min(batch.capacity);
        match called {
            Ok(_) => Ok((count, false)),
            // There is nothing behind these.
            Err(error) if is(&error, libc::ENOENT) => Ok((count, true)),
            Err(error) => Err(error),
        }
    }
}

impl<'v> Iterator for Values<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        self.chunks.next()?.get(..self.size)
    }
}

fn get(pin: &Path) -> Result<OwnedFd, ForeignError> {
    let path = CString::new(pin.as_os_str().as_bytes()).map_err(|_| ForeignError::Missing)?;
    let mut attr = ObjGet { pathname: path.as_ptr() as u64, bpf_fd: 0, file_flags: RDONLY };
    // SAFETY: the path ends with a zero and lives until the call returns.
    let fd = unsafe { bpf(OBJ_GET, &mut attr) }.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ForeignError::Missing,
        io::ErrorKind::PermissionDenied => ForeignError::Denied,
        // A link is not given to those who only read.
        io::ErrorKind::InvalidInput => ForeignError::NoMap,
        _ => ForeignError::Kernel { call: "BPF_OBJ_GET", source },
    })?;
    // SAFETY: the kernel made it for this call, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A program's descriptor would tell a program's type and sizes where a map's are asked for.
fn is_map(fd: RawFd) -> bool {
    fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|name| name.as_os_str() == "anon_inode:bpf-map")
}

/// CPUs that there may be: each has a value.
fn cpus() -> Result<usize, ForeignError> {
    nr_cpus().map_err(|(call, source)| ForeignError::Kernel { call, source })
}

fn unreadable(error: MapError) -> ForeignError {
    let call = "BPF_OBJ_GET_INFO_BY_FD";
    match error {
        MapError::SyscallError(error) => ForeignError::Kernel { call, source: error.io_error },
        other => ForeignError::Kernel { call, source: io::Error::other(other) },
    }
}

fn is(error: &io::Error, code: i32) -> bool {
    error.raw_os_error() == Some(code)
}

/// bpf(2).
///
/// # Safety
/// What `attr` points to is what the command wants, as the kernel's `union bpf_attr` has it.
unsafe fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<RawFd> {
    // SAFETY: the caller's word; the kernel reads and writes no more of `attr` than it is told it has.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
    match RawFd::try_from(result) {
        Ok(result @ 0..) => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
