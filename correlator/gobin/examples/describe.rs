//! `cargo run -p weft-gobin --example describe FILE...`: what weft knows of Go executables.
use std::{
    env,
    fmt::{self, Write as _},
    fs,
    io::{self, Write as _},
    process::ExitCode,
};

use weft_abi::GoPath;
use weft_gobin::{GoBinary, ProbePoint};

const REGISTERS: [&str; 9] = ["rax", "rbx", "rcx", "rdi", "rsi", "r8", "r9", "r10", "r11"];

fn main() -> io::Result<ExitCode> {
    let mut status = ExitCode::SUCCESS;
    for file in env::args_os().skip(1) {
        let file = file.display();
        match fs::read(file.to_string()).map(|bytes| weft_gobin::read(&bytes)) {
            Ok(Ok(Some(binary))) => write!(io::stdout(), "{file}: {}", Text(&binary))?,
            Ok(Ok(None)) => writeln!(io::stdout(), "{file}: no Go program")?,
            Ok(Err(error)) => {
                eprintln!("{file}: {error}");
                status = ExitCode::FAILURE;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(status)
}

struct Text<'a>(&'a GoBinary);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GoBinary { version, build_id, process, points, linked_at, runtime, missing } = self.0;
        writeln!(f, "Go {version}, build id {}", build_id.as_deref().unwrap_or("unknown"))?;
        writeln!(f, "  {process:?}")?;
        points.iter().try_for_each(|point| line(f, point))?;
        writeln!(f, "  linked at {linked_at:x?}: {runtime:x?}")?;
        missing.iter().try_for_each(|sentence| writeln!(f, "  missing: {sentence}"))
    }
}

fn line(f: &mut fmt::Formatter<'_>, point: &ProbePoint) -> fmt::Result {
    let layout = &point.layout;
    let place = if point.emulated { "push" } else { "entry" };
    write!(f, "  {:#x} {place} {:?} {}", point.file_offset, point.function, point.symbol)?;
    for (what, path) in [("conn", layout.conn), ("stream", layout.stream), ("context", layout.context)] {
        if path.steps > 0 {
            write!(f, " {what}={}", way(&path)?)?;
        }
    }
    writeln!(f)
}

fn way(path: &GoPath) -> Result<String, fmt::Error> {
    let mut text = REGISTERS.get(usize::from(path.register)).copied().unwrap_or("?").to_owned();
    for offset in path.offsets.iter().take(path.steps.into()) {
        write!(text, "+{offset}")?;
    }
    Ok(text)
}
