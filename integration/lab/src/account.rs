//! The account of every byte as `/api/v1/loss` shows it: of each vantage, in each direction.

use serde_json::Value;

/// One direction of one vantage. Bytes of TCP payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `namespace/name ifindex direction`; `retired` for what is no longer listed.
    pub of: String,
    /// The kernel programs' count of segments.
    pub segments: u64,
    /// The kernel programs' own count.
    pub seen: u64,
    /// Of messages.
    pub decoded: u64,
    /// Of what is no message.
    pub opaque: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Waiting for bytes before them.
    pub pending: u64,
    /// Missing in the sequence numbers of connections.
    pub gap: u64,
    /// In segments of which the kernel could write no record.
    pub unrecorded: u64,
    /// What the agent gives as lost.
    pub lost: u64,
    /// What the agent gives as unexplained.
    pub unexplained: i64,
}

impl Account {
    /// Whether every byte has its place for good. Counted here once more: the agent's own sums are not believed.
    pub fn is_settled(&self) -> bool {
        let Self {
            seen,
            decoded,
            opaque,
            duplicate,
            pending,
            gap,
            unrecorded,
            lost,
            unexplained,
            of: _,
            segments: _,
        } = self;
        let adds_up = *seen == decoded + opaque + duplicate + lost;
        adds_up && (*pending, *unexplained) == (0, 0) && lost == gap.max(unrecorded)
    }

    fn read(of: String, balance: &Value) -> Self {
        let count = |name: &str| balance[name].as_u64().unwrap_or(u64::MAX / 16);
        Self {
            of,
            segments: count("segments"),
            seen: count("seen"),
            decoded: count("decoded"),
            opaque: count("opaque"),
            duplicate: count("duplicate"),
            pending: count("pending"),
            gap: count("gap"),
            unrecorded: count("unrecorded"),
            lost: count("lost"),
            unexplained: balance["unexplained"].as_i64().unwrap_or(i64::MIN),
        }
    }
}

/// The accounts of an answer of `/api/v1/loss`. One that is not there does not add up.
pub fn read(answer: &Value) -> Vec<Account> {
    let bytes = &answer["bytes"];
    let mut accounts = Vec::new();
    for vantage in bytes["vantages"].as_array().into_iter().flatten() {
        let name = vantage["pod"].as_str().map_or_else(|| vantage["netns"].to_string(), str::to_owned);
        for direction in ["ingress", "egress"] {
            let of = format!("{name} {} {direction}", vantage["ifindex"]);
            accounts.push(Account::read(of, &vantage[direction]));
        }
    }
    accounts
}

/// Those in which a byte has no place, the sum of all, and what is no longer listed, which is a sum of directions that
/// balanced each for itself.
pub fn unsettled(answer: &Value) -> Vec<Account> {
    let accounts = read(answer);
    let sums = ["retired", "total"].map(|sum| Account::read(sum.to_owned(), &answer["bytes"][sum]));
    let mut unsettled: Vec<_> = accounts.iter().filter(|account| !account.is_settled()).cloned().collect();
    unsettled.extend(sums.iter().filter(|sum| !is_settled_sum(sum)).cloned());
    let [retired, total] = &sums;
    let seen = accounts.iter().map(|account| account.seen).sum::<u64>() + retired.seen;
    if seen != total.seen {
        unsettled.push(Account { of: format!("a total of {seen} seen"), ..total.clone() });
    }
    unsettled
}

/// The larger of gap and unrecorded is taken direction by direction, not of the sums.
fn is_settled_sum(sum: &Account) -> bool {
    let larger = Account { gap: sum.lost, unrecorded: sum.lost, ..sum.clone() };
    larger.is_settled() && sum.lost >= sum.gap.max(sum.unrecorded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn balance(seen: u64, decoded: u64, pending: u64, lost: u64, unexplained: i64) -> Value {
        json!({
            "seen": seen, "decoded": decoded, "opaque": 0, "duplicate": 0, "pending": pending,
            "gap": lost, "unrecorded": 0, "lost": lost, "unexplained": unexplained,
        })
    }

    fn answer(ingress: Value, egress: Value, total: Value) -> Value {
        let vantage = json!({"netns": 1, "ifindex": 2, "pod": "a/b", "ingress": ingress, "egress": egress});
        json!({"bytes": {"total": total, "vantages": [vantage], "retired": balance(0, 0, 0, 0, 0)}})
    }

    #[test]
    fn directions_that_make_up_for_each_other_do_not_add_up() {
        let fine = answer(balance(9, 7, 0, 2, 0), balance(5, 5, 0, 0, 0), balance(14, 12, 0, 2, 0));
        assert_eq!(unsettled(&fine), []);
        let crossed = answer(balance(9, 9, 2, 0, -2), balance(5, 3, 0, 0, 2), balance(14, 12, 2, 0, 0));
        let names: Vec<_> = unsettled(&crossed).into_iter().map(|account| account.of).collect();
        assert_eq!(names, ["a/b 2 ingress", "a/b 2 egress", "total"]);
    }

    #[test]
    fn what_is_not_there_does_not_add_up() {
        assert_eq!(unsettled(&json!({})).len(), 2);
        let total_of_more = answer(balance(9, 9, 0, 0, 0), balance(5, 5, 0, 0, 0), balance(15, 15, 0, 0, 0));
        assert_eq!(unsettled(&total_of_more).len(), 1);
    }
}
