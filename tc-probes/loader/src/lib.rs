//! Loads, pins, attaches, detaches and lists the eBPF programs: everything that touches the kernel's bpf(2) and
//! the devices they sit on. Shared by the agent, the CNI plugin and the installer; the plugin uses only what
//! works with pinned objects, so nothing of the loading is linked into it.

mod attach;
mod bpffs;
mod btf;
mod cgroup;
mod error;
mod filter;
mod flows;
mod foreign;
pub mod go;
mod install;
mod mapped;
mod maps;
mod memory;
pub mod netlink;
pub mod netns;
mod object;
mod pins;
mod slots;
mod sockets;
pub mod state;
mod stats;

pub use attach::{AttachMode, Attached, Device, Mechanism, attach, attached_programs, detach};
pub use bpffs::{ensure_bpffs, is_bpffs};
pub use btf::KernelTypes;
pub use cgroup::cgroup2_root;
pub use error::{LoaderError, Result, is_shortage};
pub use flows::{Flows, GatheredRun, reverse};
pub use foreign::{ForeignError, ForeignMap, Values};
pub use install::{InstallOptions, Installed, Tried, install, listen_at, remove_all, try_load};
pub use maps::{Counted, Kernel, Losses, ProbeRing, Vantages, host_vantage, pod_sockets};
pub use memory::give_back;
pub use object::object_identity;
pub use pins::{Pins, TcLink};
pub use sockets::SocketSource;
pub use stats::{ProgramStats, StatsGuard, program_stats};
