//! The per-pod latency table: what `weft top` shows live and `weft replay` at the end.
use serde::Deserialize;

use crate::output::line;

/// What the table needs of a pod; the API gives more.
#[derive(Clone, Debug, Deserialize)]
pub struct PodRow {
    pub netns: u64,
    pub namespace: String,
    pub name: String,
    #[serde(default)]
    pub gone: bool,
    pub server: SideRow,
    pub client: SideRow,
}

/// One side of a pod.
#[derive(Clone, Debug, Deserialize)]
pub struct SideRow {
    pub count: u64,
    pub errors: u64,
    pub latency: Latency,
}

/// Latency in ns.
#[derive(Clone, Debug, Deserialize)]
pub struct Latency {
    pub p50_ns: Option<u64>,
    pub p90_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub max_ns: Option<u64>,
}

const WIDTH: usize = 40;

/// Prints the table; `rate` gives exchanges a second where that is known.
pub fn print(pods: &[PodRow], rate: impl Fn(&PodRow, &'static str) -> Option<f64>) {
    line(&format!(
        "{:<WIDTH$} {:<6} {:>10} {:>8} {:>7} {:>9} {:>9} {:>9} {:>9}",
        "POD", "SIDE", "EXCHANGES", "PER S", "ERRORS", "P50 ms", "P90 ms", "P99 ms", "MAX ms"
    ));
    for pod in pods {
        for (side, row) in [("server", &pod.server), ("client", &pod.client)] {
            if row.count > 0 {
                line(&format_row(pod, side, row, rate(pod, side)));
            }
        }
    }
}

fn format_row(pod: &PodRow, side: &str, row: &SideRow, rate: Option<f64>) -> String {
    let Latency { p50_ns, p90_ns, p99_ns, max_ns } = row.latency;
    format!(
        "{:<WIDTH$} {side:<6} {:>10} {:>8} {:>7} {:>9} {:>9} {:>9} {:>9}",
        cut(&pod.label()),
        row.count,
        rate.map_or_else(|| "-".into(), |rate| format!("{rate:.0}")),
        row.errors,
        milliseconds(p50_ns),
        milliseconds(p90_ns),
        milliseconds(p99_ns),
        milliseconds(max_ns),
    )
}

impl PodRow {
    fn label(&self) -> String {
        let name = match (self.name.as_str(), self.namespace.as_str()) {
            ("", _) => format!("netns {}", self.netns),
            (name, "") => name.to_owned(),
            (name, namespace) => format!("{namespace}/{name}"),
        };
        // Names come from outside: nothing in them may reach the terminal as a command.
        let name: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        if self.gone { format!("{name} (gone)") } else { name }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

#[expect(clippy::cast_precision_loss, reason = "for the eye: three digits")]
fn milliseconds(nanoseconds: Option<u64>) -> String {
    nanoseconds.map_or_else(|| "-".into(), |ns| format!("{:.3}", ns as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_move_the_cursor() {
        let side = SideRow {
            count: 0,
            errors: 0,
            latency: Latency { p50_ns: None, p90_ns: None, p99_ns: None, max_ns: None },
        };
        let pod = PodRow {
            netns: 1,
            namespace: "a".into(),
            name: "\u{1b}[2Jx".into(),
            gone: false,
            server: side.clone(),
            client: side,
        };
        assert_eq!(pod.label(), "a/?[2Jx");
        assert_eq!(cut(&"x".repeat(100)).chars().count(), WIDTH);
    }
}
