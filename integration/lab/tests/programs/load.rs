//! The TC programs without a device: loaded and pinned in a bpffs of their own, and run by the kernel on packets that a test
//! made (BPF_PROG_TEST_RUN). The packets arrive at the loopback device of a netns of the test's own, which is made a vantage.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use aya::programs::SchedClassifier;
use nix::mount::{MntFlags, umount2};
use weft_abi::{
    Border, FramedRun, Header, LOSS_REASONS, LossReason, MAX_CAPTURE, Run, Segment, VANTAGE_SOCKETS,
    VANTAGE_VETH,
};
use weft_lab::NetNs;
use weft_loader::{
    InstallOptions, Kernel, Losses, Pins, ProbeRing, Vantages, ensure_bpffs, host_vantage, install,
    pod_sockets, program_stats, remove_all,
};
use zerocopy::FromBytes as _;

/// The loopback device of every netns.
const LO: u32 = 1;
/// `BPF_PROG_TEST_RUN`, include/uapi/linux/bpf.h.
const TEST_RUN: libc::c_long = 10;

/// The pinned programs and their maps. Dropping it takes them off the kernel.
pub struct Programs {
    pub pins: Pins,
    pub netns: NetNs,
    pub cookie: u64,
    pub kernel: Kernel,
    pub ring: ProbeRing,
    vantages: Vantages,
    losses: Losses,
    bpffs: PathBuf,
}

/// `union bpf_attr`, the part of BPF_PROG_TEST_RUN (include/uapi/linux/bpf.h).
#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    pad: u32,
}

/// What the programs wrote.
pub enum Record {
    Segment(Segment, Vec<u8>),
    Run(Run),
    Framed(FramedRun),
    Border(Border),
}

impl Record {
    pub fn header(&self) -> &Header {
        match self {
            Self::Segment(segment, _) => &segment.header,
            Self::Run(run) => &run.header,
            Self::Framed(framed) => &framed.run.header,
            Self::Border(border) => &border.header,
        }
    }

    /// Bytes of payload that it tells of.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Segment(segment, _) => segment.payload_len.into(),
            Self::Run(run) => run.len.into(),
            Self::Framed(framed) => framed.run.len.into(),
            Self::Border(_) => 0,
        }
    }
}

impl Programs {
    pub fn load(name: &str) -> Result<Self> {
        let netns = NetNs::create(&format!("weft-{name}-{}", std::process::id()))?;
        let cookie = netns.cookie()?;
        let bpffs = std::env::temp_dir().join(format!("weft-{name}-{}", std::process::id()));
        fs::create_dir_all(&bpffs)?;
        ensure_bpffs(&bpffs)?;
        let pins = Pins::new(&bpffs);
        pins.create()?;
        let options = InstallOptions { ring_bytes: 16 << 20, cgroup: None };
        for missing in install(&pins, &options)?.missing {
            eprintln!("missing: {missing}");
        }
        let mut kernel = Kernel::open(&pins)?;
        kernel.take_charge(u64::MAX, MAX_CAPTURE as u32)?;
        let mut vantages = Vantages::open(&pins)?;
        vantages.insert(host_vantage(cookie, LO), cookie, VANTAGE_VETH)?;
        vantages.insert(pod_sockets(cookie), cookie, VANTAGE_SOCKETS)?;
        let (ring, losses) = (ProbeRing::open(&pins)?, Losses::open(&pins)?);
        Ok(Self { pins, netns, cookie, kernel, ring, vantages, losses, bpffs })
    }

    /// Runs a program so often on a packet; gives how many ns a run took.
    pub fn run(&self, program: &str, packet: &[u8], repeat: u32) -> Result<u32> {
        let program = SchedClassifier::from_pin(self.pins.program(program))?;
        let fd = program.fd()?.as_fd().as_raw_fd();
        let mut attr = TestRun {
            prog_fd: fd.unsigned_abs(),
            data_size_in: packet.len() as u32,
            data_in: packet.as_ptr().addr() as u64,
            repeat,
            ..TestRun::default()
        };
        self.netns.run(|| {
            // SAFETY: the kernel reads `attr` and the packet, and writes within `attr`.
            let result =
                unsafe { libc::syscall(libc::SYS_bpf, TEST_RUN, &raw mut attr, size_of::<TestRun>()) };
            ensure!(result == 0, "BPF_PROG_TEST_RUN: {}", io::Error::last_os_error());
            // TCX_NEXT, whatever happened.
            ensure!(attr.retval.cast_signed() == -1, "the program said {}", attr.retval.cast_signed());
            Ok(attr.duration)
        })?
    }

    /// What lies in the ring.
    pub fn records(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        self.drain(|bytes| records.extend(record(bytes)));
        records
    }

    /// So many records are missing. A kernel in which programs can be preempted (7.3 is one) does not run one on a CPU
    /// on which it is running already, and counts that: no more may be missing than were counted.
    pub fn explain(&self, missing: usize, which: &str) -> Result<()> {
        let programs = program_stats(&self.pins)?;
        let missed: u64 = programs.iter().map(|program| program.missed).sum();
        ensure!(missing as u64 <= missed, "no record of {which}; the kernel left out {missed} runs");
        Ok(())
    }

    /// The bpffs that everything is pinned in.
    pub fn bpffs(&self) -> &Path {
        &self.bpffs
    }

    /// Hands over what lies in the ring as it is.
    pub fn drain(&mut self, take: impl FnMut(&[u8])) {
        self.ring.drain(usize::MAX, take);
    }

    /// Segments and bytes that were counted, `[ingress, egress]`.
    pub fn counted(&self) -> [(u64, u64); 2] {
        let mut counted = [(0, 0); 2];
        for vantage in self.vantages.read() {
            for bank in vantage.banks {
                for (sum, direction) in counted.iter_mut().zip(bank.directions) {
                    sum.0 += direction.segments;
                    sum.1 += direction.bytes_seen;
                }
            }
        }
        counted
    }

    /// How often something was not recorded for this reason.
    pub fn lost(&self, reason: LossReason) -> u64 {
        let counts = LOSS_REASONS.iter().zip(self.losses.read());
        counts.filter(|(other, _)| **other == reason).flat_map(|(_, cpus)| cpus).sum()
    }
}

fn record(bytes: &[u8]) -> Option<Record> {
    match *bytes.first()? {
        weft_abi::KIND_SEGMENT => {
            let (segment, payload) = Segment::read_from_prefix(bytes).ok()?;
            Some(Record::Segment(segment, payload.get(..segment.captured as usize)?.to_vec()))
        }
        weft_abi::KIND_RUN => Some(Record::Run(Run::read_from_prefix(bytes).ok()?.0)),
        weft_abi::KIND_FRAME_RUN | weft_abi::KIND_UPDATE_RUN | weft_abi::KIND_CHUNK_RUN => {
            Some(Record::Framed(FramedRun::read_from_prefix(bytes).ok()?.0))
        }
        weft_abi::KIND_BORDER => Some(Record::Border(Border::read_from_prefix(bytes).ok()?.0)),
        _ => None,
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let removed = remove_all(&self.pins).context("the pins");
        let unmounted = umount2(&self.bpffs, MntFlags::MNT_DETACH);
        if let Err(error) = removed.and(unmounted.context("the bpffs")) {
            eprintln!("{}: {error:#}", self.bpffs.display());
        }
        let _ = fs::remove_dir(&self.bpffs);
    }
}
