//! What the commands print: their output is part of the contract, so it goes to stdout on purpose.
use std::io::{self, Write as _};

/// One line on stdout. A reader that went away (`weft doctor | head`) ends the program without a word.
pub fn line(text: &str) {
    if writeln!(io::stdout().lock(), "{text}").is_err() {
        std::process::exit(0);
    }
}
