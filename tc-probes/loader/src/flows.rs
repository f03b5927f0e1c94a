//! What is wanted of single flows, and the runs that the programs gather where nothing is wanted.
use std::{collections::HashMap, thread};

use aya::maps::{HashMap as BpfHashMap, Map, MapData};
use weft_abi::{FlowKey, FlowRef, FlowWant, Header, KIND_RUN, Run, SLOTS, WANT_ALL};

use crate::{
    Pins,
    error::Result,
    maps::{Plain, failed, open},
    slots::{Gathered, Slots},
};

/// How often a slot that a program holds is asked for before its program is taken for dead: that of an agent which was
/// killed within the few instructions for which it held the lock.
const TRIES: u32 = 10_000;

/// The flows of which less than everything is wanted. There must be one: whoever holds the agent's lock.
pub struct Flows {
    map: BpfHashMap<MapData, Plain<FlowKey>, Plain<FlowRef>>,
    slots: Slots,
    free: Vec<u32>,
    used: HashMap<FlowKey, u32>,
    refused: u64,
}

impl Flows {
    /// Opens the pinned maps, and ends what an agent before this one said. Gives the runs that were being gathered:
    /// their place is behind everything that is in the ring now.
    ///
    /// # Errors
    /// When they are not pinned, or access is denied.
    pub fn take_over(pins: &Pins) -> Result<(Self, Vec<Run>)> {
        let map = BpfHashMap::try_from(Map::HashMap(open(pins, "FLOWS")?)).map_err(failed("FLOWS"))?;
        let slots = Slots::map(&open(pins, "SLOTS")?)?;
        // The lowest one is taken first: few of the pages are ever touched.
        let free = (0..SLOTS).rev().collect();
        let mut flows = Self { map, slots, free, used: HashMap::new(), refused: 0 };
        let runs = flows.clear();
        Ok((flows, runs))
    }

    fn clear(&mut self) -> Vec<Run> {
        let entries: Vec<_> = self.map.iter().flatten().collect();
        let release = |(key, flow): (Plain<FlowKey>, Plain<FlowRef>)| self.release(&key.0, flow.0.slot);
        entries.into_iter().filter_map(release).collect()
    }

    /// Says what is wanted of a flow from now on; none: everything. Where there is no room, the flow is captured as if
    /// nothing had been said, and that is counted. Gives what was gathered of a flow of which everything is wanted again.
    pub fn set(&mut self, flow: FlowKey, want: Option<FlowWant>) -> Option<Run> {
        let Some(want) = want else {
            let slot = self.used.remove(&flow)?;
            self.free.push(slot);
            return self.release(&flow, slot);
        };
        match self.used.get(&flow) {
            Some(slot) => self.slots.want(*slot, want),
            None => self.refused += u64::from(!self.begin(flow, want)),
        }
        None
    }

    fn begin(&mut self, flow: FlowKey, want: FlowWant) -> bool {
        let Some(slot) = self.free.pop() else { return false };
        let serial = self.slots.begin(slot, want);
        if self.map.insert(Plain(flow), Plain(FlowRef { slot, serial }), 0).is_err() {
            self.free.push(slot);
            return false;
        }
        self.used.insert(flow, slot);
        true
    }

    /// The flow has no slot any more: what was gathered in it is given back. A program that still has its number finds
    /// another serial number.
    fn release(&mut self, flow: &FlowKey, slot: u32) -> Option<Run> {
        self.slots.want(slot, FlowWant { kind: WANT_ALL, argument: 0 });
        let gathered = self.take(slot, true);
        // One that is not there is what is wanted.
        let _ = self.map.remove(&Plain(*flow));
        gathered.map(|gathered| run(flow, &gathered))
    }

    fn take(&self, slot: u32, end: bool) -> Option<Gathered> {
        for _ in 0..TRIES {
            if let Some(taken) = self.slots.take(slot, end) {
                return taken;
            }
            thread::yield_now();
        }
        if end { self.slots.break_lock(slot) } else { None }
    }

    /// Takes what the programs have gathered by now, so that nobody waits for a flow's next border; they go on
    /// gathering. Everything in the ring must have been taken before: these runs come behind it.
    pub fn gathered(&self) -> Vec<Run> {
        let taken = |(flow, slot): (&FlowKey, &u32)| {
            if self.slots.is_empty(*slot) { None } else { Some(run(flow, &self.take(*slot, false)?)) }
        };
        self.used.iter().filter_map(taken).collect()
    }

    /// Flows that have a slot.
    pub fn used(&self) -> u64 {
        self.used.len() as u64
    }

    /// How often there was no room for one more.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// The record that the program would have written.
fn run(flow: &FlowKey, gathered: &Gathered) -> Run {
    let Gathered { seq, len, ack, segments, first_time, last_time, bank, vantage, direction } = *gathered;
    Run {
        header: Header {
            kind: KIND_RUN,
            detail: direction,
            vantage,
            bank,
            ifindex: flow.ifindex,
            time: last_time,
            netns: flow.netns,
        },
        tuple: flow.tuple,
        seq,
        len,
        ack,
        first_time,
        cookie: 0,
        segments,
        stream_id: 0,
        data: 0,
        frames: 0,
        left: 0,
        pad: 0,
    }
}
