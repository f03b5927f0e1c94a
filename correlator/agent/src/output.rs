//! What the commands print: their output is part of the contract, so it goes to stdout on purpose.
use std::io::{self, Write as _};

/// One line on stdout. A reader that went away (`weft doctor | head`) ends the program without a word; any other error is
/// one.
pub fn line(text: &str) {
    let Err(error) = writeln!(io::stdout().lock(), "{text}") else { return };
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    complaint(&format!("stdout: cannot write: {error}"));
    std::process::exit(1);
}

/// One line on stderr; where it cannot be written there is nobody to tell.
pub fn complaint(text: &str) {
    let _ = writeln!(io::stderr().lock(), "weft: {text}");
}
