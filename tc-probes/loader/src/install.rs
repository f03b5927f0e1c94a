//! The agent's side of loading: programs and maps come into being here, or are adopted, or replaced under
//! traffic by those of another build.
use std::{
    fs,
    path::{Path, PathBuf},
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Map, MapData, RingBuf},
    pin::PinError,
    programs::{
        BtfTracePoint, CgroupAttachMode, Program, ProgramError, SchedClassifier, SockOps, UProbe,
        links::{FdLink, PinnedLink},
        tc::SchedClassifierLink,
    },
};

use crate::{
    KernelTypes, Pins,
    error::{IoContext as _, LoaderError, Result},
    netns::current_cookie,
    pins::{file_names, unpin},
};

/// The compiled programs, committed beside their sources.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/../prebuilt/weft.bpf.o"));

const MAPS: [&str; 10] = [
    "RECORDS",
    "CONTROL",
    "VANTAGES",
    "FLOWS",
    "SLOTS",
    "PORT_FILTER",
    "LOSSES",
    "GO_PROCESSES",
    "GO_CALLS",
    "GO_HITS",
];
const CLASSIFIERS: [&str; 2] = ["tc_ingress", "tc_egress"];
/// Program, and the BTF tracepoint that it sits on (those of sockets are there since kernel 6.3).
const TRACEPOINTS: [(&str, &str); 4] = [
    ("sock_send", "sock_send_length"),
    ("sock_recv", "sock_recv_length"),
    ("process_exec", "sched_process_exec"),
    ("process_exit", "sched_process_exit"),
];
/// They are pinned without an attachment: the agent attaches them to what it finds, and takes that with it when it ends.
const UPROBES: [&str; 2] = [crate::go::CALL, crate::go::STATUS];
const SOCKOPS: &str = "weft_sockops";
/// Start of the name of the folder that says which build is pinned.
const BUILD: &str = "build_";

/// Read-only global of the programs, structure, path of the member.
const OFFSETS: [(&str, &str, &[&str]); 22] = [
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

/// What the agent decides about the programs.
#[derive(Clone, Debug)]
pub struct InstallOptions {
    /// Size of the ring in bytes: a power of two, a multiple of the page size.
    pub ring_bytes: u32,
    /// The cgroup whose sockets sockops sees; none turns socket events off.
    pub cgroup: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug)]
pub struct Installed {
    /// Whether programs were loaded; else those that were pinned are adopted.
    pub loaded: bool,
    /// Parts that this kernel or this node cannot run; the rest works without them.
    pub missing: Vec<LoaderError>,
}

/// Which build of the programs this is: 16 hex digits of FNV-1a over the object.
pub fn object_identity() -> String {
    let hash = OBJECT.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Makes the programs and maps be pinned and the node-wide ones attached, whatever was there before. Idempotent.
///
/// # Errors
/// When the TC programs cannot be loaded or pinned; what else is missing is listed in [`Installed`].
pub fn install(pins: &Pins, options: &InstallOptions) -> Result<Installed> {
    pins.create()?;
    remove_other_versions(pins)?;
    if is_current(pins, options) {
        return Ok(Installed { loaded: false, missing: Vec::new() });
    }
    unmark_build(pins)?;
    if ring_bytes(pins).is_some_and(|size| size != options.ring_bytes) {
        unpin(&pins.map("RECORDS"))?;
    }
    let mut ebpf = load(Some(pins), options.ring_bytes)?;
    pin_classifiers(&mut ebpf, pins)?;
    let mut missing = Vec::new();
    let btf = kernel_btf()?;
    for (name, tracepoint) in TRACEPOINTS {
        missing.extend(attach_tracepoint(&mut ebpf, &btf, pins, name, tracepoint).err());
    }
    for name in UPROBES {
        missing.extend(pin_uprobe(&mut ebpf, pins, name).err());
    }
    missing.extend(attach_sockops(&mut ebpf, pins, options).err());
    mark_build(pins)?;
    Ok(Installed { loaded: true, missing })
}

/// Removes everything that is pinned, and with it every attachment. Other folders of the file system stay.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_all(pins: &Pins) -> Result<()> {
    remove_tree(pins.root())
}

fn remove_tree(folder: &Path) -> Result<()> {
    for name in file_names(folder)? {
        let path = folder.join(name);
        if path.is_dir() { remove_tree(&path)? } else { unpin(&path)? }
    }
    if folder.exists() { fs::remove_dir(folder).at(folder) } else { Ok(()) }
}

/// Programs of another version of the ABI would count everything twice.
fn remove_other_versions(pins: &Pins) -> Result<()> {
    let Some(parent) = pins.root().parent() else { return Ok(()) };
    for name in file_names(parent)? {
        let path = parent.join(&name);
        if name.starts_with("abi") && path != pins.root() {
            remove_tree(&path)?;
        }
    }
    Ok(())
}

/// Whether what is pinned is this build with these options, complete.
fn is_current(pins: &Pins, options: &InstallOptions) -> bool {
    let wanted_links =
        TRACEPOINTS.iter().map(|(name, _)| *name).chain(options.cgroup.is_some().then_some(SOCKOPS));
    pins.root().join(format!("{BUILD}{}", object_identity())).exists()
        && MAPS.iter().all(|map| pins.map(map).exists())
        && pins.exist()
        && UPROBES.iter().all(|name| pins.program(name).exists())
        && wanted_links.into_iter().all(|link| pins.link(link).exists())
        && ring_bytes(pins) == Some(options.ring_bytes)
}

fn ring_bytes(pins: &Pins) -> Option<u32> {
    MapData::from_pin(pins.map("RECORDS")).ok()?.info().ok().map(|info| info.max_entries())
}

/// From here on what is pinned is of no build: who is killed before the end leaves work for the next.
fn unmark_build(pins: &Pins) -> Result<()> {
    for name in file_names(pins.root())? {
        if name.starts_with(BUILD) {
            let old = pins.root().join(name);
            fs::remove_dir(&old).at(old)?;
        }
    }
    Ok(())
}

fn mark_build(pins: &Pins) -> Result<()> {
    let build = pins.root().join(format!("{BUILD}{}", object_identity()));
    fs::create_dir(&build).at(build)
}

/// Makes the maps, or takes those that are pinned, and readies the programs for the verifier.
fn load(pins: Option<&Pins>, ring_bytes: u32) -> Result<Ebpf> {
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
    if let Some(pins) = pins {
        for map in MAPS {
            loader.map_pin_path(map, pins.map(map));
        }
    }
    loader.map_max_entries("RECORDS", ring_bytes);
    Ok(loader.load(OBJECT)?)
}

/// Shows every program to this kernel's verifier, and leaves nothing behind.
///
/// # Errors
/// When no map can be made, or the kernel lacks a type; what is wrong with a program stands beside its name.
pub fn try_load() -> Result<Vec<(&'static str, Result<()>)>> {
    let mut ebpf = load(None, 64 << 10)?;
    let mut results = Vec::new();
    for name in CLASSIFIERS {
        results.push((
            name,
            program(&mut ebpf, name).and_then(|p: &mut SchedClassifier| p.load().map_err(refused(name))),
        ));
    }
    results.push((
        SOCKOPS,
        program(&mut ebpf, SOCKOPS).and_then(|p: &mut SockOps| p.load().map_err(refused(SOCKOPS))),
    ));
    let btf = kernel_btf()?;
    for (name, tracepoint) in TRACEPOINTS {
        results.push((name, load_tracepoint(&mut ebpf, &btf, name, tracepoint)));
    }
    for name in UPROBES {
        results.push((
            name,
            program(&mut ebpf, name).and_then(|p: &mut UProbe| p.load().map_err(refused(name))),
        ));
    }
    Ok(results)
}

/// What a tracepoint's type id is looked up in.
fn kernel_btf() -> Result<Btf> {
    Btf::from_sys_fs().map_err(|error| LoaderError::Btf { what: error.to_string() })
}

fn load_tracepoint(ebpf: &mut Ebpf, btf: &Btf, name: &str, tracepoint: &str) -> Result<()> {
    let program: &mut BtfTracePoint = program(ebpf, name)?;
    program.load(tracepoint, btf).map_err(refused(name))
}

/// Pins the TC programs, and puts them in the place of another build's wherever those are attached.
fn pin_classifiers(ebpf: &mut Ebpf, pins: &Pins) -> Result<()> {
    for (direction, name) in CLASSIFIERS.iter().enumerate() {
        let program: &mut SchedClassifier = program(ebpf, name)?;
        program.load().map_err(refused(name))?;
        pin_program(pins, name, |path| program.pin(path))?;
        for link in pins.tc_links()?.into_iter().filter(|link| usize::from(link.direction) == direction) {
            replace(program, name, &pins.tc_link(link))?;
        }
    }
    Ok(())
}

fn replace(program: &mut SchedClassifier, name: &str, path: &Path) -> Result<()> {
    let link = FdLink::from(PinnedLink::from_pin(path).map_err(|source| link_error(path, source))?);
    let link = SchedClassifierLink::try_from(link).map_err(|source| link_error(path, source))?;
    match program.attach_to_link(link) {
        Ok(id) => program.take_link(id).map(drop).map_err(refused(name)),
        // The device is gone, and the link with it.
        Err(_) => unpin(path),
    }
}

fn attach_tracepoint(ebpf: &mut Ebpf, btf: &Btf, pins: &Pins, name: &str, tracepoint: &str) -> Result<()> {
    load_tracepoint(ebpf, btf, name, tracepoint)?;
    let program: &mut BtfTracePoint = program(ebpf, name)?;
    pin_program(pins, name, |path| program.pin(path))?;
    let id = program.attach().map_err(refused(name))?;
    let link = program.take_link(id).map_err(refused(name))?;
    pin_link(link.into(), &pins.link(name))
}

fn pin_uprobe(ebpf: &mut Ebpf, pins: &Pins, name: &str) -> Result<()> {
    let program: &mut UProbe = program(ebpf, name)?;
    program.load().map_err(refused(name))?;
    pin_program(pins, name, |path| program.pin(path))
}

fn attach_sockops(ebpf: &mut Ebpf, pins: &Pins, options: &InstallOptions) -> Result<()> {
    let path = options.cgroup.as_deref().ok_or(LoaderError::NoCgroup2)?;
    let cgroup = fs::File::open(path).at(path)?;
    let program: &mut SockOps = program(ebpf, SOCKOPS)?;
    program.load().map_err(refused(SOCKOPS))?;
    pin_program(pins, SOCKOPS, |path| program.pin(path))?;
    // A link to a cgroup always lets others attach too (kernel/bpf/cgroup.c, cgroup_bpf_link_attach), and takes no flag
    // that says so.
    let id = program.attach(cgroup, CgroupAttachMode::Single).map_err(refused(SOCKOPS))?;
    let link = program.take_link(id).map_err(refused(SOCKOPS))?;
    let link = FdLink::try_from(link).map_err(|source| link_error(path, source))?;
    pin_link(link, &pins.link(SOCKOPS))
}

fn pin_program(
    pins: &Pins,
    name: &str,
    pin: impl FnOnce(&Path) -> std::result::Result<(), PinError>,
) -> Result<()> {
    let path = pins.program(name);
    unpin(&path)?;
    pin(&path).map_err(|source| LoaderError::Pin { path, source })
}

/// The new link is attached already: the old one goes now, so that nothing is missed and little is seen twice.
fn pin_link(link: FdLink, path: &Path) -> Result<()> {
    unpin(path)?;
    link.pin(path).map(drop).map_err(|source| LoaderError::Pin { path: path.into(), source })
}

fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or_else(|| LoaderError::Btf { what: format!("the object has no program {name}") })?
        .try_into()
        .map_err(refused(name))
}

fn refused(name: &str) -> impl FnOnce(ProgramError) -> LoaderError {
    let program = name.to_owned();
    move |source| LoaderError::Program { program, source: Box::new(source) }
}

fn link_error(path: &Path, source: aya::programs::links::LinkError) -> LoaderError {
    LoaderError::Link { path: path.into(), source }
}

/// The ring as pinned, for its one consumer.
pub(crate) fn open_ring(pins: &Pins) -> Result<RingBuf<MapData>> {
    let data = crate::maps::open(pins, "RECORDS")?;
    RingBuf::try_from(Map::RingBuf(data)).map_err(|source| LoaderError::Map { map: "RECORDS", source })
}
