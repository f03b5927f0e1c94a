//! `--redact`: a recording without what the redaction list names. The raw one is a file without a name, so that it goes with the
//! process, whatever happens to it.
use std::{
    fs::{self, File, OpenOptions},
    io::{Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result};
use weft_core::{
    Input, recording as format,
    redact::{Redactor, Survey},
};

use crate::recording::RecordingFile;

/// Bytes that are written at once.
const BLOCK: usize = 256 * 1024;

/// A file without a name, where `output` will be.
///
/// # Errors
/// When the folder takes no file.
pub fn unnamed(output: &Path) -> Result<File> {
    let mut name = output.as_os_str().to_owned();
    name.push(format!(".raw-{}", std::process::id()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&name)
        .with_context(|| format!("{}: cannot create", Path::new(&name).display()))?;
    fs::remove_file(&name).with_context(|| format!("{}: cannot remove", Path::new(&name).display()))?;
    Ok(file)
}

/// Writes the raw recording's inputs to `output`, masked. A raw recording that ends early is one up to there.
///
/// # Errors
/// When either file cannot be read or written; what is in `output` then is masked, and can be replayed.
pub fn redact(raw: &File, output: &mut File) -> Result<()> {
    let redactor = survey(raw)?;
    write(raw, redactor, output)
}

fn survey(raw: &File) -> Result<Redactor> {
    let mut survey = Survey::new();
    each(raw, |input| {
        survey.input(input);
        Ok(())
    })?;
    Ok(survey.finish())
}

fn write(raw: &File, mut redactor: Redactor, output: &mut File) -> Result<()> {
    let mut block = Vec::with_capacity(2 * BLOCK);
    format::encode_redacted_header(&mut block);
    let mut flush = |block: &mut Vec<u8>, limit| {
        if block.len() < limit {
            return Ok(());
        }
        let written = output.write_all(block);
        block.clear();
        written.context("the redacted recording cannot be written on (is the disk full?)")
    };
    each(raw, |input| {
        // Fails for an input that is larger than a frame may be: it came out of one.
        redactor.input(input, &mut |input| drop(format::encode(&input, &mut block)));
        flush(&mut block, BLOCK)
    })?;
    flush(&mut block, 1)
}

/// All inputs that can be read: what comes behind damage is not in the redacted recording, either.
fn each(raw: &File, mut take: impl FnMut(Input<'_>) -> Result<()>) -> Result<()> {
    let mut file = raw.try_clone().context("the raw recording cannot be read")?;
    file.rewind().context("the raw recording cannot be read")?;
    let mut recording = RecordingFile::new(file)?;
    while let Ok(Some(input)) = recording.next() {
        take(input)?;
    }
    Ok(())
}
