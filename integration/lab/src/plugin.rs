//! Calls of a CNI plugin's binary as a runtime makes them, without libcni between: for what libcni never sends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The plugin.
    pub binary: PathBuf,
    /// The environment; nothing is inherited.
    pub env: BTreeMap<String, OsString>,
    /// What it reads.
    pub stdin: String,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Its result, or its error.
    pub stdout: String,
    /// Its log.
    pub stderr: String,
}

impl Call {
    /// A call of `command` (ADD, DEL, ...) for interface eth0 of a container.
    pub fn new(binary: &Path, command: &str, container_id: &str, netns: &Path, stdin: &Value) -> Self {
        let variables: [(&str, OsString); 5] = [
            ("CNI_COMMAND", command.into()),
            ("CNI_CONTAINERID", container_id.into()),
            ("CNI_NETNS", netns.into()),
            ("CNI_IFNAME", "eth0".into()),
            ("CNI_PATH", binary.parent().unwrap_or(Path::new("/")).into()),
        ];
        let env = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { binary: binary.to_owned(), env, stdin: stdin.to_string() }
    }

    /// The same with a variable of the environment changed.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// The same with another input.
    #[must_use]
    pub fn stdin(self, stdin: impl Into<String>) -> Self {
        Self { stdin: stdin.into(), ..self }
    }

    /// Makes the call and waits for its end.
    ///
    /// # Errors
    /// When the plugin cannot be started.
    pub fn run(&self) -> Result<Answer> {
        let mut command = Command::new(&self.binary);
        command.env_clear().envs(&self.env);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A call that needs no input may be over by now.
            let _ = stdin.write_all(self.stdin.as_bytes());
        }
        let output = child.wait_with_output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Answer { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }
}

impl Answer {
    /// The specification's error code in the answer, if it is an error.
    pub fn error_code(&self) -> Option<u64> {
        serde_json::from_str::<Value>(&self.stdout).ok()?.get("code")?.as_u64()
    }
}
