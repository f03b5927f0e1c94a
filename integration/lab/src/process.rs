//! A child process that cannot outlive its guard.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::registry::names_with_prefix;
use crate::{Lab, NetNs};

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(10);
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Folder of the run with a file for each of its processes.
const RECORDS: &str = "processes";

/// A running program. Dropping it sends SIGTERM, and SIGKILL two seconds later, by its own process id.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stderr: PathBuf,
    record: PathBuf,
    _lab: Lab,
}

impl Process {
    /// Starts `command`, inside `netns` if there is one. Its stderr goes to a file of the run; its stdout where
    /// the command says. `name` is for messages.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(lab: &Lab, netns: Option<&NetNs>, name: &str, command: &mut Command) -> Result<Self> {
        let stderr = lab.file("logs", &format!("{name}-{:08x}.log", crate::lab::random()?))?;
        let log = File::create(&stderr).with_context(|| format!("cannot create {}", stderr.display()))?;
        // A group of its own: Ctrl-C in the terminal is for the lab, which then ends its processes in order.
        command.stdin(Stdio::null()).stderr(log).process_group(0);
        let child = match netns {
            Some(netns) => netns.spawn(command)?,
            None => command.spawn().with_context(|| format!("cannot start {name}"))?,
        };
        let record = lab.file(RECORDS, &child.id().to_string())?;
        let process = Self { name: name.to_owned(), child, stderr, record, _lab: lab.clone() };
        fs::write(&process.record, start_time(process.pid()).unwrap_or_default())?;
        Ok(process)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time so far, all its threads together, user and system, to a clock tick (10 ms).
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let ticks = cpu_ticks(&stat).with_context(|| format!("no CPU time of {} in {stat:?}", self.name))?;
        let per_second = sysconf(SysconfVar::CLK_TCK)?.and_then(|hz| u64::try_from(hz).ok()).unwrap_or(100);
        Ok(Duration::from_nanos(ticks * 1_000_000_000 / per_second))
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Where its stderr goes.
    pub fn stderr_path(&self) -> &Path {
        &self.stderr
    }

    /// Its exit status if it has ended.
    ///
    /// # Errors
    /// When waitpid(2) fails.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it listens on a TCP port. It looks into the process's own table of sockets: a connection made
    /// to find out would itself be traced.
    ///
    /// # Errors
    /// When the process ends, or `limit` passes; both with what it wrote to stderr.
    pub fn wait_listening(&mut self, port: u16, limit: Duration) -> Result<()> {
        let tables = ["tcp", "tcp6"].map(|table| format!("/proc/{}/net/{table}", self.pid()));
        let listening =
            || tables.iter().any(|table| listens(&fs::read_to_string(table).unwrap_or_default(), port));
        self.wait_until(limit, &format!("to listen on port {port}"), listening)
    }

    /// Waits until `done` is true.
    ///
    /// # Errors
    /// When the process ends, or `limit` passes; both with what it wrote to stderr.
    pub fn wait_until(&mut self, limit: Duration, what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
        let end = Instant::now() + limit;
        while !done() {
            if let Some(status) = self.exited()? {
                bail!("{} ended ({status}), expected {what}: {}", self.name, self.stderr());
            }
            ensure!(
                Instant::now() < end,
                "{}: waited {limit:?} in vain {what}: {}",
                self.name,
                self.stderr()
            );
            sleep(POLL);
        }
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When `limit` passes.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            ensure!(Instant::now() < end, "{} did not end within {limit:?}: {}", self.name, self.stderr());
            sleep(POLL);
        }
    }

    /// Sends it a signal; none to a process that has been waited for.
    ///
    /// # Errors
    /// When kill(2) fails.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exited()?.is_none() {
            kill(Pid::from_raw(self.pid().cast_signed()), signal)?;
        }
        Ok(())
    }

    /// SIGTERM, two seconds, SIGKILL.
    ///
    /// # Errors
    /// When the signals cannot be sent.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        if let Ok(status) = self.wait(GRACE) {
            return Ok(status);
        }
        self.signal(Signal::SIGKILL)?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("lab: cannot end {} (pid {}): {error:#}", self.name, self.pid());
        }
        let _ = fs::remove_file(&self.record);
    }
}

/// Kills the processes that a killed lab recorded below `dir`. One that started at another time only has the
/// same number.
pub(crate) fn kill_recorded(dir: &Path) {
    for record in names_with_prefix(&dir.join(RECORDS), "") {
        let pid = record.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        let started = fs::read_to_string(&record).ok().filter(|started| !started.is_empty());
        if let (Some(pid), Some(started)) = (pid, started)
            && start_time(pid).is_some_and(|now| now == started)
        {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

/// When a process started, in clock ticks since boot (proc_pid_stat(5), field 22).
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19).map(str::to_owned)
}

/// User and system time in clock ticks (proc_pid_stat(5), fields 14 and 15); the name in field 2 may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Whether a table in the format of `/proc/net/tcp` has a socket in state LISTEN (0A) on `port`.
fn listens(table: &str, port: u16) -> bool {
    let listening = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        Some(*fields.get(3)? == "0A" && u16::from_str_radix(local, 16) == Ok(port))
    };
    table.lines().skip(1).filter_map(listening).any(|it| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n\
        \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
        \x20  1: 0100007F:1F91 0100007F:9C40 01 00000000:00000000\n";

    #[test]
    fn only_a_listening_socket_counts() {
        assert!(listens(TABLE, 8080));
        assert!(!listens(TABLE, 8081), "8081 is connected");
        assert!(!listens(TABLE, 9000));
    }

    #[test]
    fn cpu_time_is_user_and_system_time() {
        let stat = "17 (a (b) c) S 1 17 17 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 4711 0 0";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("17 (a) S 1 17"), None);
    }

    #[test]
    fn a_process_keeps_its_start_time() {
        let own = std::process::id();
        assert!(start_time(own).is_some());
        assert_eq!(start_time(own), start_time(own));
    }
}
