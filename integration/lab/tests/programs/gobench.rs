//! A Go program whose goroutines say who they are, beside the kernel's programs that tell it of them.

use anyhow::Result;
use weft_abi::{
    GoCall, GoCallLayout, GoPath, GoSched, KIND_GO_CALL, KIND_GO_SCHED, KIND_PROCESS, KIND_SOCK_IO,
    MAX_CONTEXTS, Process, SockIo, go_call,
};
use weft_loader::go::{GoAttachment, GoProbes};
use zerocopy::FromBytes;

use crate::goprogram::{GoProgram, Linked};
use crate::load::Programs;

/// The program beside the programs of the kernel, which know it.
pub struct Bench {
    pub programs: Programs,
    pub probes: GoProbes,
    pub go: GoProgram,
}

impl Bench {
    pub fn new(name: &str, linked: Linked, rounds: u32) -> Result<Self> {
        let programs = Programs::load(name)?;
        let mut probes = GoProbes::open(&programs.pins)?;
        let go = GoProgram::start(&programs.netns, linked, rounds)?;
        probes.set_process(go.pid(), go.binary.process)?;
        Ok(Self { programs, probes, go })
    }

    /// Listens at `main.listened`.
    pub fn listen(&mut self) -> Result<GoAttachment> {
        Ok(self.probes.attach(&self.go.path, self.go.place("main.listened")?.offset, Self::layout())?)
    }

    /// What to read at `main.listened`, which gets a `*call`.
    pub fn layout() -> GoCallLayout {
        let step = |offset: u16| {
            let mut path = GoPath { register: 0, steps: 1, ..GoPath::default() };
            path.offsets[0] = offset;
            path
        };
        GoCallLayout {
            function: go_call::HTTP_CALL,
            contexts: MAX_CONTEXTS as u8,
            // Of a `*call` (goroutines/main.go): the data words of its connection and its context, its stream.
            conn: step(16),
            context: step(32),
            stream: step(40),
            ..GoCallLayout::default()
        }
    }

    /// What was recorded of the program.
    pub fn records(&mut self) -> Records {
        Records::of(&mut self.programs, self.go.pid())
    }
}

/// Records, by their kind.
#[derive(Default)]
pub struct Records {
    pub ios: Vec<SockIo>,
    pub calls: Vec<(GoCall, Vec<u64>)>,
    pub changes: Vec<GoSched>,
    pub processes: Vec<Process>,
}

impl Records {
    /// What lies in the ring of a process; the rest of it is lost.
    pub fn of(programs: &mut Programs, pid: u32) -> Self {
        let mut records = Self::default();
        programs.drain(|bytes| records.take(bytes, pid));
        records
    }

    fn take(&mut self, bytes: &[u8], pid: u32) {
        match bytes.first() {
            Some(&KIND_SOCK_IO) => self.ios.extend(read::<SockIo>(bytes).filter(|io| io.pid == pid)),
            Some(&KIND_GO_CALL) => self.calls.extend(call(bytes).filter(|(call, _)| call.pid == pid)),
            Some(&KIND_GO_SCHED) => {
                self.changes.extend(read::<GoSched>(bytes).filter(|change| change.pid == pid))
            }
            Some(&KIND_PROCESS) => {
                self.processes.extend(read::<Process>(bytes).filter(|process| process.pid == pid))
            }
            _ => {}
        }
    }
}

fn read<T: FromBytes>(bytes: &[u8]) -> impl Iterator<Item = T> {
    T::read_from_prefix(bytes).map(|(record, _)| record).into_iter()
}

fn call(bytes: &[u8]) -> Option<(GoCall, Vec<u64>)> {
    let (call, rest) = GoCall::read_from_prefix(bytes).ok()?;
    let words = rest.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()));
    Some((call, words.take(call.contexts as usize).collect()))
}
