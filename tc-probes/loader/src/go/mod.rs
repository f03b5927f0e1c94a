//! What the agent says of Go processes, and the programs that it attaches to their functions. The programs are pinned, the
//! attachments are not: they end with the agent, however it ends.
mod cost;
mod functions;
mod places;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use aya::{
    maps::{Array, HashMap, Map, MapData, PerCpuArray},
    programs::{
        ProbeKind, ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope},
    },
};
use rustix::time::{ClockId, clock_gettime};
use weft_abi::{GoCallLayout, GoProcess, GoProcessEntry};

use crate::{
    Pins,
    error::{LoaderError, Result},
    maps::{Plain, failed, open},
    netns::Netns,
};

pub use cost::ProbeCost;
use functions::Functions;
pub use functions::GoCounts;
use places::{Layouts, Place};

/// The program that records calls.
pub(crate) const CALL: &str = "go_call";
/// The program that counts calls.
pub(crate) const COUNT: &str = "go_count";
/// The program that records what goroutines do.
pub(crate) const STATUS: &str = "go_status";

/// The maps and programs for Go processes, in the hands of the one agent in charge.
pub struct GoProbes {
    call: UProbe,
    count: UProbe,
    status: UProbe,
    processes: HashMap<MapData, u32, Plain<GoProcessEntry>>,
    hits: PerCpuArray<MapData, u64>,
    layouts: Arc<Mutex<Layouts>>,
    functions: Functions,
    incarnation: u64,
}

impl GoProbes {
    /// Opens what is pinned, and forgets what an agent before this one said.
    ///
    /// # Errors
    /// When it is not pinned, or access is denied.
    pub fn open(pins: &Pins) -> Result<Self> {
        let [call, count, status] = [pinned(pins, CALL)?, pinned(pins, COUNT)?, pinned(pins, STATUS)?];
        let processes = HashMap::try_from(Map::HashMap(open(pins, "GO_PROCESSES")?));
        let layouts = Array::try_from(Map::Array(open(pins, "GO_CALLS")?)).map_err(failed("GO_CALLS"))?;
        let hits = PerCpuArray::try_from(Map::PerCpuArray(open(pins, "GO_HITS")?));
        let mut this = Self {
            call,
            count,
            status,
            processes: processes.map_err(failed("GO_PROCESSES"))?,
            hits: hits.map_err(failed("GO_HITS"))?,
            layouts: Arc::new(Mutex::new(Layouts::new(layouts)?)),
            functions: Functions::open(pins)?,
            incarnation: 0,
        };
        let known: Vec<u32> = this.processes.keys().flatten().collect();
        known.into_iter().for_each(|pid| this.remove_process(pid));
        Ok(this)
    }

    /// Says where the goroutines of a pod's process are found. `pid` is its id in the initial pid namespace.
    ///
    /// # Errors
    /// When the process is gone, or the map is full (the kernel says E2BIG).
    pub fn set_process(&mut self, pid: u32, process: GoProcess) -> Result<()> {
        let netns = Netns::open(Path::new(&format!("/proc/{pid}/ns/net")))?.cookie()?;
        let entry = GoProcessEntry { process, incarnation: self.next_incarnation(), netns };
        self.processes.insert(pid, Plain(entry), 0).map_err(failed("GO_PROCESSES"))
    }

    /// A time, so that none is used again by the agent that comes after this one.
    fn next_incarnation(&mut self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        let now =
            now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned());
        self.incarnation = now.max(self.incarnation.wrapping_add(1));
        self.incarnation
    }

    /// From now on it is no Go process. One that is not known is fine.
    pub fn remove_process(&mut self, pid: u32) {
        let _ = self.processes.remove(&pid);
    }

    /// Whether the programs know the process: they forget it when it executes another program, and when it ends.
    pub fn has_process(&self, pid: u32) -> bool {
        self.processes.get(&pid, 0).is_ok()
    }

    /// Attaches to a place in an executable: all processes that run it, now and later, are listened to; recorded is what
    /// those do that [`GoProbes::set_process`] has named. `path` may lead through /proc/PID/root or be /proc/PID/exe;
    /// `file_offset` is of the instruction in the file.
    ///
    /// # Errors
    /// When the file cannot be used, the kernel refuses the place, or there are [`GO_CALLS`](weft_abi::GO_CALLS) attachments.
    pub fn attach(&mut self, path: &Path, file_offset: u64, layout: GoCallLayout) -> Result<GoAttachment> {
        let place = Place::take(&self.layouts, layout)?;
        let link = attach(&mut self.call, path, file_offset, place.number.into())?;
        Ok(self.attachment(link, place))
    }

    /// Whether contexts are followed at a place that [`GoProbes::attach`] attached to with this layout: they need not be while
    /// nobody knows whose they are.
    ///
    /// # Errors
    /// When the kernel refuses: then it is as before.
    pub fn follow_contexts(
        &self,
        attachment: &GoAttachment,
        layout: GoCallLayout,
        follow: bool,
    ) -> Result<()> {
        attachment.place.set(GoCallLayout { no_context: u8::from(!follow), ..layout })
    }

    /// The same as [`GoProbes::attach`] for `runtime.casgstatus`: what goroutines do is recorded.
    ///
    /// # Errors
    /// As for [`GoProbes::attach`].
    pub fn attach_status(&mut self, path: &Path, file_offset: u64) -> Result<GoAttachment> {
        let place = Place::take(&self.layouts, GoCallLayout::default())?;
        let link = attach(&mut self.status, path, file_offset, place.number.into())?;
        Ok(self.attachment(link, place))
    }

    fn attachment(&self, link: UProbeLink, place: Place) -> GoAttachment {
        GoAttachment { _link: link, before: self.counted(place.number), place }
    }

    /// How often the attachment's place was come by, by whatever process.
    pub fn hits(&self, attachment: &GoAttachment) -> u64 {
        self.counted(attachment.place.number).wrapping_sub(attachment.before)
    }

    fn counted(&self, number: u32) -> u64 {
        self.hits.get(&number, 0).map_or(0, |cpus| cpus.iter().fold(0, |sum, cpu| sum.wrapping_add(*cpu)))
    }
}

/// A place that is attached to. Dropping it detaches.
pub struct GoAttachment {
    /// Detached before the place is free for another.
    _link: UProbeLink,
    place: Place,
    /// What those counted that had the number before.
    before: u64,
}

fn pinned(pins: &Pins, name: &'static str) -> Result<UProbe> {
    let path = pins.program(name);
    if !path.exists() {
        return Err(LoaderError::NotInstalled { path: pins.root().into() });
    }
    UProbe::from_pin(path, ProbeKind::Entry)
        .map_err(|source| LoaderError::Program { program: name.into(), source: Box::new(source) })
}

fn attach(program: &mut UProbe, path: &Path, offset: u64, cookie: u64) -> Result<UProbeLink> {
    let location = UProbeAttachLocation::AbsoluteOffset(offset);
    let point = UProbeAttachPoint { location, cookie: Some(cookie) };
    let refused =
        |source: ProgramError| LoaderError::Attach { path: path.into(), offset, source: Box::new(source) };
    let id = program.attach(point, path, UProbeScope::AllProcesses).map_err(refused)?;
    program.take_link(id).map_err(refused)
}
