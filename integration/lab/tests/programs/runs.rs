//! What the programs gather into a run, and what ends it.

use std::thread;

use crate::load::{Programs, Record};
use crate::packet::{ACK, FIN, RST, Tcp};
use anyhow::{Result, ensure};
use weft_abi::{
    FlowKey, FlowWant, FramedRun, KIND_FRAME_RUN, KIND_UPDATE_RUN, LossReason, MAX_CAPTURE, Run, Tuple,
    WANT_FROM, WANT_NONE, chunk_phase,
};
use weft_loader::{Flows, GatheredRun};

/// The vantage is the loopback device.
const LO: u32 = 1;

/// What is in the ring, a word a record: `1000+300` is a segment with all its payload, `1000+300-` one without, `1000+100-200`
/// one without its first hundred bytes, `run 1000+900/3` a run of three segments. For runs of framing see [`framed_word`]; where
/// a program begins to read it: `border 1000`.
pub fn words(records: &[Record]) -> Vec<String> {
    let word = |record: &Record| match record {
        Record::Run(run) => run_word(run),
        Record::Framed(framed) => framed_word(framed),
        Record::Border(border) => format!("border {}", border.seq),
        Record::Segment(segment, payload) => {
            let (seq, len, hole) = (segment.seq, segment.payload_len, segment.capture_offset);
            match payload.len() as u32 {
                captured if captured == len => format!("{seq}+{len}"),
                0 => format!("{seq}+{len}-"),
                captured => format!("{seq}+{hole}-{captured}"),
            }
        }
    };
    records.iter().map(word).collect()
}

fn run_word(run: &Run) -> String {
    format!("run {}+{}/{}", run.seq, run.len, run.segments)
}

/// `frames 1000+900/3 882:2` is a run of three segments with 882 bytes of two frames; more where it does not end between two
/// frames or chunks, or windows changed.
pub fn framed_word(framed: &FramedRun) -> String {
    let FramedRun { run, counts: [first, second], left, length, have, windows, partial, .. } = *framed;
    let (name, rest) = match (run.header.kind, have) {
        (KIND_UPDATE_RUN, _) => ("updates", String::new()),
        (KIND_FRAME_RUN, 0) if left == 0 => ("frames", String::new()),
        (KIND_FRAME_RUN, 0) => ("frames", format!(" {left} of {length} left")),
        (KIND_FRAME_RUN, have) => ("frames", format!(" {have} of a header")),
        (_, chunk_phase::DATA) => ("chunks", format!(" {left} left")),
        (_, chunk_phase::DATA_END) => ("chunks", " behind data".into()),
        (_, chunk_phase::SIZE) => ("chunks", String::new()),
        (_, chunk_phase::DIGITS) => ("chunks", format!(" size {partial}")),
        (_, have) => ("chunks", format!(" size {partial}, extension {length} ({have})")),
    };
    let windows = if windows == 0 { String::new() } else { format!(" windows {windows}") };
    format!("{name} {}+{}/{} {first}:{second}{rest}{windows}", run.seq, run.len, run.segments)
}

/// A run that was taken back, as in the ring.
pub fn gathered_word(gathered: &GatheredRun) -> String {
    match gathered {
        GatheredRun::Plain(run) => run_word(run),
        GatheredRun::Framed(framed) => framed_word(framed),
    }
}

/// The flow of the test's packets.
pub fn flow(netns: u64) -> FlowKey {
    let address = |last| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last];
    let (source, destination) = (address(1), address(2));
    FlowKey {
        netns,
        tuple: Tuple { source, destination, source_port: 40_000, destination_port: 8080 },
        ifindex: LO,
    }
}

fn from(seq: u32) -> Option<FlowWant> {
    Some(FlowWant { kind: WANT_FROM, argument: seq, framing: None })
}

const NOTHING: Option<FlowWant> = Some(FlowWant { kind: WANT_NONE, argument: 0, framing: None });

struct Bench {
    programs: Programs,
    flows: Flows,
    key: FlowKey,
}

impl Bench {
    fn new(name: &str) -> Result<Self> {
        let programs = Programs::load(name)?;
        let (flows, left) = Flows::take_over(&programs.pins)?;
        ensure!(left.is_empty());
        let key = flow(programs.cookie);
        Ok(Self { programs, flows, key })
    }

    fn want(&mut self, want: Option<FlowWant>) -> Vec<String> {
        self.flows.set(self.key, want).iter().map(gathered_word).collect()
    }

    /// The same, and what had passed by then ended here: the first segment that a slot sees is recorded.
    fn want_behind(&mut self, want: Option<FlowWant>, next: u32) -> Result<()> {
        self.want(want);
        let before = self.records(&[Tcp::new(next.wrapping_sub(10), 10)])?;
        ensure!(before.len() == 1, "{before:?}");
        Ok(())
    }

    fn pass(&self, segments: &[Tcp]) -> Result<()> {
        segments.iter().try_for_each(|tcp| self.programs.run("tc_ingress", &tcp.frame(), 1).map(drop))
    }

    /// Passes segments of the flow; gives what is in the ring.
    fn records(&mut self, segments: &[Tcp]) -> Result<Vec<String>> {
        self.pass(segments)?;
        Ok(words(&self.programs.records()))
    }

    fn gathered(&mut self) -> Vec<String> {
        self.flows.gathered().iter().map(gathered_word).collect()
    }
}

/// Segments of 100 bytes that begin here.
fn at<const N: usize>(seqs: [u32; N]) -> [Tcp; N] {
    seqs.map(|seq| Tcp::new(seq, 100))
}

#[test]
fn a_run_ends_where_it_must() -> Result<()> {
    let mut bench = Bench::new("ends")?;
    let cases: [(&str, Vec<Tcp>, &[&str]); 9] = [
        ("the border within a segment", at([1000, 1100, 1200]).into(), &["run 1000+200/2", "1200+50-50"]),
        ("the border at a segment's end", at([950, 1050, 1150]).into(), &["run 950+200/2", "1150+100-"]),
        ("nothing is skipped behind the border", at([1250, 1350]).into(), &["1250+100", "1350+100"]),
        ("sent again", at([500, 600, 500, 700]).into(), &["run 500+200/2", "500+100-"]),
        (
            "bytes are missing",
            at([500, 700, 800, 600, 900]).into(),
            &["run 500+100/1", "700+100-", "run 800+100/1", "600+100-"],
        ),
        ("FIN", vec![Tcp::new(500, 100), Tcp::new(600, 0).flags(FIN | ACK)], &["run 500+100/1", "600+0"]),
        (
            "FIN with payload",
            vec![Tcp::new(500, 100), Tcp::new(600, 9).flags(FIN | ACK)],
            &["run 500+100/1", "600+9-"],
        ),
        ("RST", vec![Tcp::new(500, 100), Tcp::new(600, 0).flags(RST)], &["run 500+100/1", "600+0"]),
        (
            "a bare ACK does not",
            vec![Tcp::new(500, 100), Tcp::new(600, 0), Tcp::new(600, 700)],
            &["run 500+100/1", "600+650-50"],
        ),
    ];
    for (name, segments, expected) in cases {
        bench.want(None);
        bench.want_behind(from(1250), segments[0].seq)?;
        let records = bench.records(&segments)?;
        ensure!(records == expected, "{name}: {records:?}, expected {expected:?}");
    }
    Ok(())
}

/// A segment that was sent again says so, and must be told before what passes behind it: of the first that a slot sees nobody
/// knows.
#[test]
fn the_first_segment_that_a_slot_sees_is_recorded() -> Result<()> {
    let mut bench = Bench::new("first")?;
    bench.want(from(5000));
    assert_eq!(bench.records(&at([1000]))?, ["1000+100-"]);
    assert_eq!(bench.records(&at([1100, 1200]))?, [""; 0]);
    assert_eq!(bench.want(None), ["run 1100+200/2"]);
    Ok(())
}

#[test]
fn what_was_gathered_is_given_back() -> Result<()> {
    let mut bench = Bench::new("back")?;
    bench.want_behind(NOTHING, 1000)?;
    assert_eq!(bench.records(&at([1000, 1100]))?, [""; 0]);
    assert_eq!(bench.gathered(), ["run 1000+200/2"]);
    assert_eq!(bench.gathered(), [""; 0]);
    assert_eq!(bench.records(&at([1200, 1300]))?, [""; 0]);
    assert_eq!(bench.want(None), ["run 1200+200/2"]);
    assert_eq!(bench.records(&at([1400]))?, ["1400+100"]);
    bench.want_behind(from(2000), 1500)?;
    assert_eq!(bench.records(&at([1500, 1600]))?, [""; 0]);
    // A want that is taken back ends the run with the next segment.
    bench.want(from(1600));
    assert_eq!(bench.records(&at([1700]))?, ["run 1500+200/2", "1700+100"]);
    Ok(())
}

#[test]
fn an_agent_takes_what_the_one_before_it_left() -> Result<()> {
    let mut bench = Bench::new("left")?;
    bench.want_behind(NOTHING, 1000)?;
    bench.pass(&at([1000, 1100]))?;
    let (flows, left) = Flows::take_over(&bench.programs.pins)?;
    assert_eq!(left.iter().map(gathered_word).collect::<Vec<_>>(), ["run 1000+200/2"]);
    assert_eq!(left[0].run().header.bank, 1);
    bench.flows = flows;
    assert_eq!(bench.records(&at([1200]))?, ["1200+100"]);
    Ok(())
}

#[test]
fn a_run_is_of_one_bank() -> Result<()> {
    let mut bench = Bench::new("bank")?;
    bench.want_behind(NOTHING, 1000)?;
    bench.pass(&at([1000, 1100]))?;
    bench.programs.kernel.take_charge(u64::MAX, MAX_CAPTURE as u32)?;
    bench.pass(&at([1200, 1300]))?;
    bench.want(from(1350));
    bench.pass(&at([1400]))?;
    let records = bench.programs.records();
    assert_eq!(words(&records), ["run 1000+200/2", "1200+100-", "run 1300+100/1", "1400+100"]);
    let banks = records.iter().map(|record| record.header().bank);
    assert_eq!(banks.collect::<Vec<_>>(), [1, 0, 0, 0]);
    Ok(())
}

#[test]
fn sequence_numbers_wrap() -> Result<()> {
    let mut bench = Bench::new("wrap")?;
    let begin = 200_u32.wrapping_neg();
    bench.want_behind(from(150), begin)?;
    let records = bench.records(&at([begin, begin + 100, 0, 100]))?;
    assert_eq!(records, [format!("run {begin}+300/3"), "100+50-50".into()]);
    Ok(())
}

#[test]
fn the_agent_that_is_silent_is_not_waited_for() -> Result<()> {
    let mut bench = Bench::new("silent")?;
    bench.want_behind(NOTHING, 1000)?;
    bench.pass(&at([1000]))?;
    bench.programs.kernel.beat(0)?;
    bench.pass(&at([1100, 1200]))?;
    assert_eq!(bench.programs.lost(LossReason::NoAgentSegment), 2);
    assert_eq!(bench.gathered(), ["run 1000+100/1"]);
    Ok(())
}

/// Two threads send, a third one takes and changes the want: every byte is in one record.
#[test]
fn nothing_is_lost_between_cpus() -> Result<()> {
    const ROUNDS: u32 = 20_000;
    let mut bench = Bench::new("cpus")?;
    bench.want(NOTHING);
    let Bench { programs, flows, key } = &mut bench;
    let mut taken = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let programs = &*programs;
        let senders = [0, 1].map(|first| {
            let send = move || {
                (0..ROUNDS).try_for_each(|round| {
                    // In order eight times, which one run can have where the other is not in between.
                    let seq = (2 * (round / 8 * 8) + 8 * first + round % 8) * 100;
                    programs.run("tc_ingress", &Tcp::new(seq, 100).frame(), 1).map(drop)
                })
            };
            scope.spawn(send)
        });
        let mut round = 0;
        while senders.iter().any(|sender| !sender.is_finished()) {
            round += 1;
            taken.extend(flows.gathered());
            taken.extend(flows.set(*key, if round % 3 == 0 { None } else { NOTHING }));
        }
        senders.into_iter().try_for_each(|sender| sender.join().expect("a sender panicked"))
    })?;
    taken.extend(flows.set(*key, None));
    let records = programs.records();
    let recorded: u64 = records.iter().map(Record::bytes).sum();
    let given: u64 = taken.iter().map(|run| u64::from(run.run().len)).sum();
    let runs = records.iter().filter(|record| matches!(record, Record::Run(_))).count();
    eprintln!("{} records, {runs} of them runs; {} were taken", records.len(), taken.len());
    assert_eq!(recorded + given, u64::from(2 * ROUNDS) * 100);
    assert_eq!(programs.counted()[0].1, recorded + given);
    assert!(!taken.is_empty());
    Ok(())
}
