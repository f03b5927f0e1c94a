//! A recording without its secrets: what the redaction list names is masked at equal length, and so are bodies and everything
//! that the pipeline could not read. Only what was understood and is harmless stays, so what replays is what was recorded.
//!
//! Two passes over the same inputs. The first lets the pipeline tell what may be seen of each connection's streams, the second
//! lets it tell where in them each record is: so a copy of a segment is masked like the first one, and a sequence number that
//! comes again four gigabytes later is another byte. Needs memory for the heads of all messages.
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use weft_abi::{
    Border, FlowKey, FlowWant, FramedRun, KIND_BORDER, KIND_CHUNK_RUN, KIND_FRAME_RUN, KIND_RUN,
    KIND_SEGMENT, KIND_SOCK_EVENT, KIND_SOCK_IO, KIND_UPDATE_RUN, Run, Segment, SockEvent, SockIo,
};
use zerocopy::FromBytes;

use crate::{AttributedExchange, Config, Correlator, Input, Sink};

/// A place in what a connection's end sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamPlace {
    /// Of all connections the how many-eth.
    pub connection: u64,
    /// Which of its two streams.
    pub direction: u8,
    /// Offset in the stream.
    pub offset: u64,
}

/// What may be seen of each stream, by its place.
#[derive(Debug, Default)]
struct Safe(BTreeMap<StreamPlace, Vec<u8>>);

impl Safe {
    fn insert(&mut self, place: StreamPlace, bytes: &[u8]) {
        match self.0.entry(place) {
            Entry::Vacant(vacant) => {
                vacant.insert(bytes.to_vec());
            }
            // A head may be told twice: as far as it came, and whole.
            Entry::Occupied(mut told) if told.get().len() < bytes.len() => {
                told.insert(bytes.to_vec());
            }
            Entry::Occupied(_) => {}
        }
    }

    /// What of `payload`, which is at `place`, may be seen; zeros are where nothing may.
    fn show(&self, place: StreamPlace, payload: &mut [u8]) {
        payload.fill(0);
        let end = place.offset.saturating_add(payload.len() as u64);
        let stream = StreamPlace { offset: 0, ..place }..StreamPlace { offset: end, ..place };
        // No piece is longer than a head may be, so only a few before it can reach into it.
        let pieces = self.0.range(stream).rev();
        let near = pieces.take_while(|(at, _)| at.offset.saturating_add(REACH) >= place.offset);
        for (at, bytes) in near {
            overlay(payload, place.offset, bytes, at.offset);
        }
    }
}

/// The most bytes that a piece may have; longer ones are cut in two.
const REACH: u64 = 16 * 1024;

/// Copies of `bytes`, which are at offset `at`, what lies in `payload`, which is at offset `begin`.
fn overlay(payload: &mut [u8], begin: u64, bytes: &[u8], at: u64) {
    let skipped = usize::try_from(begin.saturating_sub(at)).unwrap_or(usize::MAX);
    let from = usize::try_from(at.saturating_sub(begin)).unwrap_or(usize::MAX);
    let source = bytes.get(skipped..).unwrap_or_default();
    let target = payload.get_mut(from..).unwrap_or_default();
    target.iter_mut().zip(source).for_each(|(target, source)| *target = *source);
}

impl Sink for Safe {
    fn exchange(&mut self, _exchange: &AttributedExchange) {}

    fn want(&mut self, _flow: FlowKey, _want: Option<FlowWant>) {}

    fn safe(&mut self, place: StreamPlace, bytes: &[u8]) {
        for (piece, number) in bytes.chunks(REACH as usize).zip(0..) {
            self.insert(StreamPlace { offset: place.offset.saturating_add(number * REACH), ..place }, piece);
        }
    }
}

/// The first pass.
pub struct Survey {
    correlator: Correlator,
    safe: Safe,
}

impl Default for Survey {
    fn default() -> Self {
        Self::new()
    }
}

impl Survey {
    /// Before the first input.
    pub fn new() -> Self {
        Self { correlator: Correlator::redacting(Arc::new(Config::default())), safe: Safe::default() }
    }

    /// Looks at an input of the recording.
    pub fn input(&mut self, input: Input<'_>) {
        self.correlator.handle(input, &mut self.safe);
    }

    /// All inputs were looked at.
    pub fn finish(mut self) -> Redactor {
        self.correlator.finish(&mut self.safe);
        Redactor {
            correlator: Correlator::redacting(Arc::new(Config::default())),
            safe: self.safe,
            record: Vec::new(),
        }
    }
}

/// The second pass.
pub struct Redactor {
    correlator: Correlator,
    safe: Safe,
    record: Vec<u8>,
}

impl Redactor {
    /// Gives what may be seen of an input; the inputs are those of the first pass, in their order.
    pub fn input(&mut self, input: Input<'_>, give: &mut impl FnMut(Input<'_>)) {
        let mut place = Placed(None);
        self.correlator.handle(input.clone(), &mut place);
        match input {
            Input::Probe(record) => {
                self.mask(record, place.0);
                give(Input::Probe(&self.record));
            }
            other => give(other),
        }
    }

    fn mask(&mut self, record: &[u8], place: Option<StreamPlace>) {
        self.record.clear();
        let structure = structure(record);
        self.record.extend_from_slice(record.get(..structure).unwrap_or_default());
        let Some(segment) =
            Segment::read_from_prefix(record).ok().filter(|_| record.first() == Some(&KIND_SEGMENT))
        else {
            return;
        };
        let Segment { captured, capture_offset, .. } = segment.0;
        self.record.resize(structure.saturating_add(captured as usize).min(record.len()), 0);
        let payload = self.record.get_mut(structure..).unwrap_or_default();
        if let Some(place) = place {
            let offset = place.offset.saturating_add(capture_offset.into());
            self.safe.show(StreamPlace { offset, ..place }, payload);
        }
    }
}

/// How many bytes of a record are no payload; of a record that is none only the first, which makes it none.
fn structure(record: &[u8]) -> usize {
    let size = match record.first() {
        Some(&KIND_SEGMENT) => size_of::<Segment>(),
        Some(&KIND_RUN) => size_of::<Run>(),
        Some(&(KIND_FRAME_RUN | KIND_UPDATE_RUN | KIND_CHUNK_RUN)) => size_of::<FramedRun>(),
        Some(&KIND_BORDER) => size_of::<Border>(),
        Some(&KIND_SOCK_EVENT) => size_of::<SockEvent>(),
        Some(&KIND_SOCK_IO) => size_of::<SockIo>(),
        _ => 1,
    };
    if record.len() < size { 1 } else { size }
}

/// Where the segment of one input is.
struct Placed(Option<StreamPlace>);

impl Sink for Placed {
    fn exchange(&mut self, _exchange: &AttributedExchange) {}

    fn want(&mut self, _flow: FlowKey, _want: Option<FlowWant>) {}

    fn placed(&mut self, place: StreamPlace) {
        self.0 = Some(place);
    }
}
