//! What is wanted of single flows, and the runs that the programs gather where nothing is wanted.
use std::{collections::HashMap, thread};

use aya::maps::{HashMap as BpfHashMap, Map, MapData};
use weft_abi::{
    FlowKey, FlowRef, FlowSlot, FlowWant, FramedRun, Header, KIND_RUN, Run, SLOTS, Tuple, WANT_ALL,
    WANT_FRAMES,
};
use zerocopy::IntoBytes as _;

use crate::{
    Pins,
    error::Result,
    filter::Filter,
    maps::{Plain, failed, open},
    slots::Slots,
};

/// How often a slot that a program holds is asked for before its program is taken for dead: that of an agent which was
/// killed within the few instructions for which it held the lock.
const TRIES: u32 = 10_000;
/// How many slots are looked at for one that can give way.
const LOOKS: u32 = 64;

/// Whose a slot is, or was last.
struct Holder {
    flow: FlowKey,
    /// [`FlowSlot::next`](weft_abi::FlowSlot::next) at the last round of [`Flows::gathered`].
    next: u32,
    /// It had changed since the round before, or there was none.
    moves: bool,
}

/// A run that a program has gathered and not written: the record that it would have written.
#[derive(Clone, Copy, Debug)]
pub enum GatheredRun {
    /// Of which nothing is known but what passed.
    Plain(Run),
    /// Whose framing was read.
    Framed(FramedRun),
}

impl GatheredRun {
    /// The record, as in the ring.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Plain(run) => run.as_bytes(),
            Self::Framed(framed) => framed.as_bytes(),
        }
    }

    /// The run.
    pub fn run(&self) -> &Run {
        match self {
            Self::Plain(run) => run,
            Self::Framed(framed) => &framed.run,
        }
    }
}

/// The flows of which less than everything is wanted. There must be one: whoever holds the agent's lock.
pub struct Flows {
    map: BpfHashMap<MapData, Plain<FlowKey>, Plain<FlowRef>>,
    slots: Slots,
    filter: Filter,
    free: Vec<u32>,
    used: HashMap<FlowKey, u32>,
    /// Of the slots that were ever taken.
    holders: Vec<Holder>,
    /// The slot that is looked at next where one has to give way.
    hand: u32,
    evicted: u64,
    refused: u64,
}

impl Flows {
    /// Opens the pinned maps, and ends what an agent before this one said. Gives the runs that were being gathered:
    /// their place is behind everything that is in the ring now.
    ///
    /// # Errors
    /// When they are not pinned, or access is denied.
    pub fn take_over(pins: &Pins) -> Result<(Self, Vec<GatheredRun>)> {
        let map = BpfHashMap::try_from(Map::HashMap(open(pins, "FLOWS")?)).map_err(failed("FLOWS"))?;
        let slots = Slots::map(&open(pins, "SLOTS")?)?;
        let filter = Filter::map(&open(pins, "FLOW_FILTER")?)?;
        // The lowest one is taken first: few of the pages are ever touched.
        let free = (0..SLOTS).rev().collect();
        let (used, holders) = (HashMap::new(), Vec::new());
        let mut flows = Self { map, slots, filter, free, used, holders, hand: 0, evicted: 0, refused: 0 };
        let runs = flows.clear();
        flows.filter.clear();
        Ok((flows, runs))
    }

    fn clear(&mut self) -> Vec<GatheredRun> {
        let entries: Vec<_> = self.map.iter().flatten().collect();
        let release = |(key, flow): (Plain<FlowKey>, Plain<FlowRef>)| self.release(&key.0, flow.0.slot);
        entries.into_iter().filter_map(release).collect()
    }

    /// Says what is wanted of a flow from now on; none: everything. Where every slot is taken, one of a flow of which
    /// nothing passes gives way; where none such is found, the newcomer is captured as if nothing had been said. Both are
    /// counted. Gives what was gathered of flows that have no slot any more, or of which something else is wanted now.
    pub fn set(&mut self, flow: FlowKey, want: Option<FlowWant>) -> Vec<GatheredRun> {
        let Some(want) = want else { return self.end(&flow).into_iter().collect() };
        let reads_framing = |kind| kind >= WANT_FRAMES;
        match self.used.get(&flow).map(|slot| (*slot, self.slots.kind(*slot))) {
            Some((slot, kind)) if kind == want.kind || !reads_framing(kind.max(want.kind)) => {
                self.tell(slot, want);
                Vec::new()
            }
            _ => self.end(&flow).into_iter().chain(self.begin(flow, want)).collect(),
        }
    }

    fn end(&mut self, flow: &FlowKey) -> Option<GatheredRun> {
        let slot = self.used.remove(flow)?;
        self.free.push(slot);
        self.release(flow, slot)
    }

    /// More about what is wanted already.
    fn tell(&self, slot: u32, want: FlowWant) {
        let Some(framing) = want.framing else { return self.slots.want(slot, want) };
        for _ in 0..TRIES {
            if self.slots.want_framing(slot, want, framing) {
                return;
            }
            thread::yield_now();
        }
    }

    fn begin(&mut self, flow: FlowKey, want: FlowWant) -> Option<GatheredRun> {
        let gathered = if self.free.is_empty() { self.make_room() } else { None };
        let Some(slot) = self.free.pop() else {
            self.refused += 1;
            return None;
        };
        let serial = self.slots.begin(slot, want);
        self.filter.add(&flow);
        if self.map.insert(Plain(flow), Plain(FlowRef { slot, serial }), 0).is_err() {
            self.filter.remove(&flow);
            self.free.push(slot);
            self.refused += 1;
            return gathered;
        }
        self.used.insert(flow, slot);
        if let Some(peer) = self.used.get(&reverse(&flow)) {
            self.slots.link(slot, *peer);
        }
        self.hold(slot, Holder { flow, next: 0, moves: true });
        gathered
    }

    fn hold(&mut self, slot: u32, holder: Holder) {
        match self.holders.get_mut(slot as usize) {
            Some(place) => *place = holder,
            // The lowest free slot is taken first: this is the next one.
            None => self.holders.push(holder),
        }
    }

    /// Takes the slot of a flow of which nothing passed for a whole round; of those the one that has it for longest, or nearly.
    fn make_room(&mut self) -> Option<GatheredRun> {
        for _ in 0..LOOKS {
            let slot = self.hand;
            self.hand = (slot + 1) % SLOTS;
            let Some(holder) = self.holders.get(slot as usize) else { continue };
            if !holder.moves && self.slots.next(slot) == holder.next {
                let flow = holder.flow;
                self.used.remove(&flow);
                self.free.push(slot);
                self.evicted += 1;
                return self.release(&flow, slot);
            }
        }
        None
    }

    /// The flow has no slot any more: what was gathered in it is given back. A program that still has its number finds
    /// another serial number.
    fn release(&mut self, flow: &FlowKey, slot: u32) -> Option<GatheredRun> {
        self.slots.want(slot, FlowWant { kind: WANT_ALL, argument: 0, framing: None });
        let gathered = self.take(slot, true);
        // One that is not there is what is wanted.
        let _ = self.map.remove(&Plain(*flow));
        self.filter.remove(flow);
        gathered.map(|gathered| run(flow, &gathered))
    }

    fn take(&self, slot: u32, end: bool) -> Option<FlowSlot> {
        for _ in 0..TRIES {
            if let Some(taken) = self.slots.take(slot, end) {
                return taken;
            }
            thread::yield_now();
        }
        if end { self.slots.break_lock(slot) } else { None }
    }

    /// Takes what the programs have gathered by now, so that nobody waits for a flow's next border; they go on
    /// gathering. Everything in the ring must have been taken before: these runs come behind it. Also a round of
    /// looking at which flows move.
    pub fn gathered(&mut self) -> Vec<GatheredRun> {
        for (holder, slot) in self.holders.iter_mut().zip(0..) {
            let next = self.slots.next(slot);
            holder.moves = std::mem::replace(&mut holder.next, next) != next;
        }
        let taken = |(flow, slot): (&FlowKey, &u32)| {
            if self.slots.is_empty(*slot) { None } else { Some(run(flow, &self.take(*slot, false)?)) }
        };
        self.used.iter().filter_map(taken).collect()
    }

    /// Flows that have a slot, of [`SLOTS`].
    pub fn used(&self) -> u64 {
        self.used.len() as u64
    }

    /// Flows that gave their slot to another, and those that found none.
    pub fn evicted(&self) -> u64 {
        self.evicted + self.refused
    }
}

/// The flow of the connection's other direction.
pub fn reverse(flow: &FlowKey) -> FlowKey {
    let Tuple { source, destination, source_port, destination_port } = flow.tuple;
    let tuple = Tuple {
        source: destination,
        destination: source,
        source_port: destination_port,
        destination_port: source_port,
    };
    FlowKey { tuple, ..*flow }
}

/// The record that the program would have written of what is gathered in a slot.
fn run(flow: &FlowKey, slot: &FlowSlot) -> GatheredRun {
    let framing = &slot.framing;
    let run = Run {
        header: Header {
            kind: framing.run_kind,
            detail: slot.direction,
            vantage: slot.vantage,
            bank: slot.bank,
            ifindex: flow.ifindex,
            time: slot.last_time,
            netns: flow.netns,
        },
        tuple: flow.tuple,
        seq: slot.seq,
        len: slot.len,
        ack: slot.ack,
        first_time: slot.first_time,
        cookie: 0,
        segments: slot.segments,
        pad: [0; 5],
    };
    if run.header.kind == KIND_RUN {
        return GatheredRun::Plain(run);
    }
    GatheredRun::Framed(FramedRun {
        run,
        partial: framing.partial,
        counts: framing.counts,
        stream_id: framing.stream_id,
        length: framing.length,
        left: framing.left,
        have: framing.have,
        windows: 0,
        pad: 0,
    })
}
