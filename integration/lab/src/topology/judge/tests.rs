use super::*;

/// A driver's request, which makes two calls, one of which makes another.
const LOG: [&str; 9] = [
    "C - /w/1",
    "R /w/1",
    "C /w/1 /s/1",
    "R /s/1",
    "C /w/1 /s/2",
    "R /s/2",
    "C /s/1 /m/1",
    "R /m/1",
    "C - /w/2",
];

fn truth(log: &[&str]) -> Truth {
    let mut truth = Truth::default();
    log.iter().for_each(|line| truth.line(line));
    truth
}

/// Both sides of a request whose client's parent is the server's side of `cause`.
fn pair(id: &str, cause: Option<&str>, evidence: &str, trace: &str) -> [Seen; 2] {
    let side = |side: &str, parent: Option<String>, evidence: &str| Seen {
        exchange_id: id.to_owned(),
        side: side.to_owned(),
        path: format!("{id}?query"),
        trace_id: trace.to_owned(),
        span_id: format!("{side} {id}"),
        parent_span_id: parent,
        evidence: evidence.to_owned(),
        ..Seen::default()
    };
    let client = side("client", cause.map(|cause| format!("server {cause}")), evidence);
    [client, side("server", Some(format!("client {id}")), "none")]
}

fn whole() -> Vec<Seen> {
    [
        pair("/w/1", None, "none", "t1"),
        pair("/s/1", Some("/w/1"), "same_goroutine", "t1"),
        pair("/s/2", Some("/w/1"), "context", "t1"),
        pair("/m/1", Some("/s/1"), "probe", "t1"),
    ]
    .concat()
}

fn verdict(seen: &[Seen]) -> Verdict {
    judge(&truth(&LOG[..8]), seen.iter())
}

fn counts(verdict: &Verdict) -> (u64, u64, u64) {
    (verdict.right, verdict.incomplete, verdict.wrong)
}

#[test]
fn a_whole_trace_is_right_and_rests_on_its_weakest_link() {
    let verdict = verdict(&whole());
    assert_eq!(counts(&verdict), (1, 0, 0), "{verdict:?}");
    assert_eq!(verdict.by_evidence, [("context".to_owned(), 1)].into());
    assert_eq!(verdict.links.values().sum::<u64>(), 3);
    assert_eq!(verdict.unseen, 0);
}

#[test]
fn a_request_that_causes_nothing_is_a_trace() {
    let seen = pair("/w/1", None, "none", "t1");
    let verdict = judge(&truth(&LOG[..2]), seen.iter());
    assert_eq!(counts(&verdict), (1, 0, 0));
    assert_eq!(verdict.by_evidence, [("none".to_owned(), 1)].into());
}

#[test]
fn a_missing_link_makes_it_incomplete() {
    let mut seen = whole();
    seen[4].parent_span_id = None;
    assert_eq!(counts(&verdict(&seen)), (0, 1, 0));
}

#[test]
fn so_does_a_side_that_was_not_seen() {
    for index in 0..8 {
        let mut seen = whole();
        seen.remove(index);
        let verdict = verdict(&seen);
        assert_eq!((counts(&verdict), verdict.unseen), ((0, 1, 0), 1), "{index}: {verdict:?}");
    }
}

#[test]
fn and_a_trace_id_that_is_not_the_causes() {
    let mut seen = whole();
    seen[4].trace_id = "t2".to_owned();
    seen[5].trace_id = "t2".to_owned();
    assert_eq!(counts(&verdict(&seen)), (0, 1, 0));
}

#[test]
fn a_link_to_another_request_is_wrong() {
    let mut seen = whole();
    seen[6].parent_span_id = Some("server /s/2".to_owned());
    let verdict = verdict(&seen);
    assert_eq!(counts(&verdict), (0, 0, 1));
    assert_eq!(verdict.wrong_links, [("probe".to_owned(), 1)].into());
    assert!(verdict.examples[0].contains("WRONG"), "{:?}", verdict.examples);
}

#[test]
fn so_is_a_link_to_nobody_that_was_seen() {
    let mut seen = whole();
    seen[6].parent_span_id = Some("of another time".to_owned());
    assert_eq!(counts(&verdict(&seen)), (0, 0, 1));
}

#[test]
fn a_drivers_request_has_no_parent_but_one_that_it_brought() {
    let mut seen = whole();
    seen[0].parent_span_id = Some("the driver's".to_owned());
    assert_eq!(counts(&verdict(&seen)), (0, 0, 1));
    seen[0].evidence = "header".to_owned();
    assert_eq!(counts(&verdict(&seen)), (1, 0, 0));
    seen[0].parent_span_id = Some("server /s/2".to_owned());
    assert_eq!(counts(&verdict(&seen)), (0, 0, 1));
}

#[test]
fn two_requests_under_one_trace_id_are_both_wrong() {
    let log = [LOG.as_slice(), &["R /w/2", "C /w/2 /s/3", "R /s/3"]].concat();
    let seen = [
        whole(),
        pair("/w/2", None, "none", "t2").to_vec(),
        pair("/s/3", Some("/w/2"), "probe", "t1").to_vec(),
    ];
    let verdict = judge(&truth(&log), seen.concat().iter());
    assert_eq!(counts(&verdict), (0, 0, 2), "{verdict:?}");
}

#[test]
fn what_was_given_up_and_never_came_is_not_missed() {
    let log = [&LOG[..8], &["C /w/1 /s/9", "X /s/9"]].concat();
    let truth = truth(&log);
    assert_eq!(truth.missing(1), None);
    assert_eq!(counts(&judge(&truth, whole().iter())), (1, 0, 0));
}

#[test]
fn what_an_earlier_run_gave_up_may_come_late() {
    let log = ["C - /w/0", "R /w/0", "C /w/0 /s/8", "X /s/8", "C /w/0 /s/9", "R /s/9"];
    let earlier = truth(&log).calls.into_keys().collect();
    let mut truth = truth(&[&LOG[..8], &["R /s/8", "X /s/9"]].concat());
    assert!(truth.missing(1).is_some());
    truth.without(&earlier);
    assert_eq!(truth.missing(1), None);
}

#[test]
fn a_log_is_whole_when_nothing_is_on_its_way() {
    assert_eq!(truth(&LOG[..8]).missing(1), None);
    assert!(truth(&LOG[..8]).missing(2).is_some());
    let missing = truth(&LOG[..7]).missing(1).unwrap_or_default();
    assert!(missing.contains("/m/1"), "it was not received: {missing}");
}
