use weft_abi::{LOSS_REASONS, LossReason};

use super::*;
use crate::{Ktime, VantageCounters, WorkloadUpdate, testing::pod};

fn kernel(netns: u64, bytes_seen: u64, bytes_unrecorded: u64) -> VantageCounters {
    let ingress = DirectionCount { segments: 1, bytes_seen, bytes_unrecorded };
    VantageCounters { netns, ifindex: 2, directions: [ingress, DirectionCount::default()] }
}

fn counters(vantages: &[VantageCounters]) -> KernelCounters {
    let mut losses = [0; LOSS_REASONS.len()];
    losses[LossReason::RingFullSockEvent as usize] = 1;
    losses[LossReason::Mptcp as usize] = 5;
    KernelCounters { bank: 0, vantages: vantages.to_vec(), losses }
}

fn account(netns: u64, ingress: ByteAccount) -> VantageAccount {
    VantageAccount { netns, ifindex: 2, directions: [ingress, ByteAccount::default()] }
}

fn pods(updates: &[WorkloadUpdate]) -> Pods {
    let mut pods = Pods::new(100);
    for update in updates {
        match update {
            WorkloadUpdate::Pod(pod) => pods.insert(pod.clone()),
            WorkloadUpdate::Gone { netns } => pods.mark_gone(*netns, Ktime(0)),
            WorkloadUpdate::Cluster(_) => None,
        };
    }
    pods
}

fn identity(balance: &Balance) -> i64 {
    let sum = balance.decoded + balance.opaque + balance.duplicate + balance.pending + balance.lost;
    sum as i64 + balance.unexplained
}

#[test]
fn every_byte_is_explained() {
    let mut reconciliation = Reconciliation::new(10);
    reconciliation.update(&counters(&[kernel(1, 1000, 0)]));
    let account = account(
        1,
        ByteAccount {
            recorded: 1000,
            decoded: 700,
            opaque: 100,
            duplicate: 150,
            pending: 50,
            ..ByteAccount::default()
        },
    );
    let report = reconciliation.report(&[account], &pods(&[pod(1, "orders")]));
    let [vantage] = &report.vantages[..] else { panic!("{report:?}") };
    assert_eq!((vantage.netns, vantage.ifindex, vantage.pod.as_deref()), (1, 2, Some("shop/orders")));
    assert_eq!((vantage.ingress.seen, vantage.ingress.lost, vantage.ingress.unexplained), (1000, 0, 0));
    assert_eq!((report.total, report.retired), (vantage.ingress, Balance::default()));
    assert!(report.kernel_counters);
}

#[test]
fn lost_bytes_are_counted_once_whoever_missed_them() {
    let mut reconciliation = Reconciliation::new(10);
    // Netns 1: the gap and the unwritten records are the same bytes. 2: the gap is not noticed yet.
    reconciliation.update(&counters(&[kernel(1, 1000, 300), kernel(2, 500, 200)]));
    let accounts = [
        account(1, ByteAccount { recorded: 700, decoded: 700, gap: 300, ..ByteAccount::default() }),
        account(
            2,
            ByteAccount { recorded: 300, decoded: 250, pending: 50, gap: 0, ..ByteAccount::default() },
        ),
    ];
    let report = reconciliation.report(&accounts, &pods(&[]));
    assert_eq!(report.vantages.iter().map(|row| row.ingress.lost).collect::<Vec<_>>(), [300, 200]);
    assert_eq!((report.total.lost, report.total.gap, report.total.unrecorded), (500, 300, 500));
    assert_eq!((report.total.seen, report.total.unexplained), (1500, 0));
}

#[test]
fn records_and_counters_that_disagree_are_not_hidden() {
    let mut reconciliation = Reconciliation::new(10);
    reconciliation.update(&counters(&[kernel(1, 100, 0), kernel(2, 100, 0)]));
    let accounts = [
        account(1, ByteAccount { recorded: 60, decoded: 60, ..ByteAccount::default() }),
        account(2, ByteAccount { recorded: 160, opaque: 160, ..ByteAccount::default() }),
    ];
    let report = reconciliation.report(&accounts, &pods(&[]));
    assert_eq!(report.vantages.iter().map(|row| row.ingress.unexplained).collect::<Vec<_>>(), [40, -60]);
    assert_eq!(identity(&report.total), report.total.seen as i64);
    assert_eq!((report.total.unexplained, report.unexplained_bytes()), (-20, 100));
}

#[test]
fn records_of_the_agent_before_are_seen_too() {
    let mut reconciliation = Reconciliation::new(10);
    reconciliation.update(&counters(&[kernel(1, 1000, 0)]));
    let account =
        account(1, ByteAccount { recorded: 1400, inherited: 400, decoded: 1400, ..ByteAccount::default() });
    let total = reconciliation.report(&[account], &pods(&[])).total;
    assert_eq!((total.seen, total.unexplained), (1400, 0));
}

#[test]
fn without_the_kernels_counters_seen_is_what_was_recorded() {
    let reconciliation = Reconciliation::new(10);
    let account = account(1, ByteAccount { recorded: 90, decoded: 90, gap: 10, ..ByteAccount::default() });
    let report = reconciliation.report(&[account], &pods(&[]));
    assert!(!report.kernel_counters);
    assert_eq!((report.vantages.len(), report.total.seen, report.total.unexplained), (1, 100, 0));
}

#[test]
fn a_vantage_that_is_gone_stays_in_the_totals() {
    let mut reconciliation = Reconciliation::new(10);
    let accounts = [
        account(1, ByteAccount { recorded: 700, decoded: 700, gap: 300, ..ByteAccount::default() }),
        account(2, ByteAccount { recorded: 50, decoded: 50, ..ByteAccount::default() }),
    ];
    let named = pods(&[pod(1, "orders"), pod(2, "gateway")]);
    reconciliation.update(&counters(&[kernel(1, 1000, 300), kernel(2, 50, 0)]));
    let before = reconciliation.report(&accounts, &named);
    reconciliation.update(&counters(&[kernel(2, 50, 0)]));
    assert_eq!(reconciliation.report(&accounts, &named), before);

    let after = reconciliation.report(&accounts, &pods(&[pod(2, "gateway")]));
    assert_eq!(after.total, before.total);
    assert_eq!(after.vantages.iter().map(|row| row.netns).collect::<Vec<_>>(), [2]);
    assert_eq!((after.retired.seen, after.retired.lost, after.retired.unexplained), (1000, 300, 0));
}

#[test]
fn past_the_limit_totals_still_balance() {
    let mut reconciliation = Reconciliation::new(1);
    let accounts: Vec<_> = (1..=3)
        .map(|netns| account(netns, ByteAccount { recorded: 100, decoded: 100, ..ByteAccount::default() }))
        .collect();
    for netns in 1..=3 {
        reconciliation.update(&counters(&[kernel(netns, 100, 0)]));
    }
    let report = reconciliation.report(&accounts, &pods(&[]));
    assert_eq!((report.total.seen, report.total.unexplained, report.total.segments), (300, 0, 3));
    assert_eq!((report.vantages.len(), report.retired.seen), (1, 200));
    assert_eq!(reconciliation.table().evicted, 2);
}

#[test]
fn losses_have_their_reasons_names() {
    let mut reconciliation = Reconciliation::new(10);
    reconciliation.update(&counters(&[]));
    let losses = reconciliation.losses();
    assert_eq!(losses.len(), LOSS_REASONS.len());
    assert!(losses.contains(&NamedCount { name: "ring_full_sock_event", count: 1 }));
    assert!(losses.contains(&NamedCount { name: "mptcp", count: 5 }));
}
