use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya::{
    programs::ProgramInfo,
    sys::{Stats, enable_stats},
};

use crate::{
    Pins,
    error::{IoContext as _, Result},
    pins::file_names,
};

/// What the kernel says of a program's runs while statistics were on.
#[derive(Clone, Debug)]
pub struct ProgramStats {
    /// The program's name.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// For how long altogether, in ns.
    pub nanoseconds: u64,
    /// How often the kernel did not run it because it was running on that CPU already (`recursion_misses`): one that was preempted
    /// keeps others from it. Counted whether statistics are on or not.
    pub missed: u64,
}

/// Keeps the kernel's run-time statistics on (`BPF_ENABLE_STATS`); they cost every program some 20 ns a run.
pub struct StatsGuard {
    _fd: OwnedFd,
}

impl StatsGuard {
    /// Turns them on.
    ///
    /// # Errors
    /// When the kernel refuses (CAP_SYS_ADMIN, kernel >= 5.8).
    pub fn enable() -> Result<Self> {
        let fd = enable_stats(Stats::RunTime).map_err(|error| error.io_error).at("BPF_ENABLE_STATS")?;
        Ok(Self { _fd: fd })
    }
}

/// The statistics of the pinned programs, by name.
///
/// # Errors
/// When the pins cannot be listed.
pub fn program_stats(pins: &Pins) -> Result<Vec<ProgramStats>> {
    let mut names = file_names(&pins.programs())?;
    names.sort_unstable();
    Ok(names
        .into_iter()
        .filter_map(|name| {
            let info = ProgramInfo::from_pin(pins.program(&name)).ok()?;
            Some(ProgramStats {
                name,
                runs: info.run_count(),
                nanoseconds: info.run_time().as_nanos() as u64,
                missed: info.fd().map_or(0, |fd| missed(fd.as_fd())),
            })
        })
        .collect())
}

/// As the program's descriptor says it (kernel/bpf/syscall.c, `bpf_prog_show_fdinfo`); kernels before 5.12 do not.
fn missed(program: BorrowedFd<'_>) -> u64 {
    let said = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).unwrap_or_default();
    let value = said.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
