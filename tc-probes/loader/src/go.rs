//! What the agent says of Go processes, and the programs that it attaches to their functions. The programs are pinned, the
//! attachments are not: they end with the agent, however it ends.
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aya::{
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray},
    programs::{
        ProbeKind, ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope},
    },
};
use weft_abi::{GO_CALLS, GoCallLayout, GoProcess};

use crate::{
    Pins,
    error::{LoaderError, Result},
    maps::{Plain, failed, open},
};

/// The program that records calls.
pub(crate) const CALL: &str = "go_call";

/// The maps and programs for Go processes, in the hands of the one agent in charge.
pub struct GoProbes {
    call: UProbe,
    processes: HashMap<MapData, u32, Plain<GoProcess>>,
    hits: PerCpuArray<MapData, u64>,
    layouts: Arc<Mutex<Layouts>>,
}

impl GoProbes {
    /// Opens what is pinned, and forgets what an agent before this one said.
    ///
    /// # Errors
    /// When it is not pinned, or access is denied.
    pub fn open(pins: &Pins) -> Result<Self> {
        let call = pinned(pins, CALL)?;
        let processes = HashMap::try_from(Map::HashMap(open(pins, "GO_PROCESSES")?));
        let layouts = Array::try_from(Map::Array(open(pins, "GO_CALLS")?)).map_err(failed("GO_CALLS"))?;
        let hits = PerCpuArray::try_from(Map::PerCpuArray(open(pins, "GO_HITS")?));
        let mut this = Self {
            call,
            processes: processes.map_err(failed("GO_PROCESSES"))?,
            hits: hits.map_err(failed("GO_HITS"))?,
            layouts: Arc::new(Mutex::new(Layouts::new(layouts)?)),
        };
        let known: Vec<u32> = this.processes.keys().flatten().collect();
        known.into_iter().for_each(|pid| this.remove_process(pid));
        Ok(this)
    }

    /// Says where the goroutines of a process are found. `pid` is its id in the initial pid namespace.
    ///
    /// # Errors
    /// When the map is full (the kernel says E2BIG).
    pub fn set_process(&mut self, pid: u32, process: GoProcess) -> Result<()> {
        self.processes.insert(pid, Plain(process), 0).map_err(failed("GO_PROCESSES"))
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
    /// When the file cannot be used, the kernel refuses the place, or there are [`GO_CALLS`] attachments.
    pub fn attach(&mut self, path: &Path, file_offset: u64, layout: GoCallLayout) -> Result<GoAttachment> {
        let place = Place::take(&self.layouts, layout)?;
        let link = attach(&mut self.call, path, file_offset, place.number)?;
        Ok(GoAttachment { _link: link, before: self.count(place.number), place })
    }

    /// How often the attachment's place was come by, by whatever process.
    pub fn hits(&self, attachment: &GoAttachment) -> u64 {
        self.count(attachment.place.number).wrapping_sub(attachment.before)
    }

    fn count(&self, number: u32) -> u64 {
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

fn attach(program: &mut UProbe, path: &Path, offset: u64, number: u32) -> Result<UProbeLink> {
    let location = UProbeAttachLocation::AbsoluteOffset(offset);
    let point = UProbeAttachPoint { location, cookie: Some(u64::from(number)) };
    let refused =
        |source: ProgramError| LoaderError::Attach { path: path.into(), offset, source: Box::new(source) };
    let id = program.attach(point, path, UProbeScope::AllProcesses).map_err(refused)?;
    program.take_link(id).map_err(refused)
}

/// The map of what to read where, and which of its elements are in use.
struct Layouts {
    map: Array<MapData, Plain<GoCallLayout>>,
    /// The next of them is taken last: so a number is not used again at once.
    free: std::collections::VecDeque<u32>,
}

impl Layouts {
    fn new(mut map: Array<MapData, Plain<GoCallLayout>>) -> Result<Self> {
        for number in 0..GO_CALLS {
            map.set(number, Plain(GoCallLayout::default()), 0).map_err(failed("GO_CALLS"))?;
        }
        Ok(Self { map, free: (0..GO_CALLS).collect() })
    }

    fn set(&mut self, number: u32, layout: GoCallLayout) -> std::result::Result<(), MapError> {
        self.map.set(number, Plain(layout), 0)
    }
}

/// An element of the map, which is free again when this is dropped.
struct Place {
    number: u32,
    layouts: Arc<Mutex<Layouts>>,
}

impl Place {
    fn take(layouts: &Arc<Mutex<Layouts>>, layout: GoCallLayout) -> Result<Self> {
        let mut locked = lock(layouts);
        let number = locked.free.pop_front().ok_or(LoaderError::TooManyAttachments { limit: GO_CALLS })?;
        let place = Self { number, layouts: Arc::clone(layouts) };
        let set = locked.set(number, layout);
        // Dropping the place locks them, too.
        drop(locked);
        set.map_err(failed("GO_CALLS"))?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut layouts = lock(&self.layouts);
        // Nobody uses it any more: what it says until it is written again is of no consequence.
        let _ = layouts.set(self.number, GoCallLayout::default());
        layouts.free.push_back(self.number);
    }
}

fn lock(layouts: &Mutex<Layouts>) -> MutexGuard<'_, Layouts> {
    // What it guards is whole after every step.
    layouts.lock().unwrap_or_else(PoisonError::into_inner)
}
