//! What a connection costs that says nothing any more. The records are real: those of one connection of the recording, as
//! often as there are to be connections, each time between other ends.
use std::{collections::BTreeMap, fs, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_abi::{DIRECTION_EGRESS, KIND_SEGMENT, Segment, Tuple, tcp_flag};
use weft_core::{Config, Correlator, Input, recording::Reader};
use zerocopy::FromBytes;

use crate::sink::Counter;

/// Of the connection's records, at least and at most so many of the first are replayed.
const RECORDS: std::ops::Range<usize> = 16..128;

/// A connection's ends, whichever way the bytes go, and the pod's netns.
type Ends = (u64, u32, [([u8; 16], u16); 2]);

pub fn measure(recording: &[u8], connections: u32) -> Result<Value> {
    let records = one_connection(recording)?;
    let mut sink = Counter::default();
    let mut config = Config::default();
    config.limits.flows = connections as usize;
    let mut correlator = Correlator::new(Arc::new(config));
    // Whatever is taken once and kept is there before the measurement.
    copies(&records, 0..1, &mut correlator, &mut sink)?;
    let before = resident()?;
    copies(&records, 1..connections, &mut correlator, &mut sink)?;
    let bytes = resident()?.saturating_sub(before);
    let snapshot = correlator.snapshot();
    let flows = snapshot.tables.iter().find(|table| table.table == "flows").map_or(0, |table| table.entries);
    ensure!(flows == u64::from(connections), "{flows} connections are open, not {connections}");
    ensure!(sink.complete >= u64::from(connections), "only {} exchanges were complete", sink.complete);
    Ok(json!({
        "connections": connections,
        "exchanges": sink.complete,
        "bytes_per_connection": bytes / u64::from(connections),
        "mib": bytes >> 20,
    }))
}

/// The first records of the first connection that is seen from its handshake on and is not over by then.
fn one_connection(recording: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut connections: BTreeMap<Ends, Vec<Vec<u8>>> = BTreeMap::new();
    for input in Reader::new(recording)? {
        let Input::Probe(record) = input? else { continue };
        let Some(segment) = segment(record) else { continue };
        let records = connections.entry(ends(&segment)).or_default();
        let opens = segment.tcp_flags & tcp_flag::SYN != 0;
        if (opens || !records.is_empty()) && records.len() < RECORDS.end {
            records.push(record.to_vec());
        }
    }
    let silent = connections.into_values().find_map(until_silent);
    silent.context("the recording has no connection that is long enough")
}

/// The records up to a moment at which every request is answered, and the connection is open.
fn until_silent(mut records: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let over = |segment: Segment| segment.tcp_flags & (tcp_flag::FIN | tcp_flag::RST) != 0;
    let open =
        records.iter().filter_map(|record| segment(record)).take_while(|segment| !over(*segment)).count();
    let len = (RECORDS.start..=open).find(|len| records.get(..*len).is_some_and(is_answered))?;
    records.truncate(len);
    Some(records)
}

/// Whether the end of these records leaves no exchange open.
fn is_answered(records: &[Vec<u8>]) -> bool {
    let mut sink = Counter::default();
    let mut correlator = Correlator::new(Arc::new(Config::default()));
    records.iter().for_each(|record| correlator.handle(Input::Probe(record), &mut sink));
    correlator.finish(&mut sink);
    sink.exchanges > 0 && sink.exchanges == sink.complete
}

fn segment(record: &[u8]) -> Option<Segment> {
    (*record.first()? == KIND_SEGMENT)
        .then(|| Segment::read_from_prefix(record).ok().map(|(segment, _)| segment))?
}

fn ends(segment: &Segment) -> Ends {
    let Tuple { source, destination, source_port, destination_port } = segment.tuple;
    let mut ends = [(source, source_port), (destination, destination_port)];
    ends.sort_unstable();
    (segment.header.netns, segment.header.ifindex, ends)
}

/// One copy after the other: as connections that were used and are silent now.
fn copies(
    records: &[Vec<u8>],
    numbers: std::ops::Range<u32>,
    correlator: &mut Correlator,
    sink: &mut Counter,
) -> Result<()> {
    for number in numbers {
        for record in records {
            let mut record = record.clone();
            let (segment, _) =
                Segment::mut_from_prefix(&mut record).ok().context("a record is no segment")?;
            renumber(segment, number);
            correlator.handle(Input::Probe(&record), sink);
        }
    }
    Ok(())
}

/// Another peer, by its address, and another socket.
fn renumber(segment: &mut Segment, number: u32) {
    let to_pod = segment.header.detail == DIRECTION_EGRESS;
    let peer = if to_pod { &mut segment.tuple.source } else { &mut segment.tuple.destination };
    if let Some(last) = peer.last_chunk_mut::<4>() {
        *last = number.to_be_bytes();
    }
    if segment.cookie != 0 {
        segment.cookie = u64::from(number) + 1;
    }
}

fn resident() -> Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm").context("cannot read the memory in use")?;
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse::<u64>().ok())
        .context("statm has no second field")?;
    Ok(pages * rustix::param::page_size() as u64)
}
