//! Who did it: what the records say of goroutines, against what the goroutines say of themselves.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use weft_abi::{GoCall, GoCallLayout, GoPath, KIND_GO_CALL, KIND_SOCK_IO, MAX_CONTEXTS, SockIo, go_call, io};
use weft_loader::go::{GoAttachment, GoProbes};
use zerocopy::FromBytes as _;

use crate::goprogram::{GoProgram, Linked, Said};
use crate::load::Programs;

/// How many goroutines send, and how many answer.
const ROUNDS: u32 = 50;

/// The program beside the programs of the kernel, which know it.
struct Bench {
    programs: Programs,
    probes: GoProbes,
    go: GoProgram,
}

impl Bench {
    fn new(name: &str, linked: Linked) -> Result<Self> {
        let programs = Programs::load(name)?;
        let mut probes = GoProbes::open(&programs.pins)?;
        let go = GoProgram::start(&programs.netns, linked, ROUNDS)?;
        probes.set_process(go.pid(), go.binary.process)?;
        Ok(Self { programs, probes, go })
    }

    /// Listens at `main.listened`, which gets a `*call`.
    fn listen(&mut self) -> Result<GoAttachment> {
        let step = |offsets: &[u16]| {
            let mut path = GoPath { register: 0, steps: offsets.len() as u8, ..GoPath::default() };
            path.offsets[..offsets.len()].copy_from_slice(offsets);
            path
        };
        let layout = GoCallLayout {
            function: go_call::HTTP_CALL,
            contexts: MAX_CONTEXTS as u8,
            // Of a `*call` (goroutines/main.go): the data words of its connection and its context, its stream.
            conn: step(&[16]),
            context: step(&[32]),
            stream: step(&[40]),
            ..GoCallLayout::default()
        };
        Ok(self.probes.attach(&self.go.path, self.go.offset("main.listened")?, layout)?)
    }

    /// The socket events and the calls of the program.
    fn records(&mut self) -> (Vec<SockIo>, Vec<(GoCall, Vec<u64>)>) {
        let (mut ios, mut calls) = (Vec::new(), Vec::new());
        self.programs.drain(|bytes| match bytes.first() {
            Some(&KIND_SOCK_IO) => ios.extend(SockIo::read_from_prefix(bytes).map(|(io, _)| io)),
            Some(&KIND_GO_CALL) => calls.extend(call(bytes)),
            _ => {}
        });
        ios.retain(|io: &SockIo| io.pid == self.go.pid());
        (ios, calls)
    }
}

fn call(bytes: &[u8]) -> Option<(GoCall, Vec<u64>)> {
    let (call, rest) = GoCall::read_from_prefix(bytes).ok()?;
    let words = rest.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()));
    Some((call, words.take(call.contexts as usize).collect()))
}

/// What was said of a kind of thing, by bytes.
fn of<'a>(said: &'a Said, what: &str) -> impl Iterator<Item = (u32, (u64, u64))> + use<'a> {
    let what = what.to_owned();
    said.iter().filter(move |((other, _), _)| *other == what).map(|((_, bytes), who)| (*bytes, *who))
}

fn sends_and_receives_are_those_of_their_goroutines(linked: Linked) -> Result<()> {
    let mut bench = Bench::new(&format!("go{linked:?}").to_lowercase(), linked)?;
    let said = bench.go.go_on()?;
    let (ios, _) = bench.records();
    ensure!(said.len() as u32 == 4 * ROUNDS, "{said:?}");
    for (what, kind) in [("send", io::SEND), ("recv", io::RECV)] {
        for (bytes, goroutine) in of(&said, what) {
            let record = ios.iter().find(|io| io.len == bytes && io.header.detail == kind);
            let record = record.with_context(|| format!("no record of {what} {bytes}"))?;
            assert_eq!((record.goid, record.parent_goid), goroutine, "{what} {bytes}");
        }
    }
    Ok(())
}

#[test]
fn of_a_static_program() -> Result<()> {
    sends_and_receives_are_those_of_their_goroutines(Linked::Statically)
}

#[test]
fn of_a_program_that_runs_anywhere() -> Result<()> {
    sends_and_receives_are_those_of_their_goroutines(Linked::AsPie)
}

#[test]
fn of_a_program_with_c_code() -> Result<()> {
    sends_and_receives_are_those_of_their_goroutines(Linked::WithC)
}

/// Of every second call the connection is wrapped in another.
#[test]
fn a_call_knows_its_goroutine_its_socket_its_stream_and_its_contexts() -> Result<()> {
    let mut bench = Bench::new("gocall", Linked::Statically)?;
    let attachment = bench.listen()?;
    let said = bench.go.go_on()?;
    assert_eq!(bench.probes.hits(&attachment), u64::from(ROUNDS));
    let (ios, calls) = bench.records();
    let calls: BTreeMap<u32, _> = calls.into_iter().map(|call| (call.0.stream_id, call)).collect();
    let sent = |bytes| ios.iter().find(|io| io.len == bytes && io.header.detail == io::SEND);
    for (id, goroutine) in of(&said, "call") {
        let (call, contexts) = calls.get(&id).with_context(|| format!("no record of call {id}"))?;
        assert_eq!((call.goid, call.parent_goid), goroutine, "call {id}");
        assert_eq!((call.header.netns, call.pid), (bench.programs.cookie, bench.go.pid()), "call {id}");
        // The goroutine sent as many bytes as its call has for an id.
        let sent = sent(id).with_context(|| format!("no record of send {id}"))?;
        assert_eq!((call.cookie, call.tid > 0), (sent.cookie, true), "call {id}");
        // What can be cancelled and what has a value; the root is none.
        assert_eq!(contexts.len(), 2, "call {id}: {contexts:x?}");
    }
    assert_eq!(calls.len() as u32, ROUNDS);
    Ok(())
}
