//! What a connection costs that says nothing any more. The records are real: those of one connection of the recording, as
//! often as there are to be connections, each time between other ends.
use std::{collections::BTreeMap, fs, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_abi::{
    DIRECTION_EGRESS, Header, KIND_SEGMENT, KIND_SOCK_EVENT, KIND_SOCK_IO, Segment, SockEvent, SockIo, Tuple,
    tcp_flag,
};
use weft_core::{Config, Correlator, Input, Ktime, recording::Reader};
use zerocopy::FromBytes;

use crate::{heap, sink::Counter};

/// Of the connection's records, at least and at most so many of the first are replayed.
const RECORDS: std::ops::Range<usize> = 48..512;
/// A connection begins so long after the one before it, in ns.
const APART: u64 = 5_000_000;
/// After so long nothing waits for anything any more, in ns.
const SILENCE: u64 = 2_000_000_000;

/// A connection's ends, whichever way the bytes go, and the pod's netns.
type Ends = (u64, u32, [([u8; 16], u16); 2]);

/// What so many idle connections hold.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    connections: u32,
    exchanges: u64,
    /// Bytes of memory for each, as the pipeline asked for them.
    pub bytes: u64,
    /// Of these, bytes of HTTP/2's header tables.
    pub header_table_bytes: u64,
    /// What the process grew by: with all that the allocator needs.
    resident: u64,
}

impl Idle {
    /// Lets so many connections carry what one of the recording's did.
    pub fn measure(recording: &[u8], connections: u32) -> Result<Self> {
        let records = one_connection(recording)?;
        let mut sink = Counter::default();
        let mut config = Config::default();
        // What is learned of a server's routes is the server's, and each connection has another one here.
        config.routes.learn = false;
        config.limits.flows = connections as usize;
        let mut correlator = Correlator::new(Arc::new(config));
        introduce_pods(recording, &mut correlator, &mut sink)?;
        // Whatever is taken once and kept is there before the measurement.
        copies(&records, 0..1, &mut correlator, &mut sink)?;
        let (live, before) = (heap::live(), resident()?);
        copies(&records, 1..connections, &mut correlator, &mut sink)?;
        let (live, resident) = (heap::live() - live, resident()?.saturating_sub(before));
        let table = |name| {
            let tables = correlator.snapshot().tables;
            tables.iter().find(|table| table.table == name).map_or(0, |table| table.entries)
        };
        let open = table("flows");
        ensure!(open == u64::from(connections), "{open} connections are open, not {connections}");
        ensure!(
            sink.complete >= u64::from(connections),
            "only {} exchanges of {} were complete",
            sink.complete,
            sink.exchanges
        );
        let each = |bytes: u64| bytes / u64::from(connections - 1).max(1);
        Ok(Self {
            connections,
            exchanges: sink.complete,
            bytes: each(live.unsigned_abs()),
            header_table_bytes: each(table("header_table_bytes")),
            resident,
        })
    }

    pub fn json(&self) -> Value {
        json!({
            "connections": self.connections,
            "exchanges": self.exchanges,
            "bytes_per_connection": self.bytes,
            "header_table_bytes_per_connection": self.header_table_bytes,
            "resident_mib": self.resident.div_ceil(1 << 20),
        })
    }
}

/// Whose the connections are: else exchanges would wait for a name.
fn introduce_pods(recording: &[u8], correlator: &mut Correlator, sink: &mut Counter) -> Result<()> {
    for input in Reader::new(recording)? {
        let input = input?;
        if matches!(input, Input::Workload(_) | Input::Clock(_)) {
            correlator.handle(input, sink);
        }
    }
    Ok(())
}

/// The first records of the first connection that is seen from its handshake on and is not over by then, with what its
/// socket did.
fn one_connection(recording: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut connections: BTreeMap<Ends, Vec<Vec<u8>>> = BTreeMap::new();
    let mut sockets: BTreeMap<u64, Ends> = BTreeMap::new();
    for input in Reader::new(recording)? {
        let Input::Probe(record) = input? else { continue };
        let Some(ends) = owner(record, &mut sockets) else { continue };
        let records = connections.entry(ends).or_default();
        let opens = segment(record).is_some_and(|segment| segment.tcp_flags & tcp_flag::SYN != 0);
        if (opens || !records.is_empty()) && records.len() < RECORDS.end {
            records.push(record.to_vec());
        }
    }
    let silent = connections.into_values().find_map(until_silent);
    silent.context("the recording has no connection that is long enough")
}

/// The connection that a record is of.
fn owner(record: &[u8], sockets: &mut BTreeMap<u64, Ends>) -> Option<Ends> {
    if let Some(segment) = segment(record) {
        let ends = ends(&segment);
        if segment.cookie != 0 {
            sockets.insert(segment.cookie, ends);
        }
        return Some(ends);
    }
    let cookie = match *record.first()? {
        KIND_SOCK_EVENT => SockEvent::read_from_prefix(record).ok()?.0.cookie,
        KIND_SOCK_IO => SockIo::read_from_prefix(record).ok()?.0.cookie,
        _ => return None,
    };
    sockets.get(&cookie).copied()
}

/// The records up to a moment at which every request is answered, and the connection is open.
fn until_silent(mut records: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let over = |segment: Segment| segment.tcp_flags & (tcp_flag::FIN | tcp_flag::RST) != 0;
    let open = records.iter().take_while(|record| !segment(record).is_some_and(over)).count();
    // What a socket says of a message comes behind it: up to the next segment.
    let ends = |len: &usize| records.get(*len).is_none_or(|next| segment(next).is_some());
    let answered = |len: &usize| records.get(..*len).is_some_and(is_answered);
    let len = (RECORDS.start..=open).filter(ends).find(answered)?;
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
    let mut last = 0;
    for number in numbers {
        for record in records {
            let mut record = record.clone();
            last = renumber(&mut record, number).context("a record is cut short")?;
            correlator.handle(Input::Probe(&record), sink);
        }
    }
    correlator.handle(Input::Tick(Ktime(last + SILENCE)), sink);
    Ok(())
}

/// Another time, which is given, another peer, by its address, and another socket.
fn renumber(record: &mut [u8], number: u32) -> Option<u64> {
    let header = Header::mut_from_prefix(record).ok()?.0;
    header.time += u64::from(number) * APART;
    let time = header.time;
    let (peer, cookie) = match *record.first()? {
        KIND_SEGMENT => {
            let segment = Segment::mut_from_prefix(record).ok()?.0;
            let to_pod = segment.header.detail == DIRECTION_EGRESS;
            let Tuple { source, destination, .. } = &mut segment.tuple;
            (Some(if to_pod { source } else { destination }), &mut segment.cookie)
        }
        KIND_SOCK_EVENT => {
            let event = SockEvent::mut_from_prefix(record).ok()?.0;
            (Some(&mut event.tuple.destination), &mut event.cookie)
        }
        _ => (None, &mut SockIo::mut_from_prefix(record).ok()?.0.cookie),
    };
    if let Some(last) = peer.and_then(|peer| peer.last_chunk_mut::<4>()) {
        *last = number.to_be_bytes();
    }
    if *cookie != 0 {
        *cookie = u64::from(number) + 1;
    }
    Some(time)
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

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;
    /// As many connections as there are to be within so many bytes.
    const EACH_OF_100_000: u64 = (128 << 20) / 100_000;

    /// One of the recordings that are committed, with enough of its connection's copies for a mean.
    fn idle(name: &str) -> Result<Idle> {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../correlator/agent/tests/recordings");
        Idle::measure(&fs::read(folder.join(name).with_extension("weftrec"))?, 4096)
    }

    #[test]
    fn an_idle_connection_of_http1_holds_at_most_a_kibibyte() -> Result<()> {
        let idle = idle("three_hops")?;
        assert!(idle.bytes <= KIB, "{idle:?}");
        Ok(())
    }

    #[test]
    fn one_of_http2_holds_at_most_a_kibibyte_and_its_header_tables() -> Result<()> {
        for recording in ["http2", "grpc"] {
            let idle = idle(recording)?;
            assert!(idle.header_table_bytes > 0 && idle.bytes - idle.header_table_bytes <= KIB, "{idle:?}");
        }
        Ok(())
    }

    /// What the allocator needs beside what it is asked for is for the bench to see: it is some eight bytes a block.
    #[test]
    fn a_hundred_thousand_of_grpc_are_within_128_mib() -> Result<()> {
        let idle = idle("grpc")?;
        assert!(idle.bytes <= EACH_OF_100_000, "{idle:?}");
        Ok(())
    }
}
