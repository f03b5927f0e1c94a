//! Members of kernel structures. A Rust program has no CO-RE relocations: the loader reads the offsets from the
//! kernel's BTF and sets these read-only globals before the verifier sees them.
use aya_ebpf::helpers::{
    bpf_probe_read_kernel,
    generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
};
use core::ptr::read_volatile;

macro_rules! offsets {
    ($($name:ident),*) => {
        $(
            #[unsafe(no_mangle)]
            static $name: u32 = 0;
        )*
    };
}

offsets!(
    SK_BUFF_DEV,
    NET_DEVICE_ND_NET,
    NET_NET_COOKIE,
    SOCK_SK_NET,
    SOCK_SK_PROTOCOL,
    SOCK_SK_COOKIE,
    TCP_SOCK_WRITE_SEQ,
    TCP_SOCK_COPIED_SEQ,
    TASK_PID,
    TASK_TGID,
    TASK_FSBASE,
    PT_REGS_R14,
    TASK_NSPROXY,
    TASK_SIGNAL,
    SIGNAL_LIVE,
    NSPROXY_NET_NS,
    TASK_FILES,
    FILES_FDT,
    FDTABLE_MAX_FDS,
    FDTABLE_FD,
    FILE_PRIVATE_DATA,
    SOCKET_FILE,
    SOCKET_SK
);

/// # Safety
/// Any address may be given: a fault reads as `None`.
#[inline(always)]
unsafe fn probe<T>(base: *const u8, offset: &'static u32) -> Option<T> {
    unsafe { bpf_probe_read_kernel(base.add(read_volatile(offset) as usize).cast::<T>()).ok() }
}

/// Reads a member through a pointer whose type the verifier knows: a plain load, an order of magnitude cheaper
/// than a probe read, and safe because the verifier checks the offset against the kernel's BTF.
///
/// # Safety
/// `base` must come from a BTF tracepoint's argument or from a member read this way.
#[inline(always)]
unsafe fn load<T>(base: *const u8, offset: &'static u32) -> T {
    unsafe { read_volatile(base.add(read_volatile(offset) as usize).cast::<T>()) }
}

/// The cookie of the netns that a packet's device is in. `bpf_get_netns_cookie` would say the initial netns' for a packet without
/// a socket.
#[inline(always)]
pub fn device_netns(skb: *const u8) -> Option<u64> {
    // SAFETY: `probe` takes any address.
    unsafe {
        let device: *const u8 = probe(skb, &SK_BUFF_DEV)?;
        let net: *const u8 = probe(device, &NET_DEVICE_ND_NET)?;
        probe(net, &NET_NET_COOKIE)
    }
}

/// The cookie of the netns that the programs are loaded from, the host's: the pods' devices but loopback are in it, and no pod's
/// sockets. Set before the verifier sees them, like the offsets.
#[unsafe(no_mangle)]
static DEVICES_NETNS: u64 = 0;

#[inline(always)]
pub fn devices_netns() -> u64 {
    // SAFETY: a read-only global.
    unsafe { read_volatile(&DEVICES_NETNS) }
}

/// The cookie of the netns that a socket belongs to.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub unsafe fn socket_netns(sk: *const u8) -> u64 {
    unsafe {
        let net: *const u8 = load(sk, &SOCK_SK_NET);
        load(net, &NET_NET_COOKIE)
    }
}

/// `sk->sk_protocol`.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub unsafe fn protocol(sk: *const u8) -> u16 {
    unsafe { load(sk, &SOCK_SK_PROTOCOL) }
}

/// The socket's cookie; 0 while nobody has asked for it.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub unsafe fn cookie(sk: *const u8) -> u64 {
    unsafe { load(sk, &SOCK_SK_COOKIE) }
}

/// The sequence number behind the last byte that was written to the socket.
///
/// # Safety
/// As [`load`], with a `tcp_sock`.
#[inline(always)]
pub unsafe fn write_seq(tcp_sock: *const u8) -> u32 {
    unsafe { load(tcp_sock, &TCP_SOCK_WRITE_SEQ) }
}

/// The sequence number behind the last byte that was read from the socket.
///
/// # Safety
/// As [`load`], with a `tcp_sock`.
#[inline(always)]
pub unsafe fn copied_seq(tcp_sock: *const u8) -> u32 {
    unsafe { load(tcp_sock, &TCP_SOCK_COPIED_SEQ) }
}

/// What is read of a socket where the verifier does not know its type.
pub struct ProbedSocket {
    pub netns: u64,
    pub cookie: u64,
    pub protocol: u16,
    /// Behind the last byte that was written, or read.
    pub seq_end: u32,
}

/// # Safety
/// As [`probe`].
#[inline(always)]
pub unsafe fn probed_socket(sk: *const u8, written: bool) -> Option<ProbedSocket> {
    unsafe {
        let net: *const u8 = probe(sk, &SOCK_SK_NET)?;
        Some(ProbedSocket {
            netns: probe(net, &NET_NET_COOKIE)?,
            cookie: probe(sk, &SOCK_SK_COOKIE)?,
            protocol: probe(sk, &SOCK_SK_PROTOCOL)?,
            seq_end: probe(sk, if written { &TCP_SOCK_WRITE_SEQ } else { &TCP_SOCK_COPIED_SEQ })?,
        })
    }
}

/// A thread: a pointer whose type the verifier knows.
#[derive(Clone, Copy)]
pub struct Task(*const u8);

impl Task {
    /// The one that runs.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper gives the running thread.
        Self(unsafe { bpf_get_current_task_btf() }.cast())
    }

    /// Its id in the initial pid namespace.
    #[inline(always)]
    pub fn pid(self) -> u32 {
        // SAFETY: typed, as [`load`] wants.
        unsafe { load(self.0, &TASK_PID) }
    }

    /// Its process's id in the initial pid namespace.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        // SAFETY: typed, as [`load`] wants.
        unsafe { load(self.0, &TASK_TGID) }
    }

    /// The FS base of the running thread, as arch_prctl(2) or clone(2) has set it: where its thread-local memory is.
    #[inline(always)]
    pub fn fs_base(self) -> u64 {
        // SAFETY: typed, as [`load`] wants.
        unsafe { load(self.0, &TASK_FSBASE) }
    }

    /// A register as the thread had it when it came from user space.
    #[inline(always)]
    pub fn r14_in_user_space(self) -> u64 {
        // SAFETY: the helper takes a typed task, and gives what is typed.
        unsafe { load((bpf_task_pt_regs(self.0.cast_mut().cast()) as usize) as *const u8, &PT_REGS_R14) }
    }

    /// Whether no thread of its process is left but those that are about to end as this one.
    #[inline(always)]
    pub fn is_last(self) -> bool {
        // SAFETY: typed, as [`load`] wants.
        unsafe { member(self.0, &TASK_SIGNAL).is_some_and(|signal| load::<i32>(signal, &SIGNAL_LIVE) == 0) }
    }

    /// The netns that the thread is in. None while it ends.
    #[inline(always)]
    pub fn netns(self) -> Option<NetNs> {
        // SAFETY: typed, as [`load`] wants.
        unsafe { Some(NetNs(member(member(self.0, &TASK_NSPROXY)?, &NSPROXY_NET_NS)?)) }
    }

    /// The cookie of the socket that the running thread knows as the descriptor `fd`, if it is one of this netns.
    #[inline(always)]
    pub fn socket_cookie(self, fd: u32, netns: NetNs) -> Option<u64> {
        let file = self.file(fd)?;
        // SAFETY: `probe` takes any address.
        unsafe {
            let socket: *const u8 = probe(file, &FILE_PRIVATE_DATA)?;
            let [back, sk] = file_and_sk(socket)?;
            // What else has private data has no such pointer back.
            if back != file {
                return None;
            }
            let (net, cookie) = net_and_cookie(sk)?;
            if net == netns.0 as u64 { Some(cookie) } else { None }
        }
    }

    /// What the running thread knows as the descriptor `fd`.
    #[inline(always)]
    fn file(self, fd: u32) -> Option<*const u8> {
        // SAFETY: typed, as [`load`] wants, up to the table; the helper takes any address.
        unsafe {
            let table = member(member(self.0, &TASK_FILES)?, &FILES_FDT)?;
            if fd >= load::<u32>(table, &FDTABLE_MAX_FDS) {
                return None;
            }
            let files: u64 = load(table, &FDTABLE_FD);
            bpf_probe_read_kernel((files + u64::from(fd) * 8) as *const *const u8).ok()
        }
    }
}

/// `file` and `sk` of a socket: at once where they are neighbours, as they have always been. The verifier knows, and keeps one of
/// the two.
///
/// # Safety
/// As [`probe`].
#[inline(always)]
unsafe fn file_and_sk(socket: *const u8) -> Option<[*const u8; 2]> {
    unsafe {
        if read_volatile(&SOCKET_SK) == read_volatile(&SOCKET_FILE) + 8 {
            return probe(socket, &SOCKET_FILE);
        }
        Some([probe(socket, &SOCKET_FILE)?, probe(socket, &SOCKET_SK)?])
    }
}

/// `skc_net` and `skc_cookie` of a socket: at once where only the two addresses of IPv6 are between them.
///
/// # Safety
/// As [`probe`].
#[inline(always)]
unsafe fn net_and_cookie(sk: *const u8) -> Option<(u64, u64)> {
    const APART: usize = 5;
    unsafe {
        if read_volatile(&SOCK_SK_COOKIE) == read_volatile(&SOCK_SK_NET) + 8 * APART as u32 {
            let words: [u64; APART + 1] = probe(sk, &SOCK_SK_NET)?;
            return Some((words[0], words[APART]));
        }
        Some((probe(sk, &SOCK_SK_NET)?, probe(sk, &SOCK_SK_COOKIE)?))
    }
}

/// A netns: a pointer whose type the verifier knows.
#[derive(Clone, Copy)]
pub struct NetNs(*const u8);

impl NetNs {
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        // SAFETY: typed, as [`load`] wants.
        unsafe { load(self.0, &NET_NET_COOKIE) }
    }
}

/// A member that is a pointer.
///
/// # Safety
/// As [`load`].
#[inline(always)]
unsafe fn member(base: *const u8, offset: &'static u32) -> Option<*const u8> {
    let pointer: *const u8 = unsafe { load(base, offset) };
    if pointer.is_null() { None } else { Some(pointer) }
}
