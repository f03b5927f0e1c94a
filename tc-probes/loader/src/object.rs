//! The object with the programs and maps: made ready for this kernel, and what is taken from it.
use std::path::Path;

use aya::{
    Btf, Ebpf, EbpfLoader,
    pin::PinError,
    programs::{
        Program, ProgramError,
        links::{FdLink, LinkError},
    },
};

use crate::{
    KernelTypes, Pins,
    error::{LoaderError, Result},
    netns::current_cookie,
    pins::unpin,
};

/// The compiled programs, committed beside their sources.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/../prebuilt/weft.bpf.o"));

pub(crate) const MAPS: [&str; 13] = [
    "RECORDS",
    "CONTROL",
    "VANTAGES",
    "FLOWS",
    "SLOTS",
    "FLOW_FILTER",
    "PORT_FILTER",
    "LOSSES",
    "GO_PROCESSES",
    "GO_CALLS",
    "GO_HITS",
    "GO_COUNT_LAYOUTS",
    "GO_COUNTS",
];
/// Read-only global of the programs, structure, path of the member.
const OFFSETS: [(&str, &str, &[&str]); 23] = [
    ("SK_BUFF_DEV", "sk_buff", &["dev"]),
    ("NET_DEVICE_ND_NET", "net_device", &["nd_net"]),
    ("NET_NET_COOKIE", "net", &["net_cookie"]),
    ("SOCK_SK_NET", "sock", &["__sk_common", "skc_net"]),
    ("SOCK_SK_PROTOCOL", "sock", &["sk_protocol"]),
    ("SOCK_SK_COOKIE", "sock", &["__sk_common", "skc_cookie"]),
    ("TCP_SOCK_WRITE_SEQ", "tcp_sock", &["write_seq"]),
    ("TCP_SOCK_COPIED_SEQ", "tcp_sock", &["copied_seq"]),
    ("TASK_PID", "task_struct", &["pid"]),
    ("TASK_TGID", "task_struct", &["tgid"]),
    ("TASK_FSBASE", "task_struct", &["thread", "fsbase"]),
    ("PT_REGS_R14", "pt_regs", &["r14"]),
    ("TASK_NSPROXY", "task_struct", &["nsproxy"]),
    ("TASK_SIGNAL", "task_struct", &["signal"]),
    ("SIGNAL_LIVE", "signal_struct", &["live"]),
    ("NSPROXY_NET_NS", "nsproxy", &["net_ns"]),
    ("TASK_FILES", "task_struct", &["files"]),
    ("FILES_FDT", "files_struct", &["fdt"]),
    ("FDTABLE_MAX_FDS", "fdtable", &["max_fds"]),
    ("FDTABLE_FD", "fdtable", &["fd"]),
    ("FILE_PRIVATE_DATA", "file", &["private_data"]),
    ("SOCKET_FILE", "socket", &["file"]),
    ("SOCKET_SK", "socket", &["sk"]),
];

/// Which build of the programs this is: 16 hex digits of FNV-1a over the object.
pub fn object_identity() -> String {
    let hash = OBJECT.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Makes the maps, or takes those that are pinned, and readies the programs for the verifier.
pub(crate) fn load(pins: Option<&Pins>, ring_bytes: u32) -> Result<Ebpf> {
    let types = KernelTypes::from_kernel()?;
    let offsets = OFFSETS
        .iter()
        .map(|(global, structure, path)| Ok((*global, types.offset(structure, path)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut loader = EbpfLoader::new();
    // There is nothing to relocate, and the kernel's types, parsed, are some 60 MiB.
    loader.btf(None);
    for (global, offset) in &offsets {
        loader.override_global(global, offset, true);
    }
    let devices = current_cookie()?;
    loader.override_global("DEVICES_NETNS", &devices, true);
    let arguments = types.parameters("tcp_recvmsg")?;
    loader.override_global("RECVMSG_ARGUMENTS", &arguments, true);
    if let Some(pins) = pins {
        for map in MAPS {
            loader.map_pin_path(map, pins.map(map));
        }
    }
    loader.map_max_entries("RECORDS", ring_bytes);
    Ok(loader.load(OBJECT)?)
}

/// What a tracepoint's type id is looked up in.
pub(crate) fn kernel_btf() -> Result<Btf> {
    Btf::from_sys_fs().map_err(|error| LoaderError::Btf { what: error.to_string() })
}

pub(crate) fn pin_program(
    pins: &Pins,
    name: &str,
    pin: impl FnOnce(&Path) -> std::result::Result<(), PinError>,
) -> Result<()> {
    let path = pins.program(name);
    unpin(&path)?;
    pin(&path).map_err(|source| LoaderError::Pin { path, source })
}

/// The new link is attached already: the old one goes now, so that nothing is missed and little is seen twice.
pub(crate) fn pin_link(link: FdLink, path: &Path) -> Result<()> {
    unpin(path)?;
    link.pin(path).map(drop).map_err(|source| LoaderError::Pin { path: path.into(), source })
}

pub(crate) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or_else(|| LoaderError::Btf { what: format!("the object has no program {name}") })?
        .try_into()
        .map_err(refused(name))
}

pub(crate) fn refused(name: &str) -> impl FnOnce(ProgramError) -> LoaderError {
    let program = name.to_owned();
    move |source| LoaderError::Program { program, source: Box::new(source) }
}

pub(crate) fn link_error(path: &Path, source: LinkError) -> LoaderError {
    LoaderError::Link { path: path.into(), source }
}
