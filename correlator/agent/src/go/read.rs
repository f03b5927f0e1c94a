//! Binaries are read one at a time, by a thread with the lowest priority that has a process do it.
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::setpriority_process,
};
use weft_gobin::NamedFunction;

use super::{
    file_id::FileId,
    reader::{COMMAND, Told},
};

/// The largest file that is read. Kubernetes' own binaries have some 100 MiB, with all debugging information.
const LARGEST: u64 = 512 << 20;
/// Files that wait to be read.
const WAITING: usize = 64;
/// How long reading may take on the clock: the process may be slow, and the file on a network.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };
/// The longest answer: some kilobytes are usual.
const LONGEST: u64 = 1 << 20;
/// The lowest priority there is.
const LOWEST: i32 = 19;

/// What came of reading.
#[derive(Debug)]
pub enum Outcome {
    /// The binary was read.
    Told(Told),
    /// It has so many bytes.
    TooLarge(u64),
    /// The process did not come to its end, and how.
    Failed(String),
}

impl Outcome {
    /// What was told, or why nothing was, in a sentence.
    pub fn told(self) -> Result<Told, String> {
        match self {
            Self::Told(Told::Refused(why)) | Self::Failed(why) => Err(why),
            Self::TooLarge(bytes) => Err(format!("it has {bytes} bytes: up to {LARGEST} are read")),
            Self::Told(told) => Ok(told),
        }
    }

    /// Where the functions are that were asked for, or a sentence.
    pub fn functions(self) -> Result<Vec<NamedFunction>, String> {
        match self.told()? {
            Told::Functions(found) => Ok(found),
            _ => Err("it is no longer the Go program that it was".to_owned()),
        }
    }
}

/// A file that was read.
pub struct ReadFile {
    /// Which one.
    pub file: FileId,
    /// Who executes it, for the log.
    pub path: String,
    /// Functions that were asked for; none: what the file is.
    pub names: Vec<String>,
    /// What came of it.
    pub outcome: Outcome,
}

/// A file that is to be read.
pub struct Job {
    /// Which one.
    pub file: FileId,
    /// Who executes it, for the log.
    pub path: String,
    /// Open.
    pub executable: File,
    /// Functions that are asked for; none: what the file is.
    pub names: Vec<String>,
}

/// Where files are handed over to be read.
pub struct Reader {
    files: SyncSender<Job>,
}

impl Reader {
    /// Starts the thread. What comes of a file goes to `done`, which may wait.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(done: impl Fn(ReadFile) + Send + 'static) -> io::Result<Self> {
        let (files, receiver) = sync_channel(WAITING);
        thread::Builder::new().name("weft-go-read".into()).spawn(move || read_all(&receiver, done))?;
        Ok(Self { files })
    }

    /// Hands a file over; says whether there was room.
    #[must_use]
    pub fn read(&self, job: Job) -> bool {
        !matches!(self.files.try_send(job), Err(TrySendError::Full(_)))
    }
}

fn read_all(jobs: &Receiver<Job>, done: impl Fn(ReadFile)) {
    // The processes that it starts have it, too. Without it they disturb others more, and that is all.
    let _ = setpriority_process(None, LOWEST);
    while let Ok(Job { file, path, executable, names }) = jobs.recv() {
        let outcome = read(executable, &names);
        done(ReadFile { file, path, names, outcome });
    }
}

fn read(file: File, names: &[String]) -> Outcome {
    match file.metadata() {
        Ok(about) if about.len() > LARGEST => return Outcome::TooLarge(about.len()),
        Ok(about) if about.len() == 0 => return Outcome::Told(Told::NotGo),
        Ok(_) => {}
        Err(error) => return Outcome::Failed(error.to_string()),
    }
    match ask(file, names) {
        Ok(told) => Outcome::Told(told),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn ask(file: File, names: &[String]) -> io::Result<Told> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(COMMAND).arg("--").args(names).stdin(file).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let answer = answer(&mut child);
    // It has answered, or takes too long.
    let _ = child.kill();
    let status = child.wait()?;
    let answer =
        answer?.ok_or_else(|| io::Error::other(format!("it was not read within {} s", PATIENCE.tv_sec)))?;
    serde_json::from_slice(&answer)
        .map_err(|_| io::Error::other(format!("reading it ended with {}", end(status))))
}

/// All that the process says; nothing when it takes too long for it.
fn answer(child: &mut Child) -> io::Result<Option<Vec<u8>>> {
    let Some(mut stdout) = child.stdout.take() else { return Ok(None) };
    if poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&PATIENCE))? == 0 {
        return Ok(None);
    }
    // The answer is written at once.
    let mut answer = Vec::new();
    stdout.by_ref().take(LONGEST).read_to_end(&mut answer)?;
    Ok(Some(answer))
}

fn end(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => {
            format!("signal {signal}: it changed meanwhile, or takes more memory or time than it may")
        }
        None => status.to_string(),
    }
}
