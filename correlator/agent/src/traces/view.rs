//! A trace as lines of text.
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most characters of a value that somebody else chose.
const WIDTH: usize = 80;

/// What is shown of a trace; the agent tells more.
#[derive(Debug, Deserialize)]
pub struct Trace {
    trace_id: String,
    start: u64,
    duration_ns: u64,
    errors: usize,
    #[serde(default)]
    cut: bool,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
struct Span {
    depth: usize,
    parent_span_id: Option<String>,
    kind: String,
    name: String,
    pod: Option<String>,
    start: u64,
    duration_ns: u64,
    status: String,
    attributes: Map<String, Value>,
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    links: Vec<Link>,
}

/// To what is likely to be the cause.
#[derive(Debug, Deserialize)]
struct Link {
    trace_id: String,
    span_id: String,
}

#[derive(Debug, Deserialize)]
struct Event {
    name: String,
}

impl Trace {
    /// A line for the trace, and one for each span.
    pub fn lines(&self) -> Vec<String> {
        let Self { trace_id, start, duration_ns, errors, cut, spans } = self;
        let mut head = format!(
            "trace {}  {} UTC  {}  {}",
            plain(trace_id),
            time_of_day(*start),
            duration(*duration_ns),
            many(spans.len(), "span")
        );
        if *errors > 0 {
            head.push_str(&format!("  {}", many(*errors, "error")));
        }
        if *cut {
            head.push_str("  (older spans are not shown)");
        }
        let spans = spans.iter().map(|span| span.line(*start));
        std::iter::once(head).chain(spans).collect()
    }
}

impl Span {
    /// `+offset duration side pod name status  where the time went  [evidence]`; an error is marked where the eye begins.
    fn line(&self, began: u64) -> String {
        let mark = if self.status == "error" { '!' } else { ' ' };
        let offset = format!("+{}", duration(self.start.saturating_sub(began)));
        // What is deeper than a line is wide says how deep it is.
        let indent = if self.depth <= 24 { "  ".repeat(self.depth) } else { format!("({}) ", self.depth) };
        let pod = self.pod.as_deref().map_or_else(|| "unknown pod".into(), plain);
        let mut line = format!(
            "{mark} {offset:>10} {:>10}  {indent}{} {pod}  {}{}",
            duration(self.duration_ns),
            self.kind,
            plain(&self.name),
            self.outcome(),
        );
        for part in [self.phases(), self.events(), self.parent(), self.likely()].into_iter().flatten() {
            line.push_str("  ");
            line.push_str(&part);
        }
        line
    }

    fn outcome(&self) -> String {
        let status = self.text("http.response.status_code").or(self.text("rpc.response.status_code"));
        // Where it is not the status that is wrong.
        let error = self.text("error.type").filter(|error| Some(error) != status.as_ref());
        [status, error].into_iter().flatten().map(|text| format!(" {text}")).collect()
    }

    /// The longest first.
    fn phases(&self) -> Option<String> {
        let mut phases: Vec<(&str, u64)> = self
            .attributes
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("weft.phase.")?, value.as_u64()?)))
            .filter(|(_, ns)| *ns > 0)
            .collect();
        phases.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
        let shown: Vec<_> =
            phases.iter().map(|(name, ns)| format!("{} {}", plain(name), duration(*ns))).collect();
        (!shown.is_empty()).then(|| shown.join(", "))
    }

    fn events(&self) -> Option<String> {
        let names: Vec<_> =
            self.events.iter().map(|event| plain(event.name.trim_start_matches("weft."))).collect();
        (!names.is_empty()).then(|| format!("({})", names.join(", ")))
    }

    /// How its parent is known. A root that names one has it elsewhere.
    fn parent(&self) -> Option<String> {
        let evidence = self.text("weft.evidence");
        match (&self.parent_span_id, self.depth, evidence) {
            (Some(parent), 0, evidence) => {
                let by = evidence.map(|evidence| format!(", by {evidence}")).unwrap_or_default();
                Some(format!("[parent {} is not here{by}]", plain(parent)))
            }
            (_, _, evidence) => evidence.map(|evidence| format!("[{evidence}]")),
        }
    }

    fn likely(&self) -> Option<String> {
        let Link { trace_id, span_id } = self.links.first()?;
        Some(format!("[perhaps of {} in trace {}]", plain(span_id), plain(trace_id)))
    }

    fn text(&self, key: &str) -> Option<String> {
        match self.attributes.get(key)? {
            Value::String(text) => Some(plain(text)),
            other => Some(other.to_string()),
        }
    }
}

/// Names come from strangers: nothing in them may reach the terminal as a command, and none fills it.
fn plain(text: &str) -> String {
    let mut characters = text.chars();
    let shown: String = characters.by_ref().take(WIDTH).map(|c| if is_odd(c) { '?' } else { c }).collect();
    if characters.next().is_some() { shown + "\u{2026}" } else { shown }
}

/// Control characters, and those that turn the direction of what is beside them (Unicode, UAX #9).
fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[expect(clippy::cast_precision_loss, reason = "for the eye: three digits or so")]
fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.0} us", ns as f64 / 1e3),
        1_000_000..10_000_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}

fn time_of_day(ns: u64) -> String {
    let milliseconds = ns / 1_000_000;
    let (seconds, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60 % 24, minutes % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(change: Value) -> Value {
        let mut span = json!({
            "depth": 0, "span_id": "2", "kind": "server", "name": "GET /orders/{id}", "pod": "shop/orders",
            "start": 1_000_000, "duration_ns": 2_500_000, "status": "unset",
            "attributes": {"http.response.status_code": 200},
        });
        span.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        span
    }

    fn lines(spans: &[Value]) -> Vec<String> {
        let trace = json!({
            "trace_id": "84316b77d843e8a6bfc531db9d35b103", "start": 1_000_000, "duration_ns": 2_500_000,
            "errors": 1, "sampled": 0, "spans": spans,
        });
        serde_json::from_value::<Trace>(trace).unwrap().lines()
    }

    #[test]
    fn a_trace_is_a_line_and_its_spans_below_it() {
        let child = json!({
            "depth": 1, "start": 1_400_000, "duration_ns": 900_000, "kind": "client", "status": "error",
            "parent_span_id": "2", "name": "GET /stock/{id}",
            "attributes": {
                "http.response.status_code": 503, "error.type": "503", "weft.evidence": "same_goroutine",
                "weft.phase.network": 40_000, "weft.phase.socket_wait": 100_000, "weft.phase.gc": 0,
            },
            "events": [{"name": "weft.retransmit", "time": 1, "attributes": {}}],
        });
        assert_eq!(
            lines(&[span(json!({})), span(child)]),
            [
                "trace 84316b77d843e8a6bfc531db9d35b103  00:00:00.001 UTC  2.50 ms  2 spans  1 error",
                "       +0 ns    2.50 ms  server shop/orders  GET /orders/{id} 200",
                "!    +400 us     900 us    client shop/orders  GET /stock/{id} 503  socket_wait 100 us, network 40 us  \
                 (retransmit)  [same_goroutine]",
            ]
        );
    }

    #[test]
    fn a_parent_that_is_elsewhere_is_said_to_be() {
        let lines = lines(&[span(
            json!({"parent_span_id": "00f067aa0ba902b7", "attributes": {"weft.evidence": "header"}}),
        )]);
        assert!(lines[1].ends_with("[parent 00f067aa0ba902b7 is not here, by header]"), "{lines:?}");
    }

    #[test]
    fn a_likely_cause_is_said_to_be_no_more() {
        let link =
            json!({"trace_id": "4bf92f3577b34da6", "span_id": "00f067aa", "evidence": "only_open_request"});
        let lines = lines(&[span(json!({"links": [link]}))]);
        assert!(lines[1].ends_with("[perhaps of 00f067aa in trace 4bf92f3577b34da6]"), "{lines:?}");
    }

    #[test]
    fn what_was_broken_off_says_why() {
        let attributes = json!({"http.response.status_code": 200, "error.type": "truncated"});
        let lines = lines(&[span(json!({"status": "error", "attributes": attributes}))]);
        assert!(lines[1].starts_with('!') && lines[1].contains(" 200 truncated"), "{lines:?}");
    }

    #[test]
    fn hostile_names_move_no_cursor_and_fill_no_screen() {
        let name = format!("\u{1b}[2J\u{202e}\"{}", "x".repeat(70_000));
        let lines = lines(&[span(json!({"name": name, "pod": "a\nb/c", "depth": 60_000}))]);
        assert!(lines[1].chars().all(|c| !is_odd(c)) && lines[1].contains("?[2J?\"x"), "{lines:?}");
        assert!(lines[1].contains("(60000) ") && lines[1].contains("a?b/c") && lines[1].len() < 300);
    }

    #[test]
    fn times_are_short() {
        let shown = [7, 1_500, 2_345_678, 1_234_567_890, 12_300_000_000].map(duration);
        assert_eq!(shown, ["7 ns", "2 us", "2.35 ms", "1234.57 ms", "12.3 s"]);
        assert_eq!(time_of_day(1_700_000_000_123_456_789), "22:13:20.123");
    }
}
