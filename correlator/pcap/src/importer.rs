//! All stages together.
use std::sync::Arc;

use ipnetwork::IpNetwork;
use weft_abi::{DIRECTION_EGRESS, LOSS_REASONS, LossReason};
use weft_core::{ClockOffset, Config, Input, KernelCounters, Ktime};

use crate::{
    ImportError, Skipped, Summary,
    direction::Ends,
    file::{File, Item, Next, Packet},
    layers::{self, TcpPacket},
    link,
    record::{self, Passed},
    vantage::Vantages,
};

/// The agent looks at its clock about so often, in ns: after a longer silence time passes before the next record does.
const TICK: u64 = 10_000_000;
/// Packets of several processors may be written in another order than they came, by less than this, in ns.
const DISORDER: u64 = 1_000_000_000;

/// What is wanted of a capture.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The pods' addresses; none: the server of each connection is the pod.
    pub local: Vec<IpNetwork>,
    /// What the pipeline is configured with.
    pub config: Config,
}

/// How far [`Importer::advance`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes were used.
    Took(usize),
    /// The bytes at hand are the beginning of something: at least this many are needed in all. Where there are no more, the
    /// capture was cut off.
    Needs(usize),
}

/// A capture in the course of being read.
#[derive(Debug)]
pub struct Importer {
    file: File,
    offset: u64,
    config: Option<Config>,
    ends: Ends,
    vantages: Vantages,
    summary: Summary,
    /// The latest time of any packet, and of any input.
    latest: u64,
    told: u64,
    buffer: Vec<u8>,
}

impl Importer {
    /// At the beginning of a file.
    pub fn new(options: Options) -> Self {
        Self {
            file: File::default(),
            offset: 0,
            config: Some(options.config),
            ends: Ends::new(options.local),
            vantages: Vantages::default(),
            summary: Summary::default(),
            latest: 0,
            told: 0,
            buffer: Vec::new(),
        }
    }

    /// Reads what `bytes`, which follow on what was used before, begin with, and gives what the pipeline makes exchanges of.
    ///
    /// # Errors
    /// When the file is none, or damaged from here on.
    pub fn advance(&mut self, bytes: &[u8], give: &mut impl FnMut(Input<'_>)) -> Result<Step, ImportError> {
        let (item, length) = match self.file.next(bytes, self.offset)? {
            Next::Whole(item, length) => (item, length),
            Next::Partial(needed) => return Ok(Step::Needs(needed)),
        };
        if let Some(config) = self.config.take() {
            // The times in the file are the epoch's: they are the pipeline's own, too.
            give(Input::Config(Arc::new(config)));
            give(Input::Clock(ClockOffset(0)));
        }
        if let Some(link_type) = self.file.link_type().filter(|link_type| !link::is_known(*link_type)) {
            return Err(ImportError::LinkType { link_type });
        }
        self.offset = self.offset.saturating_add(length as u64);
        match item {
            Item::Packet(packet) => self.packet(&packet, give),
            Item::Stray => self.stray(),
            Item::Other => {}
        }
        Ok(Step::Took(length))
    }

    /// The file's end: what was counted, so that every byte can be accounted for.
    pub fn finish(&self, give: &mut impl FnMut(Input<'_>)) {
        let mut losses = [0; LOSS_REASONS.len()];
        let skipped =
            [(LossReason::Fragment, Skipped::Fragment), (LossReason::Malformed, Skipped::Malformed)];
        for (reason, skipped) in skipped {
            if let Some(loss) = losses.get_mut(reason as usize) {
                *loss = self.summary.skipped(skipped);
            }
        }
        let vantages = self.vantages.counters().to_vec();
        give(Input::KernelCounters(KernelCounters { bank: 0, vantages, losses }));
    }

    /// How many bytes of the file were used.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What was found so far.
    pub fn summary(&self) -> Summary {
        Summary { forgotten_connections: self.ends.forgotten(), ..self.summary.clone() }
    }

    fn stray(&mut self) {
        self.summary.packets += 1;
        self.summary.skip(Skipped::Stray);
    }

    fn packet(&mut self, packet: &Packet<'_>, give: &mut impl FnMut(Input<'_>)) {
        self.summary.packets += 1;
        if let Err(reason) = self.segment(packet, give) {
            self.summary.skip(reason);
        }
    }

    fn segment(&mut self, packet: &Packet<'_>, give: &mut impl FnMut(Input<'_>)) -> Result<(), Skipped> {
        let link_type = packet.interface.link_type;
        if !link::is_known(link_type) {
            self.summary.unknown_link_type = Some(link_type);
            return Err(Skipped::LinkType);
        }
        let frame = link::frame(link_type, packet.data).ok_or(Skipped::Malformed)?;
        let segment = layers::segment(&frame, packet.wire_len)?;
        let time = packet.time.ok_or(Skipped::NoTime)?;
        let place = self.vantages.place(packet.interface, frame.ifindex).ok_or(Skipped::TooManyInterfaces)?;
        let direction = self.ends.direction(place as u32, &segment).ok_or(Skipped::NotLocal)?;
        let (netns, ifindex) = self.count(place, direction, &segment);
        self.advance_time(time, give);
        if record::says_something(&segment) {
            self.told = self.told.max(time);
            let passed = Passed { netns, ifindex, direction, time };
            record::write(&segment, passed, &mut self.buffer, |record| give(Input::Probe(record)));
        }
        Ok(())
    }

    /// Counts as the kernel programs do; says where that was.
    fn count(&mut self, place: usize, direction: u8, segment: &TcpPacket<'_>) -> (u64, u32) {
        let payload = u64::from(segment.payload_len);
        self.summary.segments += 1;
        self.summary.payload_bytes += payload;
        self.summary.uncaptured_bytes += payload.saturating_sub(segment.payload.len() as u64);
        let Some(vantage) = self.vantages.get(place) else { return (0, 0) };
        let [ingress, egress] = &mut vantage.directions;
        let counters = if direction == DIRECTION_EGRESS { egress } else { ingress };
        counters.segments += 1;
        counters.bytes_seen += payload;
        (vantage.netns, vantage.ifindex)
    }

    fn advance_time(&mut self, time: u64, give: &mut impl FnMut(Input<'_>)) {
        if time.saturating_add(DISORDER) < self.latest {
            self.summary.back_in_time += 1;
        }
        self.latest = self.latest.max(time);
        if time.saturating_sub(self.told) >= TICK {
            self.told = time;
            give(Input::Tick(Ktime(time)));
        }
    }
}
