//! Network namespaces: entering one for a moment, and their cookies.
use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd as _, OwnedFd},
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    net::{AddressFamily, SocketType, socket},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::{
    Device,
    error::{IoContext as _, LoaderError, Result},
    netlink,
};

/// An open network namespace.
#[derive(Debug)]
pub struct Netns {
    file: File,
    path: PathBuf,
}

/// The way from a pod's interface to the device outside the pod that its packets pass.
#[derive(Clone, Debug)]
pub struct PodLink {
    /// Cookie of the pod's netns.
    pub netns: u64,
    /// Interface index of the pod's side of the veth pair, in the pod's netns.
    pub pod_ifindex: u32,
    /// Interface index of the host's side of the veth pair, in the host's netns.
    pub host_ifindex: u32,
}

impl PodLink {
    /// The host's side of the veth pair, looked up in the calling thread's netns. Interface indexes repeat across
    /// namespaces: a device that does not point back at the pod's side is somebody else's.
    ///
    /// # Errors
    /// When the other end is in a third netns, or the kernel refuses.
    pub fn host_device(&self) -> Result<Device> {
        let host = netlink::link_by_index(self.host_ifindex)?;
        if host.veth && host.peer == Some(self.pod_ifindex) && host.peer_netns_id.is_some() {
            return Ok(host.device());
        }
        Err(no_other_end(format!(
            "{} (interface {}) does not lead back to the pod: the other end of its veth pair is in a third netns",
            host.name, host.ifindex
        )))
    }
}

fn no_other_end(what: String) -> LoaderError {
    LoaderError::Netlink { request: "RTM_GETLINK", source: io::Error::other(what) }
}

impl Netns {
    /// Opens a netns by its file: a bind mount, or /proc/PID/ns/net.
    ///
    /// # Errors
    /// When there is no such file, or access is denied.
    pub fn open(path: &Path) -> Result<Self> {
        // Whoever wrote the path may have named a FIFO: opening it must not wait for a writer.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).at(path)?;
        Ok(Self { file, path: path.into() })
    }

    /// The namespace's inode number: for people; it is recycled.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn inode(&self) -> Result<u64> {
        Ok(self.file.metadata().at(&self.path)?.ino())
    }

    /// The cookie: never used twice between two boots.
    ///
    /// # Errors
    /// When the netns cannot be entered, or the kernel knows no SO_NETNS_COOKIE (< 5.14).
    pub fn cookie(&self) -> Result<u64> {
        self.within(current_cookie)
    }

    /// From inside the netns: its cookie, and which device outside is the other end of `interface`. The order of a
    /// CNI result's interfaces says nothing; IFLA_LINK does.
    ///
    /// # Errors
    /// When the netns is gone, there is no such interface, or it has no other end.
    pub fn pod_link(&self, interface: &str) -> Result<PodLink> {
        self.within(|| {
            let link = netlink::link_by_name(interface)?;
            let host_ifindex = match (link.veth, link.peer) {
                (true, Some(peer)) => peer,
                _ => {
                    return Err(no_other_end(format!(
                        "{interface} is no end of a veth pair: it has no device outside the pod"
                    )));
                }
            };
            Ok(PodLink { netns: current_cookie()?, pod_ifindex: link.ifindex, host_ifindex })
        })
    }

    /// Runs something in this netns, on a thread of its own: whatever happens, the caller's netns stays as it is.
    ///
    /// # Errors
    /// When the netns cannot be entered (CAP_SYS_ADMIN), or what `work` says.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let enter = || {
            move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network)).at(&self.path)?;
            work()
        };
        thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

/// The cookie of the calling thread's netns.
///
/// # Errors
/// When no socket can be made, or the kernel knows no SO_NETNS_COOKIE (< 5.14).
pub fn current_cookie() -> Result<u64> {
    let probe = socket(AddressFamily::INET, SocketType::DGRAM, None).at("socket(2)")?;
    socket_cookie(&probe).at("SO_NETNS_COOKIE")
}

fn socket_cookie(socket: &OwnedFd) -> io::Result<u64> {
    let mut cookie = 0_u64;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the option writes at most `len` bytes to `cookie` (net/core/sock.c: it is a u64).
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut len,
        )
    };
    if result == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}
