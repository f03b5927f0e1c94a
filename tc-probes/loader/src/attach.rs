//! The TC programs and the devices they sit on. Someone else's programs are never replaced or detached.
use std::path::Path;

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType,
    links::FdLink,
    tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle},
};
use weft_abi::{DIRECTION_EGRESS, DIRECTION_INGRESS};

use crate::{
    Pins, TcLink,
    error::{LoaderError, Result},
    netlink,
    pins::unpin,
};

const EEXIST: i32 = 17;
/// Our place among the filters of a clsact qdisc: fixed, so that attaching twice is refused by the kernel, and
/// our filter is told from others'.
const CLSACT_PRIORITY: u16 = 50;
const CLSACT_HANDLE: TcHandle = TcHandle::new(0x7765, 0x6674);

/// How TC programs are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Links on the device itself (kernel >= 6.6).
    Tcx,
    /// Filters of a clsact qdisc.
    Clsact,
}

/// Which mechanism to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// TCX where the kernel has it, else clsact.
    #[default]
    Auto,
    /// Clsact also where the kernel has TCX: for nodes on which other tools expect filters.
    Clsact,
}

impl AttachMode {
    /// The mode by its name in configurations.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "clsact" => Some(Self::Clsact),
            _ => None,
        }
    }
}

/// A device in the calling thread's netns.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub ifindex: u32,
}

/// What came of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The program sits there now.
    New(Mechanism),
    /// It sat there before.
    Already,
}

/// Attaches the pinned programs to both directions of a pod's device.
///
/// # Errors
/// When nothing is pinned, or the kernel refuses.
pub fn attach(pins: &Pins, device: &Device, pod: u64, mode: AttachMode) -> Result<Attached> {
    if !pins.exist() {
        return Err(LoaderError::NotInstalled { path: pins.root().into() });
    }
    let mut attached = Attached::Already;
    for (direction, attach_type) in DIRECTIONS {
        // Whatever the mode: what sits there by the other mechanism would count everything twice.
        if !is_attached(pins, device, direction, attach_type) {
            let link = TcLink { pod, ifindex: device.ifindex, direction };
            attached = attach_one(pins, device, link, attach_type, mode)?;
        }
    }
    Ok(attached)
}

/// Detaches what is pinned for a pod's device, and our filters. Idempotent; others' programs and the qdisc stay.
///
/// # Errors
/// When a pin cannot be removed.
pub fn detach(pins: &Pins, device: &Device, pod: u64) -> Result<()> {
    for (direction, attach_type) in DIRECTIONS {
        unpin(&pins.tc_link(TcLink { pod, ifindex: device.ifindex, direction }))?;
        if netlink::has_clsact(device.ifindex)? {
            detach_filter(device, attach_type);
        }
    }
    Ok(())
}

const DIRECTIONS: [(u8, TcAttachType); 2] =
    [(DIRECTION_INGRESS, TcAttachType::Ingress), (DIRECTION_EGRESS, TcAttachType::Egress)];

fn detach_filter(device: &Device, attach_type: TcAttachType) {
    use aya::programs::links::Link as _;
    let link = SchedClassifierLink::attached(&device.name, attach_type, CLSACT_PRIORITY, CLSACT_HANDLE, None);
    if let Ok(link) = link {
        // A filter that is not there is detached.
        let _ = link.detach();
    }
}

/// How many of the pinned programs' directions sit on a device, as TCX or as filters: 0 to 2.
pub fn attached_programs(pins: &Pins, device: &Device) -> usize {
    DIRECTIONS
        .iter()
        .filter(|(direction, attach_type)| is_attached(pins, device, *direction, *attach_type))
        .count()
}

fn is_attached(pins: &Pins, device: &Device, direction: u8, attach_type: TcAttachType) -> bool {
    let ours = aya::programs::ProgramInfo::from_pin(pins.program(name_of(direction))).map(|info| info.id());
    let there = SchedClassifier::query_tcx(&device.name, attach_type);
    match (ours, there) {
        (Ok(ours), Ok((_, programs))) if programs.iter().any(|program| program.id() == ours) => true,
        _ => has_filter(device, attach_type),
    }
}

fn has_filter(device: &Device, attach_type: TcAttachType) -> bool {
    let ours = |filters: Vec<_>| filters.contains(&(CLSACT_PRIORITY, CLSACT_HANDLE.into()));
    netlink::filters(device.ifindex, attach_type == TcAttachType::Ingress).is_ok_and(ours)
}

fn name_of(direction: u8) -> &'static str {
    if direction == DIRECTION_INGRESS { "tc_ingress" } else { "tc_egress" }
}

fn attach_one(
    pins: &Pins,
    device: &Device,
    link: TcLink,
    attach_type: TcAttachType,
    mode: AttachMode,
) -> Result<Attached> {
    let name = name_of(link.direction);
    let mut program = SchedClassifier::from_pin(pins.program(name)).map_err(refused(name))?;
    if mode == AttachMode::Clsact {
        return attach_filter(&mut program, name, device, attach_type);
    }
    let order = TcAttachOptions::TcxOrder(LinkOrder::default());
    match program.attach_with_options(&device.name, attach_type, order) {
        Ok(id) => {
            let link_fd = program.take_link(id).map_err(refused(name))?;
            pin(&pins.tc_link(link), link_fd)
        }
        Err(error) if os_error(&error) == Some(EEXIST) => Ok(Attached::Already),
        Err(error) if no_tcx(&error) => attach_filter(&mut program, name, device, attach_type),
        Err(error) => Err(refused(name)(error)),
    }
}

fn pin(path: &Path, link: SchedClassifierLink) -> Result<Attached> {
    // A pin of the same name is a dead one: its device had this index and this pod, and the program is not there.
    unpin(path)?;
    FdLink::try_from(link)
        .map_err(|source| LoaderError::Link { path: path.into(), source })?
        .pin(path)
        .map_err(|source| LoaderError::Pin { path: path.into(), source })?;
    Ok(Attached::New(Mechanism::Tcx))
}

fn refused(name: &'static str) -> impl Fn(ProgramError) -> LoaderError {
    move |source| LoaderError::Program { program: name.into(), source: Box::new(source) }
}

/// Below kernel 6.6: a filter of a clsact qdisc, which is added where it is missing.
fn attach_filter(
    program: &mut SchedClassifier,
    name: &'static str,
    device: &Device,
    attach_type: TcAttachType,
) -> Result<Attached> {
    netlink::ensure_clsact(device)?;
    let options = NlOptions { priority: CLSACT_PRIORITY, handle: CLSACT_HANDLE, classid: None };
    match program.attach_with_options(&device.name, attach_type, TcAttachOptions::Netlink(options)) {
        Ok(id) => {
            // The filter belongs to the qdisc, not to this process: forget the link, or its drop would detach it.
            if let Ok(link) = program.take_link(id) {
                std::mem::forget(link);
            }
            Ok(Attached::New(Mechanism::Clsact))
        }
        Err(error) if os_error(&error) == Some(EEXIST) => Ok(Attached::Already),
        Err(error) => Err(refused(name)(error)),
    }
}

/// A kernel without TCX does not know the attach type: EINVAL.
fn no_tcx(error: &ProgramError) -> bool {
    const EINVAL: i32 = 22;
    os_error(error) == Some(EINVAL)
}

fn os_error(error: &ProgramError) -> Option<i32> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.raw_os_error();
        }
        source = error.source();
    }
    None
}
