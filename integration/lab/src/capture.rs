//! tcpdump as a guard: the reference that wire times are compared with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::pcap::{self, CapturedSegment};
use crate::{Lab, NetNs, Process, apt, tools};

/// Headers of link, IPv6 and TCP with all their options, and the first line of a message.
const SNAPLEN: &str = "192";
/// The most that tcpdump takes: whole segments, however large GSO made them.
const WHOLE: &str = "262144";
/// Of the kernel's ring, in KiB.
const BUFFER: &str = "65536";
const START: Duration = Duration::from_secs(10);
/// The kernel hands a block of its ring over after a second at the latest (tcpdump's read timeout).
const QUIET: Duration = Duration::from_millis(1500);

/// The same where each packet is handed over at once.
const QUIET_AT_ONCE: Duration = Duration::from_millis(200);

/// A running capture of the TCP segments of one device. Dropping it ends it; its file goes with the lab.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    file: PathBuf,
    quiet: Duration,
}

/// What was captured.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The segments in the file's order, which between CPUs is not exactly that of their times.
    pub segments: Vec<CapturedSegment>,
    /// Packets that tcpdump says the kernel dropped for want of room: with any, the capture proves nothing.
    pub dropped: u64,
}

impl Capture {
    /// Starts to capture on `device`, of `netns` or else of the host. When this returns, packets are recorded.
    ///
    /// # Errors
    /// When tcpdump cannot be installed or does not start.
    pub fn start(lab: &Lab, netns: Option<&NetNs>, device: &str) -> Result<Self> {
        Self::with(lab, netns, device, &["-s", SNAPLEN], QUIET)
    }

    /// The same with every byte, for another decoder. It costs more: the capture is for small loads.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn whole(lab: &Lab, netns: Option<&NetNs>, device: &str) -> Result<Self> {
        Self::with(lab, netns, device, &["-s", WHOLE, "--immediate-mode"], QUIET_AT_ONCE)
    }

    /// The same where packets are handed over together: for as many bytes as the kernel's ring holds, however fast they come.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn in_full(lab: &Lab, netns: Option<&NetNs>, device: &str) -> Result<Self> {
        Self::with(lab, netns, device, &["-s", WHOLE], QUIET)
    }

    fn with(lab: &Lab, netns: Option<&NetNs>, device: &str, how: &[&str], quiet: Duration) -> Result<Self> {
        apt::ensure_programs(&[apt::TCPDUMP])?;
        let file = lab.file("captures", &format!("{device}-{:08x}.pcap", crate::lab::random()?))?;
        let mut command = Command::new(tools::find_program("tcpdump").context("no tcpdump")?);
        command.args(["-i", device, "-B", BUFFER, "-n", "-U", "--time-stamp-precision=nano"]).args(how);
        // -Z root: it would drop to a user who cannot write into the lab's folder.
        command.args(["-Z", "root", "-w"]).arg(&file).arg("tcp").stdout(Stdio::null());
        let mut process = Process::start(lab, netns, "tcpdump", &mut command)?;
        let log = process.stderr_path().to_owned();
        let listening = || fs::read_to_string(&log).is_ok_and(|log| log.contains("listening on"));
        process.wait_until(START, "to capture", listening)?;
        Ok(Self { process, file, quiet })
    }

    /// The file, in the pcap format with nanoseconds.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Waits until what passed so far is in the file, ends tcpdump and reads the segments.
    ///
    /// # Errors
    /// When the file is no capture.
    pub fn finish(mut self) -> Result<Captured> {
        let dropped = self.end()?;
        Ok(Captured { segments: pcap::read(&self.file)?, dropped })
    }

    /// Waits until what passed so far is in the file, and ends tcpdump. Gives the packets that the kernel dropped.
    ///
    /// # Errors
    /// When tcpdump does not say that.
    pub fn end(&mut self) -> Result<u64> {
        self.wait_quiet()?;
        self.process.stop()?;
        dropped(&self.process.stderr()).context("tcpdump did not say what it dropped")
    }

    /// Waits until the file stops to grow, ten seconds at most where traffic goes on.
    fn wait_quiet(&self) -> Result<()> {
        let end = Instant::now() + START;
        let mut before = None;
        while Instant::now() < end {
            let length = fs::metadata(&self.file)?.len();
            if before == Some(length) {
                break;
            }
            before = Some(length);
            sleep(self.quiet);
        }
        Ok(())
    }
}

/// Reads `3 packets dropped by kernel`.
fn dropped(stderr: &str) -> Option<u64> {
    stderr.lines().find_map(|line| line.strip_suffix(" dropped by kernel")?.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drop_count_is_read() {
        let stderr = "12 packets captured\n12 packets received by filter\n1 packet dropped by kernel\n";
        assert_eq!(dropped(stderr), Some(1));
        assert_eq!(dropped("0 packets dropped by kernel"), Some(0));
        assert_eq!(dropped("tcpdump: no such device"), None);
    }
}
