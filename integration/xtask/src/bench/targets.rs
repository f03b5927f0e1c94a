//! What the figures of `bench replay` must be.
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// One figure of the document, and its bound.
struct Target {
    /// Its name in the document.
    figure: &'static str,
    bound: Bound,
}

enum Bound {
    AtLeast(u64),
    AtMost(u64),
}

const TARGETS: [Target; 6] = [
    Target { figure: "http1_exchanges_per_s", bound: Bound::AtLeast(300_000) },
    Target { figure: "grpc_calls_per_s", bound: Bound::AtLeast(200_000) },
    Target { figure: "idle_connection_bytes", bound: Bound::AtMost(1024) },
    Target { figure: "idle_http2_connection_bytes_without_header_tables", bound: Bound::AtMost(1024) },
    Target { figure: "open_http1_connections_mib", bound: Bound::AtMost(128) },
    Target { figure: "open_grpc_connections_mib", bound: Bound::AtMost(128) },
];

impl Target {
    fn value(&self, document: &Value) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of things")]
        let whole = |figure: f64| figure as u64;
        document[self.figure].as_f64().map_or(0, whole)
    }

    fn is_met(&self, document: &Value) -> bool {
        let value = self.value(document);
        match self.bound {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => (1..=most).contains(&value),
        }
    }

    fn explain(&self, document: &Value) -> String {
        let bound = match self.bound {
            Bound::AtLeast(least) => format!("at least {least}"),
            Bound::AtMost(most) => format!("at most {most}"),
        };
        let verdict = if self.is_met(document) { "as it should be" } else { "MISSED" };
        format!("{}: {}, {bound}: {verdict}", self.figure, self.value(document))
    }
}

/// A line for each.
pub fn lines(document: &Value) -> impl Iterator<Item = String> {
    TARGETS.iter().map(|target| target.explain(document))
}

/// The same for programs.
pub fn json(document: &Value) -> Value {
    let targets = TARGETS.iter().map(|target| {
        let (name, bound) = match target.bound {
            Bound::AtLeast(least) => ("at_least", least),
            Bound::AtMost(most) => ("at_most", most),
        };
        json!({ "figure": target.figure, name: bound, "met": target.is_met(document) })
    });
    targets.collect()
}

/// # Errors
/// When a figure is not what it must be.
pub fn check(document: &Value) -> Result<()> {
    let missed = TARGETS.iter().filter(|target| !target.is_met(document));
    let missed: Vec<_> = missed.map(|target| target.explain(document)).collect();
    ensure!(missed.is_empty(), "{}", missed.join("; "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_missing_or_beyond_its_bound_is_missed() {
        let mut document = json!({
            "http1_exchanges_per_s": 300_000.0, "grpc_calls_per_s": 200_000, "idle_connection_bytes": 1024,
            "idle_http2_connection_bytes_without_header_tables": 1, "open_http1_connections_mib": 128,
            "open_grpc_connections_mib": 128,
        });
        assert!(check(&document).is_ok());
        document["idle_connection_bytes"] = 1025.into();
        document["grpc_calls_per_s"] = Value::Null;
        let error = check(&document).expect_err("two are missed").to_string();
        assert!(error.contains("idle_connection_bytes: 1025, at most 1024: MISSED"), "{error}");
        assert!(error.contains("grpc_calls_per_s: 0, at least 200000: MISSED"), "{error}");
        assert_eq!(json(&document).as_array().map(Vec::len), Some(6));
    }
}
