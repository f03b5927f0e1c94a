//! A Go program whose goroutines say who they are (`goroutines/main.go`), in the netns of the loaded programs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use weft_gobin::GoBinary;
use weft_lab::NetNs;

/// How a program is linked.
#[derive(Clone, Copy, Debug)]
pub enum Linked {
    Statically,
    /// To run anywhere in memory.
    AsPie,
    /// With a C library, and C code that has thread-local variables of its own.
    WithC,
}

/// A file of its own for each caller: who attaches to one must not be hit by another test.
fn program(linked: Linked) -> Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("weft-goroutines-{}-{number}", std::process::id()));
    match weft_lab::tools::built() {
        Some(folder) => fs::copy(folder.join(format!("{linked:?}")), &path).map(drop)?,
        None => build(linked, &path)?,
    }
    Ok(path)
}

/// Builds it.
pub fn build(linked: Linked, output: &Path) -> Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/goroutines");
    let mut command = Command::new(weft_lab::tools::go().context("no Go toolchain on the PATH")?);
    command.current_dir(sources).arg("build").arg("-o").arg(output).env_remove("GOFLAGS");
    match linked {
        Linked::Statically => command.env("CGO_ENABLED", "0"),
        Linked::AsPie => command.env("CGO_ENABLED", "0").arg("-buildmode=pie"),
        Linked::WithC => command.env("CGO_ENABLED", "1").arg("-tags=withc"),
    };
    let status = command.status()?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

/// What a goroutine said before it did it: with so many bytes, by which goroutine, created by which one.
#[derive(Debug, Default)]
pub struct Said {
    all: BTreeMap<(String, u32), (u64, u64)>,
}

impl Said {
    /// What was said of a kind of thing, by its bytes.
    pub fn of<'a>(&'a self, what: &'a str) -> impl Iterator<Item = (u32, (u64, u64))> + 'a {
        let of_kind = self.all.iter().filter(move |((other, _), _)| other == what);
        of_kind.map(|((_, bytes), who)| (*bytes, *who))
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }
}

/// Where an instruction of the program is.
pub struct Place {
    /// In the file.
    pub offset: u64,
    /// In the memory of one that is linked to run at one place.
    pub address: u64,
}

/// The program, running. Dropping it ends it.
pub struct GoProgram {
    pub path: PathBuf,
    /// What it says of itself.
    pub binary: GoBinary,
    data: Vec<u8>,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl GoProgram {
    /// Starts it; it does nothing yet.
    pub fn start(netns: &NetNs, linked: Linked, rounds: u32) -> Result<Self> {
        Self::run(netns, linked, &[rounds])
    }

    /// The same for one that sends so many small requests over each of so many connections.
    pub fn load(netns: &NetNs, requests: u32, connections: u32) -> Result<Self> {
        Self::run(netns, Linked::Statically, &[requests, connections])
    }

    fn run(netns: &NetNs, linked: Linked, arguments: &[u32]) -> Result<Self> {
        let path = program(linked)?;
        let data = fs::read(&path)?;
        let binary = weft_gobin::read(&data)?.context("no Go program")?;
        let mut command = Command::new(&path);
        command.args(arguments.iter().map(u32::to_string)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = netns.spawn(&mut command)?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut this = Self { path, binary, data, child, stdin, stdout };
        ensure!(this.line()? == "ready");
        Ok(this)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A function's first `push %rbp`.
    pub fn place(&self, function: &str) -> Result<Place> {
        let elf = object::File::parse(&*self.data)?;
        let symbol = elf.symbol_by_name(function).with_context(|| format!("no symbol {function}"))?;
        let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok());
        let section = section.context("no section")?;
        let (file_offset, _) = section.file_range().context("no bytes")?;
        let entry = symbol.address() - section.address() + file_offset;
        let code = self.data.get(entry as usize..).context("no code")?;
        // push %rbp; mov %rsp, %rbp
        let push = code.windows(4).position(|code| code == [0x55, 0x48, 0x89, 0xe5]);
        let push = push.context("no push")? as u64;
        Ok(Place { offset: entry + push, address: symbol.address() + push })
    }

    /// Lets it go on, and waits until it has done everything.
    pub fn go_on(&mut self) -> Result<Said> {
        self.stdin.write_all(b"x")?;
        let mut said = Said::default();
        loop {
            let line = self.line()?;
            let words: Vec<_> = line.split(' ').collect();
            let [what, bytes, own, creator] = words[..] else {
                ensure!(line == "done", "the program said {line:?}");
                return Ok(said);
            };
            said.all.insert((what.to_owned(), bytes.parse()?), (own.parse()?, creator.parse()?));
        }
    }

    /// Lets it end.
    pub fn end(&mut self) -> Result<()> {
        self.stdin.write_all(b"x")?;
        ensure!(self.child.wait()?.success());
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stdout.read_line(&mut line)? > 0, "the program has ended");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for GoProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.path);
    }
}
