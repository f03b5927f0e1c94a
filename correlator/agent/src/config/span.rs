//! Lengths of time.
use serde::Deserialize;

/// In ns. Written with its unit: `500ms`, `5m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub u64);

/// In ns.
const UNITS: [(&str, u64); 4] =
    [("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number_of = |(unit, ns): (&str, u64)| Some((text.strip_suffix(unit)?.parse::<u64>().ok()?, ns));
        let span = UNITS.into_iter().find_map(number_of).and_then(|(number, ns)| number.checked_mul(ns));
        span.map(Self)
            .ok_or_else(|| format!("{text:?} is no length of time: 500ms, 30s, 5m or 1h, for example"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_unit() {
        let span = |text: &str| Span::try_from(text.to_owned()).map(|span| span.0);
        assert_eq!(span("500ms"), Ok(500_000_000));
        assert_eq!(span("30s"), Ok(30_000_000_000));
        assert_eq!((span("5m"), span("1h")), (Ok(300_000_000_000), Ok(3_600_000_000_000)));
        for text in ["", "5", "m", "-1s", "1.5s", "1d", "99999999999999h"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
