//! The capture as weft reads it: imported as a recording, and replayed.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What `weft replay --json` prints of a capture that `weft import-pcap` took in, under an agent's configuration.
pub fn exchanges(weft: &Path, config: &Path, capture: &Path) -> Result<Vec<Value>> {
    let recording = capture.with_extension("weftrec");
    let mut import = Command::new(weft);
    import.arg("import-pcap").arg(capture).arg("--output").arg(&recording).arg("--config").arg(config);
    succeed(&mut import)?;
    let replayed = succeed(Command::new(weft).arg("replay").arg(&recording).arg("--json"))?;
    let lines = replayed.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).context("a line is no JSON")).collect()
}

fn succeed(command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}
