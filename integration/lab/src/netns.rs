//! Network namespaces with a name, as iproute2 makes them: a bind mount of the namespace's file under
//! `/run/netns`. `ip netns exec NAME` finds them; none of this needs iproute2.

use std::fs::{self, File};
use std::io;
use std::marker::PhantomData;
use std::mem::size_of;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Where named namespaces are (iproute2's `NETNS_RUN_DIR`).
pub const NETNS_DIR: &str = "/run/netns";

const THREAD_NETNS: &str = "/proc/thread-self/ns/net";

/// A named network namespace. Dropping it removes the name; the kernel ends the namespace with its last process.
#[derive(Debug)]
pub struct NetNs {
    name: String,
    path: PathBuf,
    file: File,
}

impl NetNs {
    /// Creates the namespace `/run/netns/NAME` with its loopback device up.
    ///
    /// # Errors
    /// When the name is taken, or the privileges for unshare(2) and mount(2) are missing.
    pub fn create(name: &str) -> Result<Self> {
        let path = Path::new(NETNS_DIR).join(name);
        share_netns_dir()?;
        File::create_new(&path).with_context(|| format!("the netns name {} is taken", path.display()))?;
        if let Err(error) = bind_new_namespace(&path) {
            remove(&path);
            return Err(error.context(format!("cannot create the netns {name}")));
        }
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let namespace = Self { name: name.to_owned(), path, file };
        namespace.run(|| crate::link::set_up("lo"))??;
        Ok(namespace)
    }

    /// The name under `/run/netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `/run/netns/NAME`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the calling thread into the namespace until the guard is dropped.
    ///
    /// # Errors
    /// When setns(2) is refused.
    pub fn enter(&self) -> Result<Entered> {
        let before = File::open(THREAD_NETNS).with_context(|| format!("cannot open {THREAD_NETNS}"))?;
        setns(&self.file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("cannot enter the netns {} (root?)", self.name))?;
        Ok(Entered { before, of_this_thread: PhantomData })
    }

    /// Runs `action` inside the namespace on a thread of its own, so that the caller's thread never leaves its own.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or `action` panics.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        let inside = || -> Result<T> {
            let _entered = self.enter()?;
            Ok(action())
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .map_err(|_| anyhow!("a thread in the netns {} panicked", self.name))?
    }

    /// Starts `command` inside the namespace: a child is born into the namespace of the thread that starts it.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or the program cannot be started.
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        let program = command.get_program().to_string_lossy().into_owned();
        self.run(|| command.spawn())?
            .with_context(|| format!("cannot start {program} in the netns {}", self.name))
    }

    /// The namespace's cookie: unlike the inode number it is never used twice between two boots.
    ///
    /// # Errors
    /// Before Linux 5.14, which has no `SO_NETNS_COOKIE`.
    pub fn cookie(&self) -> Result<u64> {
        self.run(cookie_here)?.with_context(|| format!("cannot read the cookie of the netns {}", self.name))
    }

    /// The namespace's inode number, as in `net:[4026532200]`.
    ///
    /// # Errors
    /// When the namespace's file cannot be read.
    pub fn inode(&self) -> Result<u64> {
        use std::os::unix::fs::MetadataExt as _;
        Ok(self.file.metadata()?.ino())
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The calling thread is inside a namespace; dropping this takes it back. Not `Send`: a namespace is a thread's.
#[derive(Debug)]
pub struct Entered {
    before: File,
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Err(error) = setns(&self.before, CloneFlags::CLONE_NEWNET) {
            // A thread that goes on in the wrong namespace would do its work in another pod's network.
            eprintln!("lab: cannot return to the former netns, ending: {error}");
            std::process::abort();
        }
    }
}

/// Removes the name of a namespace, whoever created it; a name that is not there is fine.
pub(crate) fn remove(path: &Path) {
    let _ = umount2(path, MntFlags::MNT_DETACH);
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => eprintln!("lab: cannot remove {}: {error}", path.display()),
    }
}

/// Makes [`NETNS_DIR`] a mount point with shared propagation, as iproute2 does, and under the same lock. Else the
/// first `ip netns add` would do it, over namespaces that then can no longer be unmounted.
fn share_netns_dir() -> Result<()> {
    fs::create_dir_all(NETNS_DIR).with_context(|| format!("cannot create {NETNS_DIR}"))?;
    let dir = File::open(NETNS_DIR)?;
    dir.lock()?;
    let none = None::<&str>;
    let share = || mount(none, NETNS_DIR, none, MsFlags::MS_SHARED | MsFlags::MS_REC, none);
    let shared = share().or_else(|_| {
        mount(Some(NETNS_DIR), NETNS_DIR, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
        share()
    });
    shared.with_context(|| format!("cannot mount {NETNS_DIR} on itself (root?)"))
}

fn bind_new_namespace(path: &Path) -> Result<()> {
    let create = || -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNET).context("unshare(2) refused a new netns (root?)")?;
        mount(Some(THREAD_NETNS), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .context("mount(2) refused to keep the netns")
    };
    // The thread ends in the new namespace: nothing else ever runs in it.
    thread::scope(|scope| scope.spawn(create).join()).map_err(|_| anyhow!("the creating thread panicked"))?
}

/// The cookie of the calling thread's namespace, asked of a socket in it.
fn cookie_here() -> io::Result<u64> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the pointers are to `cookie` and `length`, which outlive the call, and `length` is the size of `cookie`.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if status == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}
