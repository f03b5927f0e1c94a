//! The last line of defence: a defect of ours, or of a crate below, must not keep a pod from starting. A panic
//! aborts the process, but its hook runs before, on whatever thread it was, and ends the process its own way.
use std::{panic, process};

use crate::{
    config::FailurePolicy,
    error::CniError,
    log::{self, Level},
    output,
};

/// From now on a panic ends the call as if all had gone well, with nothing on stdout.
pub(crate) fn with_silence() {
    panic::set_hook(Box::new(|panic| {
        log::line(Level::Error, &format!("defect: {panic}; the call ends as if it had succeeded"));
        process::exit(0);
    }));
}

/// From now on a panic answers ADD as `policy` says: prevResult, or an error.
pub(crate) fn with_answer(version: &'static str, prev_result: &str, policy: FailurePolicy) {
    let prev_result = prev_result.to_owned();
    panic::set_hook(Box::new(move |panic| {
        let what = panic.to_string();
        log::line(Level::Error, &format!("ADD: not traced yet: defect: {what}; the agent attaches later"));
        let (answer, code) = match policy {
            FailurePolicy::Ignore => (prev_result.clone(), 0),
            FailurePolicy::Fail => (output::error_json(version, &CniError::Defect { what }), 1),
        };
        let printed = output::print(&answer).is_ok();
        process::exit(if printed { code } else { 1 });
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const CASE: &str = "WEFT_CNI_TEST_PANIC";

    /// Runs `panics_when_asked` in a process of its own.
    fn panicking(policy: &str) -> (String, String, Option<i32>) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rescue::tests::panics_when_asked", "--nocapture"])
            .env(CASE, policy)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr), output.status.code())
    }

    #[test]
    fn panics_when_asked() {
        let policy = match std::env::var(CASE).as_deref() {
            Ok("Ignore") => FailurePolicy::Ignore,
            Ok("Fail") => FailurePolicy::Fail,
            _ => return,
        };
        with_answer("1.0.0", r#"{"ips":[]}"#, policy);
        // As in a netns: on another thread than main's.
        let _ = std::thread::spawn(|| panic!("an\ninvented defect")).join();
    }

    #[test]
    fn a_panic_on_any_thread_lets_the_pod_start() {
        let (stdout, stderr, code) = panicking("Ignore");
        assert!(stdout.ends_with(r#"{"ips":[]}"#), "{stdout}");
        assert!(stderr.contains(r"an\ninvented defect") && stderr.contains("not traced yet"), "{stderr}");
        assert_eq!(code, Some(0));
    }

    #[test]
    fn a_panic_fails_the_pod_where_that_is_wanted() {
        let (stdout, _, code) = panicking("Fail");
        assert!(stdout.contains(r#""code":101"#), "{stdout}");
        assert_eq!(code, Some(1));
    }
}
