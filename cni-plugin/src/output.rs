//! What goes to stdout: the one answer of a call.
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use serde_json::json;

use crate::{
    error::CniError,
    log::{self, Level},
};

/// Prints the answer; the exit code says whether it is an error.
pub(crate) fn finish(version: &str, answer: Result<String, CniError>) -> ExitCode {
    let (text, code) = match answer {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(error) => (error_json(version, &error), ExitCode::FAILURE),
    };
    match print(&text) {
        Ok(()) => code,
        Err(error) => {
            log::line(Level::Error, &format!("cannot write the answer to stdout: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes all of it and nothing else: not even a line's end, so that prevResult leaves as it came.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// CNI 1.1.0, "Error": exit 1 and this on stdout.
pub(crate) fn error_json(version: &str, error: &CniError) -> String {
    json!({"cniVersion": version, "code": error.code(), "msg": error.to_string(), "details": error.details()})
        .to_string()
}
