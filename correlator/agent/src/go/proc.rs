//! A process as /proc shows it. Whatever is asked may fail because the process is gone: that is no error of anybody's.
use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::PathBuf,
    time::Duration,
};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, readlinkat, statat};

/// The most of a file of /proc that is read.
const MOST: u64 = 64 << 10;

/// The folder of one process, held open: what is read through it is of this process, or fails when that is gone, also where
/// another has got its number since.
pub struct ProcDir {
    folder: OwnedFd,
    pid: u32,
}

/// What `stat` says (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// When the process started, in clock ticks since boot: with the process id a name for it that is not used again.
    pub started: u64,
    /// CPU time of all its threads so far, those that ended included, to a clock tick.
    pub cpu: Duration,
}

impl ProcDir {
    /// # Errors
    /// When there is no such process.
    pub fn open(pid: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { folder: openat(CWD, format!("/proc/{pid}"), flags, Mode::empty())?, pid })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The inode number of its network namespace.
    ///
    /// # Errors
    /// When it is gone, or may not be looked at.
    pub fn netns(&self) -> io::Result<u64> {
        Ok(statat(&self.folder, "ns/net", AtFlags::empty())?.st_ino)
    }

    /// What it executes: the file itself, whatever its path means here, and also when it was unlinked.
    ///
    /// # Errors
    /// When it is gone, executes nothing (a thread of the kernel), or may not be looked at.
    pub fn executable(&self) -> io::Result<File> {
        self.file("exe")
    }

    /// The path of what it executes, in its own root.
    ///
    /// # Errors
    /// As [`Self::executable`].
    pub fn executable_path(&self) -> io::Result<PathBuf> {
        let path = readlinkat(&self.folder, "exe", Vec::new())?;
        Ok(PathBuf::from(path.to_string_lossy().into_owned()))
    }

    /// Its memory, to be read at virtual addresses.
    ///
    /// # Errors
    /// When it is gone, or may not be traced (CAP_SYS_PTRACE).
    pub fn memory(&self) -> io::Result<File> {
        self.file("mem")
    }

    /// Where it begins to execute its program, as the kernel told it (`AT_ENTRY`, getauxval(3)).
    ///
    /// # Errors
    /// When it is gone, or may not be looked at.
    pub fn entry(&self) -> io::Result<u64> {
        let auxv = self.bytes("auxv")?;
        entry(&auxv).ok_or_else(|| strange("auxv"))
    }

    /// # Errors
    /// When it is gone.
    pub fn stat(&self) -> io::Result<Stat> {
        let text = String::from_utf8_lossy(&self.bytes("stat")?).into_owned();
        Stat::parse(&text, rustix::param::clock_ticks_per_second()).ok_or_else(|| strange("stat"))
    }

    fn file(&self, name: &str) -> io::Result<File> {
        Ok(openat(&self.folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(name)?.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Stat {
    fn parse(text: &str, ticks_per_second: u64) -> Option<Self> {
        // The name in field 2 may hold spaces and parentheses: field 3 is the first behind the last of them.
        let (_, behind_name) = text.rsplit_once(')')?;
        let field = |number: usize| behind_name.split_ascii_whitespace().nth(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)?.saturating_add(field(15)?);
        let tick = 1_000_000_000_u64.checked_div(ticks_per_second)?;
        Some(Self { started: field(22)?, cpu: Duration::from_nanos(ticks.saturating_mul(tick)) })
    }
}

/// The value of `AT_ENTRY` (elf.h) in pairs of words.
fn entry(auxv: &[u8]) -> Option<u64> {
    const AT_ENTRY: u64 = 9;
    let (words, _) = auxv.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    let [_, value] = pairs.iter().find(|[key, _]| u64::from_ne_bytes(*key) == AT_ENTRY)?;
    Some(u64::from_ne_bytes(*value))
}

fn strange(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc/PID/{file} is not as its manual page says"))
}

/// Whether the answer means that the process is gone, or never had what was asked for.
pub fn is_gone(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// The ids of all processes.
///
/// # Errors
/// When /proc cannot be read.
pub fn all() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(pids)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::MetadataExt as _, process::Command};

    use super::*;

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        let text = "7 (a) b) S 1 7 7 0 -1 4 1 2 3 4 50 25 0 0 20 0 9 0 4711 1 2";
        let stat = Stat::parse(text, 100).unwrap();
        assert_eq!(stat, Stat { started: 4711, cpu: Duration::from_millis(750) });
        assert_eq!(Stat::parse("7 (a S 1", 100), None);
    }

    #[test]
    fn a_process_sees_itself() {
        let own = ProcDir::open(std::process::id()).unwrap();
        assert!(all().unwrap().contains(&own.pid()));
        assert_eq!(own.netns().unwrap(), std::fs::metadata("/proc/self/ns/net").unwrap().ino());
        assert_eq!(own.executable_path().unwrap(), std::env::current_exe().unwrap());
        assert!(own.entry().unwrap() > 0);
        assert!(own.stat().unwrap().started > 0);
        let there = *b"there";
        let mut read = [0; 5];
        let memory = own.memory().unwrap();
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut read, there.as_ptr() as u64).unwrap();
        assert_eq!(read, there);
    }

    #[test]
    fn what_a_process_that_ended_is_asked_says_that_it_is_gone() {
        let mut child =
            Command::new("/proc/self/exe").arg("--list").stdout(std::process::Stdio::null()).spawn().unwrap();
        let held = ProcDir::open(child.id()).unwrap();
        child.wait().unwrap();
        for error in [
            held.netns().map(drop).unwrap_err(),
            held.executable().map(drop).unwrap_err(),
            held.stat().map(drop).unwrap_err(),
            held.entry().map(drop).unwrap_err(),
        ] {
            assert!(is_gone(&error), "{error}");
        }
        assert!(is_gone(&ProcDir::open(u32::MAX).map(drop).unwrap_err()));
    }
}
