//! One run of a virtual machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::initramfs;
use super::kernel::Kernel;

/// How often the machine is looked at.
const POLL: Duration = Duration::from_millis(200);
/// How often one is started that dies before it has begun: emulated processors fail now and then.
const BOOTS: u32 = 3;
/// `oops=panic panic=-1`: a kernel that is in trouble ends. Emulated timers are slow, which must not alarm it. 5.10 has no `bpf` in its
/// list of security modules.
const KERNEL: &str = "console=ttyS0 quiet no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 oops=panic \
                      panic=-1 mitigations=off nokaslr rdinit=/init 8250.nr_uarts=4 lsm=lockdown,yama,bpf";
/// 5-level page tables and cmpxchg16b are emulated badly.
const PROCESSOR: &str = "max,la57=off,cx16=off";

/// What a virtual machine is to do.
#[derive(Debug)]
pub struct Guest {
    /// Shell text, run by busybox.
    pub script: String,
    /// Files of the host, and where the machine has them; of programs the libraries, too.
    pub files: Vec<(PathBuf, String)>,
    /// How long it may take.
    pub limit: Duration,
}

/// What it did.
#[derive(Debug)]
pub struct Said {
    /// The script's exit status.
    pub status: i32,
    /// What it wrote.
    pub output: String,
}

impl Guest {
    /// Runs the script with a kernel; its files in `folder` stay.
    ///
    /// # Errors
    /// When the machine does not start, or does not end in time: with what it wrote until then.
    pub fn run(&self, kernel: &Kernel, folder: &Path) -> Result<Said> {
        fs::create_dir_all(folder)?;
        let memory = folder.join("initramfs");
        fs::write(&memory, initramfs::pack(kernel, &self.script, &self.files)?)?;
        for _ in 0..BOOTS {
            let machine = Machine::start(kernel, folder)?;
            if let Some(said) = machine.wait(self.limit)? {
                return Ok(said);
            }
        }
        bail!("{} does not start: {}", kernel.release, text(&folder.join("console")))
    }
}

/// A running QEMU. Dropping it ends it.
struct Machine {
    child: Child,
    folder: PathBuf,
}

impl Machine {
    fn start(kernel: &Kernel, folder: &Path) -> Result<Self> {
        let mut command = Command::new("qemu-system-x86_64");
        command.args([
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            PROCESSOR,
            "-machine",
            "q35",
            "-smp",
            "2",
            "-m",
            "1024",
        ]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot"]);
        for (index, line) in ["console", "output", "status"].iter().enumerate() {
            let file = folder.join(line);
            File::create(&file)?;
            command.args(["-chardev", &format!("file,id=line{index},path={}", file.display())]);
            command.args(["-serial", &format!("chardev:line{index}")]);
        }
        command.arg("-kernel").arg(kernel.image()).arg("-initrd").arg(folder.join("initramfs"));
        command.args(["-append", KERNEL]).stdin(Stdio::null());
        let child = command.spawn().context("cannot start qemu-system-x86_64")?;
        Ok(Self { child, folder: folder.into() })
    }

    /// None: it has ended before the script has written anything.
    fn wait(mut self, limit: Duration) -> Result<Option<Said>> {
        let end = Instant::now() + limit;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                bail!("the machine took more than {limit:?}; it wrote: {}", self.output());
            }
            sleep(POLL);
        }
        let output = self.output();
        match text(&self.folder.join("status")).trim().parse() {
            Ok(status) => Ok(Some(Said { status, output })),
            Err(_) if output.is_empty() => Ok(None),
            Err(_) => bail!("the machine died: {output}\n{}", text(&self.folder.join("console"))),
        }
    }

    fn output(&self) -> String {
        text(&self.folder.join("output"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
