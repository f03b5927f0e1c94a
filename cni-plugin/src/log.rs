//! Lines on stderr, which runtimes put into their own log. One event, one line, whatever its texts hold.
use std::io::{self, Write as _};

use serde::Deserialize;

/// A longer line is cut: the kernel's verifier may say a lot.
const MAX_LINE: usize = 2000;

/// How urgent a line is; `logLevel` names the least urgent that is printed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// The log of one call.
pub(crate) struct Log {
    level: Level,
    subject: String,
}

impl Log {
    /// A log whose lines begin with `subject`: command, pod and interface.
    pub(crate) fn new(level: Level, subject: String) -> Self {
        Self { level, subject }
    }

    pub(crate) fn line(&self, level: Level, text: &str) {
        if level <= self.level {
            line(level, &format!("{}: {text}", self.subject));
        }
    }
}

/// A line outside any call's log. Where stderr is gone nobody reads it.
pub(crate) fn line(level: Level, text: &str) {
    let mark = if level == Level::Error { "error: " } else { "" };
    let line = format!("weft-cni: {mark}{}\n", escaped(text));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

fn escaped(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        if line.len() >= MAX_LINE {
            line.push_str(" ...");
            break;
        }
        if character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_forge_a_line_or_move_the_cursor() {
        assert_eq!(
            escaped("pod\nweft-cni: fine\u{1b}[2J\u{202e}ä"),
            r"pod\nweft-cni: fine\u{1b}[2J\u{202e}ä"
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let line = escaped(&"x".repeat(100_000));
        assert!(line.len() < MAX_LINE + 10 && line.ends_with(" ..."));
    }
}
