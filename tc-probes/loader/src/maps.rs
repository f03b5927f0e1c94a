//! The pinned maps, each behind the few operations that user space has for it.
use std::{mem::MaybeUninit, os::fd::OwnedFd, time::Duration};

use aya::{
    Pod,
    maps::{Array, Map, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues, RingBuf},
    util::nr_cpus,
};
use rustix::{event::epoll, time::Timespec};
use weft_abi::{
    Bank, CONTROL_FILTER_PORTS, Control, DirectionCounters, LOSS_REASONS, PORT_EXCLUDE, PORT_INCLUDE,
    Vantage, VantageKey,
};

use crate::{
    Pins,
    error::{IoContext as _, LoaderError, Result},
    install::open_ring,
};

/// `BPF_NOEXIST`, include/uapi/linux/bpf.h.
const NOEXIST: u64 = 1;
const EEXIST: i32 = 17;

/// The ABI's types are plain data; aya wants to hear it from a type of this crate.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Plain<T>(pub T);

// SAFETY: every T here is a `repr(C)` structure of integers without padding (zerocopy derives hold it in the ABI).
unsafe impl<T: Copy + zerocopy::FromBytes + zerocopy::IntoBytes + 'static> Pod for Plain<T> {}

/// The key of the host side of a veth, in the netns that the device is in.
pub fn host_vantage(device_netns: u64, ifindex: u32) -> VantageKey {
    VantageKey { netns: device_netns, ifindex, pad: 0 }
}

/// The key of a pod's sockets.
pub fn pod_sockets(netns: u64) -> VantageKey {
    VantageKey { netns, ifindex: 0, pad: 0 }
}

/// The map that says whose device or socket it is.
pub struct Vantages {
    map: PerCpuHashMap<MapData, Plain<VantageKey>, Plain<Vantage>>,
}

/// A vantage and the kernel's count of it, summed over the CPUs.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Its device or sockets.
    pub key: VantageKey,
    /// Netns cookie of the pod.
    pub netns: u64,
    /// `VANTAGE_*`.
    pub kind: u32,
    /// The counters.
    pub banks: [Bank; 2],
}

impl Vantages {
    /// Opens the pinned map.
    ///
    /// # Errors
    /// When it is not pinned, or access is denied.
    pub fn open(pins: &Pins) -> Result<Self> {
        let map = PerCpuHashMap::try_from(Map::PerCpuHashMap(open(pins, "VANTAGES")?))
            .map_err(failed("VANTAGES"))?;
        Ok(Self { map })
    }

    /// Makes an entry with zeroed counters; one that is there stays as it is. Says whether it is new.
    ///
    /// # Errors
    /// When the map is full (the kernel says E2BIG) or access is denied.
    pub fn insert(&mut self, key: VantageKey, pod: u64, kind: u8) -> Result<bool> {
        let value =
            Vantage { netns: pod, kind: u32::from(kind), pad: 0, reserved: 0, banks: [Bank::default(); 2] };
        let cpus = nr_cpus().map_err(|(path, source)| LoaderError::Io { path: path.into(), source })?;
        let values =
            PerCpuValues::try_from(vec![Plain(value); cpus]).at("/sys/devices/system/cpu/possible")?;
        match self.map.insert(Plain(key), values, NOEXIST) {
            Ok(()) => Ok(true),
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(EEXIST) => Ok(false),
            Err(source) => Err(failed("VANTAGES")(source)),
        }
    }

    /// Whether there is an entry.
    pub fn contains(&self, key: VantageKey) -> bool {
        self.map.get(&Plain(key), 0).is_ok()
    }

    /// Removes an entry: from now on it is nobody's. One that is not there is fine.
    pub fn remove(&mut self, key: VantageKey) {
        let _ = self.map.remove(&Plain(key));
    }

    /// Every vantage with its counters, in the order of their keys.
    pub fn read(&self) -> Vec<Counted> {
        let mut all: Vec<_> =
            self.map.iter().flatten().filter_map(|(key, values)| sum(key.0, &values)).collect();
        all.sort_unstable_by_key(|counted| counted.key);
        all
    }
}

fn sum(key: VantageKey, values: &PerCpuValues<Plain<Vantage>>) -> Option<Counted> {
    let first = values.first()?.0;
    let mut banks = [Bank::default(); 2];
    for Plain(value) in values.iter() {
        for (total, bank) in banks.iter_mut().zip(value.banks) {
            for (total, counters) in total.directions.iter_mut().zip(bank.directions) {
                let DirectionCounters { segments, bytes_seen, bytes_unrecorded } = counters;
                total.segments += segments;
                total.bytes_seen += bytes_seen;
                total.bytes_unrecorded += bytes_unrecorded;
            }
        }
    }
    Some(Counted { key, netns: first.netns, kind: first.kind, banks })
}

/// Per-CPU counts of what was not recorded.
pub struct Losses {
    map: PerCpuArray<MapData, u64>,
}

impl Losses {
    /// Opens the pinned map.
    ///
    /// # Errors
    /// When it is not pinned, or access is denied.
    pub fn open(pins: &Pins) -> Result<Self> {
        let map = PerCpuArray::try_from(Map::PerCpuArray(open(pins, "LOSSES")?)).map_err(failed("LOSSES"))?;
        Ok(Self { map })
    }

    /// By reason, in the order of `LOSS_REASONS`, one number a CPU.
    pub fn read(&self) -> [Vec<u64>; LOSS_REASONS.len()] {
        LOSS_REASONS
            .map(|reason| self.map.get(&(reason as u32), 0).map(|cpus| cpus.to_vec()).unwrap_or_default())
    }
}

/// The control block and the port filter: the agent's word to the programs.
pub struct Kernel {
    control: Array<MapData, Plain<Control>>,
    ports: Array<MapData, u8>,
    /// The port filter as this process has written it; empty while it has not.
    written: Vec<u8>,
    word: Control,
}

impl Kernel {
    /// Opens the pinned maps.
    ///
    /// # Errors
    /// When they are not pinned, or access is denied.
    pub fn open(pins: &Pins) -> Result<Self> {
        let control = Array::try_from(Map::Array(open(pins, "CONTROL")?)).map_err(failed("CONTROL"))?;
        let ports = Array::try_from(Map::Array(open(pins, "PORT_FILTER")?)).map_err(failed("PORT_FILTER"))?;
        let Plain(word) = control.get(&0, 0).map_err(failed("CONTROL"))?;
        Ok(Self { control, ports, written: Vec::new(), word })
    }

    /// The generation in force: of the agent in charge, or of the last one.
    pub fn generation(&self) -> u32 {
        self.word.generation
    }

    /// Until when the agent's word holds (`CLOCK_MONOTONIC`, ns).
    pub fn alive_until(&self) -> u64 {
        self.word.alive_until
    }

    /// Takes charge: the next generation, and the limit of captured payload a segment.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn take_charge(&mut self, alive_until: u64, max_capture: u32) -> Result<()> {
        self.word.generation = self.word.generation.wrapping_add(1);
        self.word.max_capture = max_capture.min(weft_abi::MAX_CAPTURE as u32);
        self.beat(alive_until)
    }

    /// The heartbeat.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn beat(&mut self, alive_until: u64) -> Result<()> {
        self.word.alive_until = alive_until;
        self.control.set(0, Plain(self.word), 0).map_err(failed("CONTROL"))
    }

    /// Says which ports' segments are wanted: only `include` where it names any, and never `exclude`. Takes effect
    /// with the next heartbeat.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn filter_ports(&mut self, include: &[u16], exclude: &[u16]) -> Result<()> {
        self.word.flags &= !CONTROL_FILTER_PORTS;
        if include.is_empty() && exclude.is_empty() {
            return Ok(());
        }
        let filter = port_filter(include, exclude);
        // Where writing fails, it is not known what is there.
        let written = std::mem::take(&mut self.written);
        for (port, value) in (0..).zip(&filter) {
            if written.get(port as usize) != Some(value) {
                self.ports.set(port, value, 0).map_err(failed("PORT_FILTER"))?;
            }
        }
        self.written = filter;
        self.word.flags |= CONTROL_FILTER_PORTS;
        Ok(())
    }
}

/// A value for every port.
fn port_filter(include: &[u16], exclude: &[u16]) -> Vec<u8> {
    let mut filter = vec![if include.is_empty() { PORT_INCLUDE } else { 0 }; usize::from(u16::MAX) + 1];
    for (ports, flag) in [(include, PORT_INCLUDE), (exclude, PORT_EXCLUDE)] {
        ports.iter().for_each(|port| filter[usize::from(*port)] |= flag);
    }
    filter
}

/// The ring buffer's consumer. There must be one: whoever holds the agent's lock.
pub struct ProbeRing {
    ring: RingBuf<MapData>,
    /// Told when a program wakes the ring's consumer, once each time: what merely lies in the ring is no event.
    wakes: OwnedFd,
}

impl ProbeRing {
    /// Opens the pinned ring where the last consumer stopped.
    ///
    /// # Errors
    /// When it is not pinned, or cannot be mapped.
    pub fn open(pins: &Pins) -> Result<Self> {
        let ring = open_ring(pins)?;
        let wakes = epoll::create(epoll::CreateFlags::CLOEXEC).at("epoll_create1")?;
        let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&wakes, &ring, epoll::EventData::new_u64(0), edges).at("epoll_ctl")?;
        Ok(Self { ring, wakes })
    }

    /// Returns when so much waits that a program asks for somebody, at the latest after `timeout`; says whether one asked.
    pub fn wait(&self, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).ok();
        let mut event = [MaybeUninit::uninit()];
        // Interrupted: too early does no harm.
        epoll::wait(&self.wakes, &mut event, timeout.as_ref()).is_ok_and(|(asked, _)| !asked.is_empty())
    }

    /// Hands over up to `limit` records, oldest first; gives how many there were.
    pub fn drain(&mut self, limit: usize, mut take: impl FnMut(&[u8])) -> usize {
        let mut drained = 0;
        while drained < limit {
            let Some(record) = self.ring.next() else { break };
            take(&record);
            drained += 1;
        }
        drained
    }
}

pub(crate) fn open(pins: &Pins, map: &'static str) -> Result<MapData> {
    let path = pins.map(map);
    if !path.exists() {
        return Err(LoaderError::NotInstalled { path: pins.root().into() });
    }
    MapData::from_pin(path).map_err(failed(map))
}

pub(crate) fn failed(map: &'static str) -> impl Fn(MapError) -> LoaderError {
    move |source| LoaderError::Map { map, source }
}
