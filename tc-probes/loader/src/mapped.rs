//! Maps whose memory programs and user space share (`BPF_F_MMAPABLE`).
use std::{
    os::fd::AsFd as _,
    ptr::{self, NonNull},
};

use aya::maps::MapData;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::error::{IoContext as _, Result};

/// The elements of an array, as long as this lives.
pub(crate) struct Mapped<T> {
    base: NonNull<T>,
    elements: usize,
}

// SAFETY: the mapping belongs to no thread, and who uses what is in it reads and writes it as shared memory.
unsafe impl<T> Send for Mapped<T> {}

impl<T> Mapped<T> {
    /// Maps the memory of a map that has at least one and so many elements of this type. `name` is for errors.
    pub(crate) fn map(map: &MapData, name: &str, elements: usize) -> Result<Self> {
        let what = format!("the map {name}");
        let (protection, bytes) = (ProtFlags::READ | ProtFlags::WRITE, elements * size_of::<T>());
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(ptr::null_mut(), bytes, protection, MapFlags::SHARED, map.fd().as_fd(), 0) }
            .map_err(std::io::Error::from)
            .at(&what)?;
        let base = NonNull::new(base.cast()).ok_or(std::io::Error::from(std::io::ErrorKind::OutOfMemory));
        Ok(Self { base: base.at(what)?, elements })
    }

    /// The element with this number; the first one where there is none such.
    pub(crate) fn element(&self, number: usize) -> *mut T {
        let number = if number < self.elements { number } else { 0 };
        // SAFETY: within the mapping.
        unsafe { self.base.as_ptr().add(number) }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, to which nothing refers any more. Fails only for a wrong address.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.elements * size_of::<T>()) };
    }
}
