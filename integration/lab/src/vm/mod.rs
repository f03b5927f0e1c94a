//! Virtual machines with real kernels: Debian's, from its packages. A machine runs one script to its end and is gone. It has no
//! disk and no network, only what is packed into its memory. Its processor is emulated, which works everywhere: a `/dev/kvm` may be
//! there that starts no kernel. Slow, and good for what works and not for how long it takes.

mod cpio;
mod guest;
mod initramfs;
mod kernel;
mod packages;

pub use guest::{Guest, Said};
pub use kernel::Kernel;

use crate::apt::Program;

/// What a virtual machine needs.
pub const PROGRAMS: [Program; 4] = [
    Program { binary: "qemu-system-x86_64", package: "qemu-system-x86", why: "to run other kernels" },
    Program { binary: "busybox", package: "busybox-static", why: "the shell in virtual machines" },
    Program { binary: "depmod", package: "kmod", why: "to find kernel modules" },
    Program { binary: "xz", package: "xz-utils", why: "to unpack kernel modules" },
];
