use std::{io, path::PathBuf};

/// What can go wrong between user space and the kernel's BPF.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The folder is on no BPF file system and none could be mounted.
    #[error(
        "{path}: cannot mount the BPF file system here ({source}); mount it (mount -t bpf bpf {path}) or grant CAP_SYS_ADMIN"
    )]
    MountBpffs {
        /// Where it was to be mounted.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Nothing is pinned: no agent has run since the node booted.
    #[error("{path}: no weft programs are pinned here; the agent loads them when it starts")]
    NotInstalled {
        /// The folder of the pins.
        path: PathBuf,
    },
    /// The kernel has no type information.
    #[error("/sys/kernel/btf/vmlinux: {source}; the kernel needs CONFIG_DEBUG_INFO_BTF")]
    NoBtf {
        /// Why it cannot be read.
        #[source]
        source: io::Error,
    },
    /// The kernel's type information is not what it should be.
    #[error("kernel BTF: {what}")]
    Btf {
        /// What was not found or not understood.
        what: String,
    },
    /// The object could not be loaded.
    #[error("cannot load the eBPF object: {0}")]
    Load(#[from] aya::EbpfError),
    /// A program was refused.
    #[error("eBPF program {program}: {source}")]
    Program {
        /// The program's name.
        program: String,
        /// The kernel's answer, with the verifier's log where there is one.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// A map could not be used.
    #[error("eBPF map {map}: {source}")]
    Map {
        /// The map's name.
        map: &'static str,
        /// The kernel's answer.
        #[source]
        source: aya::maps::MapError,
    },
    /// Something could not be pinned.
    #[error("cannot pin {path}: {source}")]
    Pin {
        /// Where it was to be pinned.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: aya::pin::PinError,
    },
    /// A link could not be used.
    #[error("eBPF link {path}: {source}")]
    Link {
        /// Where it is pinned.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: aya::programs::links::LinkError,
    },
    /// rtnetlink refused.
    #[error("netlink {request}: {source}")]
    Netlink {
        /// What was asked.
        request: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A Go function could not be attached to.
    #[error("cannot attach to {path} at {offset:#x}: {source}")]
    Attach {
        /// The executable.
        path: PathBuf,
        /// The place in the file.
        offset: u64,
        /// The kernel's answer.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// As many Go functions are attached to as there is room for.
    #[error("{limit} places in Go programs are attached to: there is no room for another")]
    TooManyAttachments {
        /// How many there can be.
        limit: u32,
    },
    /// No cgroup v2 hierarchy is mounted.
    #[error("no cgroup2 file system is mounted: socket events are off; mount one, or set paths.cgroup")]
    NoCgroup2,
    /// A clsact qdisc cannot be added because another ingress qdisc sits there.
    #[error(
        "{device}: cannot add a clsact qdisc, another ingress qdisc is there (the CNI bandwidth plugin adds one); TCX needs no qdisc: kernel 6.6 or newer, attach auto"
    )]
    ClsactTaken {
        /// The device's name.
        device: String,
    },
}

/// Whether an error only says that the system is short of something (EMFILE, ENFILE, ENOMEM, EIO): it says nothing of the
/// file that was to be looked at.
pub fn is_shortage(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| [24, 23, 12, 5].contains(&code))
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, LoaderError>;

pub(crate) trait IoContext<T> {
    /// Names the path that an I/O error is about.
    fn at(self, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T, E: Into<io::Error>> IoContext<T> for std::result::Result<T, E> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| LoaderError::Io { path: path.into(), source: source.into() })
    }
}
