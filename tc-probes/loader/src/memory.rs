/// Gives memory that is free back to the system. Reading the kernel's types takes some 20 MiB that nobody needs again, and the
/// C library would keep them: a program that runs for months calls this once, after it has loaded what it loads.
pub fn give_back() {
    // SAFETY: it takes no pointer, locks the allocator by itself, and touches pages only that nobody has allocated
    // (malloc_trim(3)).
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
