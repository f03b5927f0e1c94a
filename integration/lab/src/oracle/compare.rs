//! Two readings of the same bytes, side by side.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use super::Seen;

/// One thing on which two decoders disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The exchange, as weft saw it; as tshark did where weft saw none.
    pub exchange: Seen,
    /// The field's name; `exchange` where one of them saw none at all.
    pub field: &'static str,
    /// What weft says, or the live weft.
    pub weft: String,
    /// What tshark says, or weft's replay.
    pub tshark: String,
}

/// What stands for an exchange that one of the two did not see.
pub const ABSENT: &str = "absent";
const PRESENT: &str = "present";

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exchange, field, weft, tshark } = self;
        write!(f, "{exchange}: {field}: weft {weft:.200}, tshark {tshark:.200}")
    }
}

/// Compares exchanges connection by connection, stream by stream, in the order in which they began.
pub fn compare(weft: &[Seen], tshark: &[Seen]) -> Vec<Difference> {
    let mut keys: BTreeMap<_, [Vec<&Seen>; 2]> = BTreeMap::new();
    for (side, seen) in [weft, tshark].into_iter().enumerate() {
        for exchange in seen {
            if let Some(of_side) = keys.entry(exchange.key()).or_default().get_mut(side) {
                of_side.push(exchange);
            }
        }
    }
    keys.into_values().flat_map(|[weft, tshark]| compare_stream(weft, tshark)).collect()
}

fn compare_stream(mut weft: Vec<&Seen>, mut tshark: Vec<&Seen>) -> Vec<Difference> {
    // Stable: pipelined requests of one segment began at the same time, and are in order already.
    weft.sort_by_key(|exchange| exchange.began);
    tshark.sort_by_key(|exchange| exchange.began);
    let pairs = weft.len().max(tshark.len());
    let both = (0..pairs).map(|at| (weft.get(at).copied(), tshark.get(at).copied()));
    both.flat_map(|(weft, tshark)| compare_exchange(weft, tshark)).collect()
}

fn compare_exchange(weft: Option<&Seen>, tshark: Option<&Seen>) -> Vec<Difference> {
    let (Some(one), Some(other)) = (weft, tshark) else {
        let Some(exchange) = weft.or(tshark) else { return Vec::new() };
        let there = |seen: Option<&Seen>| if seen.is_some() { PRESENT } else { ABSENT }.to_owned();
        let (weft, tshark) = (there(weft), there(tshark));
        return vec![Difference { exchange: exchange.clone(), field: "exchange", weft, tshark }];
    };
    let mut fields = Fields { exchange: one, differences: Vec::new() };
    fields.check("protocol", &one.protocol, &other.protocol);
    fields.check("method", &one.method, &other.method);
    fields.check("path", &one.path, &other.path);
    fields.check("authority", &one.authority, &other.authority);
    fields.check("status", &one.status, &other.status);
    fields.check("grpc_status", &one.grpc_status, &other.grpc_status);
    fields.check("reset", &one.reset, &other.reset);
    // What one of them does not measure cannot be compared.
    fields.check_known("request_body", one.request_body, other.request_body);
    fields.check_known("response_body", one.response_body, other.response_body);
    for (name, (one, other)) in
        ["request_end", "response_end"].into_iter().zip(one.ends.into_iter().zip(other.ends))
    {
        fields.check_known(name, one, other);
    }
    fields.differences
}

struct Fields<'a> {
    exchange: &'a Seen,
    differences: Vec<Difference>,
}

impl Fields<'_> {
    fn check_known(&mut self, field: &'static str, weft: Option<u64>, tshark: Option<u64>) {
        if weft.is_some() && tshark.is_some() {
            self.check(field, &weft, &tshark);
        }
    }

    fn check<T: PartialEq + Debug>(&mut self, field: &'static str, weft: &T, tshark: &T) {
        if weft != tshark {
            let (weft, tshark) = (format!("{weft:?}"), format!("{tshark:?}"));
            self.differences.push(Difference { exchange: self.exchange.clone(), field, weft, tshark });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(port: u16, began: u64, path: &str) -> Seen {
        let client = ([10, 0, 0, 1], port).into();
        Seen { path: path.to_owned(), ..Seen::begun(client, ([10, 0, 0, 2], 80).into(), 0, began) }
    }

    #[test]
    fn the_same_seen_in_another_order_is_the_same() {
        let one = [seen(1, 10, "/a"), seen(2, 5, "/c"), seen(1, 20, "/b")];
        let other = [seen(2, 6, "/c"), seen(1, 11, "/a"), seen(1, 21, "/b")];
        assert_eq!(compare(&one, &other), []);
    }

    #[test]
    fn what_one_did_not_see_is_a_difference() {
        let differences = compare(&[seen(1, 10, "/a")], &[seen(1, 10, "/a"), seen(1, 11, "/b")]);
        assert_eq!(differences.len(), 1);
        assert_eq!((differences[0].field, differences[0].weft.as_str()), ("exchange", ABSENT));
        assert_eq!(differences[0].exchange.path, "/b");
    }

    #[test]
    fn each_field_that_differs_is_named() {
        let one = Seen { status: Some(200), response_body: Some(3), ..seen(1, 1, "/a") };
        let other = Seen { status: Some(404), response_body: None, ..seen(1, 1, "/b") };
        let fields: Vec<_> = compare(&[one], &[other]).iter().map(|difference| difference.field).collect();
        assert_eq!(fields, ["path", "status"], "a body that tshark did not measure is not compared");
    }
}
