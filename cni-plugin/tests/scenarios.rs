//! Calls of the built plugin, as `tests/cases/*.json` tell them: what comes in, what must come out. Nothing here
//! needs privileges.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod plugin;

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use plugin::{Answer, Folder, call};

/// One call. A `{dir}` in any text is the test's own folder; of the environment a case names what is unlike the
/// usual (null: not set).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    env: BTreeMap<String, Option<String>>,
    /// A string is stdin itself; anything else is stdin with its blanks.
    stdin: Box<RawValue>,
    /// Stdout is the text of stdin's prevResult, byte for byte.
    #[serde(default)]
    prints_prev_result: bool,
    /// Stdout is this JSON.
    prints: Option<Value>,
    /// Exit 1, and stdout is a CNI error with these members.
    error: Option<BTreeMap<String, Value>>,
    /// Part of the error's `msg`.
    error_says: Option<String>,
    /// Stderr is one line with these parts; none: no line at all.
    #[serde(default)]
    log: Vec<String>,
    /// The record that the state folder holds afterwards.
    record: Option<Value>,
}

#[test]
fn bad_input() {
    run("bad-input");
}

#[test]
fn add_untraced() {
    run("add-untraced");
}

#[test]
fn other_commands() {
    run("other-commands");
}

fn run(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file).with_extension("json");
    let text = fs::read_to_string(path).unwrap();
    for case in serde_json::from_str::<Vec<Box<RawValue>>>(&text).unwrap() {
        let folder = Folder::new(file);
        let text = case.get().replace("{dir}", folder.path.to_str().unwrap());
        assert_case(&serde_json::from_str(&text).unwrap(), &folder);
    }
}

fn assert_case(case: &Case, folder: &Folder) {
    let stdin = match serde_json::from_str::<String>(case.stdin.get()) {
        Ok(text) => text,
        Err(_) => case.stdin.get().to_owned(),
    };
    let answer = call(&case.env, &stdin, folder);
    let told = format!("{}: {answer:?}", case.case);
    assert_eq!(answer.code, Some(i32::from(case.error.is_some())), "{told}");
    assert_eq!(answer.stdout.is_empty(), case.expects_silence(), "{told}");
    case.assert_stdout(&answer, &stdin, &told);
    assert_eq!(answer.stderr.lines().count(), usize::from(!case.log.is_empty()), "{told}");
    for part in &case.log {
        assert!(answer.stderr.contains(part.as_str()), "{part} in {told}");
    }
    if let Some(record) = &case.record {
        let written = fs::read(folder.path.join("state/pods/c1@eth0.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), *record, "{told}");
    }
}

impl Case {
    fn expects_silence(&self) -> bool {
        !self.prints_prev_result && self.prints.is_none() && self.error.is_none()
    }

    fn assert_stdout(&self, answer: &Answer, stdin: &str, told: &str) {
        if self.prints_prev_result {
            let keys: BTreeMap<String, &RawValue> = serde_json::from_str(stdin).unwrap();
            assert_eq!(answer.stdout, keys["prevResult"].get(), "{told}");
        }
        if let Some(prints) = &self.prints {
            assert_eq!(serde_json::from_str::<Value>(&answer.stdout).unwrap(), *prints, "{told}");
        }
        for (key, value) in self.error.iter().flatten() {
            let error: Value = serde_json::from_str(&answer.stdout).unwrap();
            assert_eq!(error[key], *value, "{key} of {told}");
            let says = self.error_says.as_deref().unwrap_or_default();
            assert!(error["msg"].as_str().unwrap().contains(says), "{told}");
        }
    }
}
