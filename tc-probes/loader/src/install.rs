//! The agent's side of loading: programs and maps come into being here, or are adopted, or replaced under
//! traffic by those of another build.
use std::{
    fs,
    path::{Path, PathBuf},
};

use aya::{
    Btf, Ebpf,
    maps::{Map, MapData, RingBuf},
    programs::{
        BtfTracePoint, CgroupAttachMode, SchedClassifier, SockOps, UProbe,
        links::{FdLink, PinnedLink},
        tc::SchedClassifierLink,
    },
};

use crate::{
    Pins, SocketSource,
    error::{IoContext as _, LoaderError, Result},
    object::{MAPS, kernel_btf, link_error, load, object_identity, pin_link, pin_program, program, refused},
    pins::{file_names, unpin},
    sockets,
};

const CLASSIFIERS: [&str; 2] = ["tc_ingress", "tc_egress"];
/// Program, and the BTF tracepoint that it sits on.
const TRACEPOINTS: [(&str, &str); 2] =
    [("process_exec", "sched_process_exec"), ("process_exit", "sched_process_exit")];
/// They are pinned without an attachment: the agent attaches them to what it finds, and takes that with it when it ends.
const UPROBES: [&str; 3] = [crate::go::CALL, crate::go::STATUS, crate::go::COUNT];
const SOCKOPS: &str = "weft_sockops";
/// Start of the name of the folder that says which build is pinned.
const BUILD: &str = "build_";

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
    missing.extend(sockets::attach_first(&mut ebpf, &btf, pins).err().into_iter().flatten());
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

/// Listens to sends and receives at one source, as if the kernel had no better one.
///
/// # Errors
/// When nothing is pinned, or the kernel has not this source: then there is none.
pub fn listen_at(pins: &Pins, source: SocketSource) -> Result<()> {
    let ring_bytes =
        ring_bytes(pins).ok_or_else(|| LoaderError::NotInstalled { path: pins.root().into() })?;
    let mut ebpf = load(Some(pins), ring_bytes)?;
    sockets::install_only(source, &mut ebpf, &kernel_btf()?, pins)
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
        && SocketSource::pinned(pins).is_some()
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

/// What this kernel makes of the programs.
pub struct Tried {
    /// By name; those of the socket programs' sources that would not be used are not among them.
    pub programs: Vec<(&'static str, Result<()>)>,
    /// Where sends and receives would be listened to; none: nowhere.
    pub sockets: Option<SocketSource>,
}

/// Shows every program to this kernel's verifier, attaches those of the sockets for a moment, and leaves nothing behind.
///
/// # Errors
/// When no map can be made, or the kernel lacks a type; what is wrong with a program stands beside its name.
pub fn try_load() -> Result<Tried> {
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
    let (sockets, tried) = sockets::try_all(&mut ebpf, &btf);
    results.extend(tried);
    for (name, tracepoint) in TRACEPOINTS {
        results.push((name, load_tracepoint(&mut ebpf, &btf, name, tracepoint)));
    }
    for name in UPROBES {
        results.push((
            name,
            program(&mut ebpf, name).and_then(|p: &mut UProbe| p.load().map_err(refused(name))),
        ));
    }
    Ok(Tried { programs: results, sockets })
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

/// The ring as pinned, for its one consumer.
pub(crate) fn open_ring(pins: &Pins) -> Result<RingBuf<MapData>> {
    let data = crate::maps::open(pins, "RECORDS")?;
    RingBuf::try_from(Map::RingBuf(data)).map_err(|source| LoaderError::Map { map: "RECORDS", source })
}
