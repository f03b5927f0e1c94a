/// Why nothing can be said of an executable. Tracing of the wire goes on without.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not ELF as the specification has it.
    #[error("the executable's ELF {what} is damaged or cut off: its goroutines stay unknown")]
    Elf {
        /// Which part.
        what: &'static str,
    },
    /// Go, but not for this kind of processor.
    #[error("a Go program for another kind of processor: only those for x86-64 are known")]
    Machine,
    /// It has Go's build information, which says nothing that can be understood.
    #[error(
        "the build information of the Go program is damaged ({what}): its version is unknown, so its goroutines are"
    )]
    BuildInfo {
        /// Which part.
        what: &'static str,
    },
    /// No table says where its functions are.
    #[error(
        "the Go program has neither symbols nor a function table that can be used: none of its functions is found"
    )]
    Functions,
}
