//! What processes execute: each file is read once, and one line of the log says what came of it.
use std::{fs::File, io, sync::Arc, time::Instant};

use weft_gobin::GoBinary;

use super::{
    cache::{Asked, Cache, Known},
    file_id::FileId,
    log_limit::LogLimit,
    read::{Job, Outcome, ReadFile, Reader},
    reader::Told,
    sighting::Sighting,
    view::BinaryCounts,
};

/// What is known of them.
pub struct Binaries {
    cache: Cache,
    reader: Reader,
    log: LogLimit,
    /// By what came of reading them.
    pub counts: BinaryCounts,
    /// Files for which there was no room among those that wait to be read.
    pub no_room: u64,
}

/// What is known of a process's binary.
pub enum Answer {
    /// It is Go.
    Go(Arc<GoBinary>),
    /// It is not, or nothing can be told of it.
    Nothing,
    /// It is being read.
    Wait,
    /// There is no room to have it read now.
    NoRoom,
}

impl Binaries {
    /// None yet.
    pub fn new(reader: Reader, now: Instant) -> Self {
        Self {
            cache: Cache::default(),
            reader,
            log: LogLimit::new(now),
            counts: BinaryCounts::default(),
            no_room: 0,
        }
    }

    /// What the process executes; it is read when nobody has asked for it before.
    pub fn of(&mut self, sighting: &Sighting) -> io::Result<Answer> {
        let pid = sighting.folder.pid();
        Ok(match self.cache.ask(sighting.file, pid) {
            Asked::Known(Known::Go(binary)) => Answer::Go(binary),
            Asked::Known(Known::Nothing) => Answer::Nothing,
            Asked::Wait => Answer::Wait,
            Asked::Read if self.reader.read(job(sighting)?) => {
                self.cache.reading(sighting.file, pid);
                Answer::Wait
            }
            Asked::Read => {
                self.no_room += 1;
                Answer::NoRoom
            }
        })
    }

    /// Has a file read again, for where these functions of it are. Says whether there was room.
    pub fn seek(&mut self, file: FileId, path: &str, executable: File, names: Vec<String>) -> bool {
        let asked = self.reader.read(Job { file, path: path.to_owned(), executable, names });
        self.no_room += u64::from(!asked);
        asked
    }

    /// Files that were known and gave way to others.
    pub fn evicted(&self) -> u64 {
        self.cache.evicted()
    }

    /// A file was read. Gives the processes that wait for it.
    pub fn read(&mut self, read: ReadFile, now: Instant) -> Vec<u32> {
        let ReadFile { file, path, names: _, outcome } = read;
        *self.count_of(&outcome) += 1;
        let known = match outcome.told() {
            Ok(Told::Go(binary)) => {
                self.greet(&path, &binary, now);
                Known::Go(Arc::new(*binary))
            }
            Ok(_) => Known::Nothing,
            Err(why) => {
                if let Some(left_out) = self.log.line(now) {
                    tracing::warn!(path, left_out, "not traced as a Go program: {why}");
                }
                Known::Nothing
            }
        };
        self.cache.learn(file, known)
    }

    fn count_of(&mut self, outcome: &Outcome) -> &mut u64 {
        let counts = &mut self.counts;
        match outcome {
            Outcome::Told(Told::Go(_)) => &mut counts.go,
            // It was asked what the file is, and not for functions.
            Outcome::Told(Told::NotGo | Told::Functions(_)) => &mut counts.not_go,
            Outcome::Told(Told::Refused(_)) => &mut counts.refused,
            Outcome::TooLarge(_) => &mut counts.too_large,
            Outcome::Failed(_) => &mut counts.failed,
        }
    }

    fn greet(&mut self, path: &str, binary: &GoBinary, now: Instant) {
        let Some(left_out) = self.log.line(now) else { return };
        let (version, points) = (binary.version, binary.points.len());
        if binary.missing.is_empty() {
            tracing::info!(path, %version, points, left_out, "a Go program");
        } else {
            let missing = binary.missing.join("; ");
            tracing::warn!(path, %version, points, left_out, "a Go program of which not all is known: {missing}");
        }
    }
}

fn job(sighting: &Sighting) -> io::Result<Job> {
    Ok(Job {
        file: sighting.file,
        path: format!("{} in {}", sighting.folder.executable_path()?.display(), sighting.pod.label),
        executable: sighting.executable.try_clone()?,
        names: Vec::new(),
    })
}
