//! Which probes of a binary are on: as many as keep their measured cost within the budget, the most valuable first. What was
//! too dear is tried again later, and each time that it still is, later by twice as much: nothing flaps.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::probe::Probe;

/// Less CPU time than this says nothing about a share: /proc counts in ticks of 10 ms.
const MEASURABLE: Duration = Duration::from_millis(200);
/// A measurement begins anew after so long: what was long ago must not hide what is now.
const WINDOW: Duration = Duration::from_secs(10);
/// When what was too dear is tried again, the first time and at the latest.
const FIRST_RETRY: Duration = Duration::from_secs(60);
const LAST_RETRY: Duration = Duration::from_secs(3600);

/// What was measured of the processes of a binary, in the time since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// Their CPU time, the probes' included.
    pub cpu: Duration,
    /// Of this, the time spent in probes.
    pub probes: BTreeMap<Probe, Duration>,
}

/// Whether a probe is on, and why not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// It is on.
    On,
    /// Its cost was this share of the processes' own CPU time, more than was left of the budget.
    TooDear {
        /// 0.02 is 2 %; infinite where the probes took all the time that was measured.
        share: f64,
        /// When it is tried again.
        retry: Instant,
    },
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Attach it.
    On(Probe),
    /// Detach it: its share.
    Off(Probe, f64),
}

/// Keeps the account of one binary.
pub struct Governor {
    /// The most that the probes may add; none: whatever they cost.
    budget: Option<f64>,
    /// In the order of their value.
    probes: Vec<Account>,
    spent: Spent,
    begun: Instant,
}

struct Account {
    probe: Probe,
    state: State,
    retry_after: Duration,
}

impl Governor {
    /// All of `probes` are on, in the hope that they fit: what a process does is not known before it does it.
    pub fn new(budget: Option<f64>, probes: impl IntoIterator<Item = Probe>, now: Instant) -> Self {
        let probes = probes.into_iter().map(Account::on).collect();
        Self { budget, probes, spent: Spent::default(), begun: now }
    }

    /// One more, of less value than all others.
    pub fn add(&mut self, probe: Probe) {
        self.probes.push(Account::on(probe));
    }

    /// One less.
    pub fn remove(&mut self, probe: Probe) {
        self.probes.retain(|account| account.probe != probe);
        self.spent.probes.remove(&probe);
    }

    /// Those that are on.
    pub fn on(&self) -> impl Iterator<Item = Probe> {
        self.probes.iter().filter(|account| account.state == State::On).map(|account| account.probe)
    }

    /// Whether one is to be attached.
    pub fn is_on(&self, probe: Probe) -> bool {
        self.state(probe) == Some(State::On)
    }

    /// What is known of one; nothing where it is not governed.
    pub fn state(&self, probe: Probe) -> Option<State> {
        self.probes.iter().find(|account| account.probe == probe).map(|account| account.state)
    }

    /// The processes that were measured are gone, or others came: what was measured is of others.
    pub fn begin(&mut self, now: Instant) {
        (self.spent, self.begun) = (Spent::default(), now);
    }

    /// Takes a measurement into account. Gives what is to be turned on or off.
    pub fn measured(&mut self, spent: Spent, now: Instant) -> Vec<Change> {
        let Some(budget) = self.budget else { return Vec::new() };
        self.spent.add(spent);
        let mut changes = Vec::new();
        if self.spent.cpu >= MEASURABLE {
            self.turn_off_what_does_not_fit(budget, now, &mut changes);
        }
        self.turn_on_what_may_fit_by_now(now, &mut changes);
        if !changes.is_empty() || now.saturating_duration_since(self.begun) >= WINDOW {
            self.begin(now);
        }
        changes
    }

    /// In the order of their value as much as fits: a dear one gives way, a cheap one behind it may stay.
    fn turn_off_what_does_not_fit(&mut self, budget: f64, now: Instant, changes: &mut Vec<Change>) {
        let mut left = budget;
        for account in self.probes.iter_mut().filter(|account| account.state == State::On) {
            let share = self.spent.share(account.probe);
            if share <= left {
                left -= share;
                continue;
            }
            account.state = State::TooDear { share, retry: now + account.retry_after };
            account.retry_after = (account.retry_after * 2).min(LAST_RETRY);
            changes.push(Change::Off(account.probe, share));
        }
    }

    fn turn_on_what_may_fit_by_now(&mut self, now: Instant, changes: &mut Vec<Change>) {
        for account in &mut self.probes {
            if let State::TooDear { retry, .. } = account.state
                && retry <= now
            {
                account.state = State::On;
                changes.push(Change::On(account.probe));
            }
        }
    }
}

impl Account {
    fn on(probe: Probe) -> Self {
        Self { probe, state: State::On, retry_after: FIRST_RETRY }
    }
}

impl Spent {
    fn add(&mut self, more: Self) {
        self.cpu += more.cpu;
        for (probe, more) in more.probes {
            *self.probes.entry(probe).or_default() += more;
        }
    }

    /// The probe's share of the CPU time without any: what the processes would have used alone.
    fn share(&self, probe: Probe) -> f64 {
        let own = self.cpu.saturating_sub(self.probes.values().sum());
        let spent = self.probes.get(&probe).copied().unwrap_or_default();
        if spent.is_zero() { 0.0 } else { spent.as_secs_f64() / own.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::group::{GROUPS, Group};

    const SECOND: Duration = Duration::from_secs(1);

    /// A second of CPU time, and of it so many milliseconds for each group.
    fn second(milliseconds: [u64; GROUPS]) -> Spent {
        Spent { cpu: SECOND, probes: each(milliseconds) }
    }

    fn each(milliseconds: [u64; GROUPS]) -> BTreeMap<Probe, Duration> {
        all().zip(milliseconds.map(Duration::from_millis)).collect()
    }

    fn all() -> impl Iterator<Item = Probe> {
        Group::ALL.into_iter().map(Probe::Group)
    }

    fn governor(budget: f64) -> (Governor, Instant) {
        let start = Instant::now();
        (Governor::new(Some(budget), all(), start), start)
    }

    fn off(changes: &[Change]) -> Vec<Group> {
        changes
            .iter()
            .map(|change| match change {
                Change::Off(Probe::Group(group), _) => *group,
                _ => panic!("{change:?}"),
            })
            .collect()
    }

    #[test]
    fn what_fits_stays_on() {
        let (mut governor, start) = governor(0.02);
        assert_eq!(governor.measured(second([9, 8, 0, 1, 0, 0]), start + SECOND), []);
        assert!(governor.on().eq(all()));
    }

    #[test]
    fn the_least_valuable_give_way_first_and_cheap_ones_stay() {
        let (mut governor, start) = governor(0.02);
        let changes = governor.measured(second([9, 20, 0, 1, 0, 100]), start + SECOND);
        assert_eq!(off(&changes), [Group::Serve, Group::Sched]);
        assert!(governor.on().eq([Group::Call, Group::Create, Group::Gc, Group::Assist].map(Probe::Group)));
        assert!(
            matches!(governor.state(Probe::Group(Group::Sched)), Some(State::TooDear { share, .. }) if share > 0.1 && share < 0.2)
        );
    }

    #[test]
    fn the_share_is_of_what_the_processes_would_use_alone() {
        let (mut governor, start) = governor(0.5);
        let changes = governor.measured(second([400, 0, 0, 0, 0, 0]), start + SECOND);
        assert!(
            matches!(changes[..], [Change::Off(Probe::Group(Group::Call), share)] if (share - 2.0 / 3.0).abs() < 1e-9)
        );
    }

    #[test]
    fn probes_that_took_all_the_time_do_not_fit_any_budget() {
        let (mut governor, start) = governor(1.0);
        let changes = governor.measured(second([0, 0, 0, 0, 0, 3000]), start + SECOND);
        assert_eq!(changes, [Change::Off(Probe::Group(Group::Sched), f64::INFINITY)]);
    }

    #[test]
    fn little_time_says_nothing_until_it_adds_up() {
        let (mut governor, start) = governor(0.02);
        let tick = Spent { cpu: Duration::from_millis(50), probes: each([10; GROUPS]) };
        for seconds in 1..4 {
            assert_eq!(governor.measured(tick.clone(), start + seconds * SECOND), []);
        }
        assert_eq!(off(&governor.measured(tick, start + 4 * SECOND)), Group::ALL);
    }

    #[test]
    fn what_was_too_dear_is_tried_again_ever_more_rarely() {
        let (mut governor, start) = governor(0.02);
        let mut now = start;
        let mut trials = Vec::new();
        while now < start + 3 * LAST_RETRY {
            now += SECOND;
            let dear = if governor.state(Probe::Group(Group::Sched)) == Some(State::On) { 900 } else { 0 };
            let changes = governor.measured(second([1, 1, 0, 0, 0, dear]), now);
            trials.extend(
                changes.contains(&Change::On(Probe::Group(Group::Sched))).then(|| (now - start).as_secs()),
            );
        }
        assert!(trials.windows(2).all(|pair| pair[1] - pair[0] <= LAST_RETRY.as_secs() + 2));
        assert_eq!(trials[..3], [61, 182, 423], "{trials:?}");
        assert!(trials.len() < 12, "{trials:?}");
    }

    #[test]
    fn what_is_cheap_by_now_stays_on() {
        let (mut governor, start) = governor(0.02);
        governor.measured(second([0, 900, 0, 0, 0, 0]), start + SECOND);
        let retry = start + SECOND + FIRST_RETRY;
        assert_eq!(governor.measured(second([0; GROUPS]), retry), [Change::On(Probe::Group(Group::Serve))]);
        assert_eq!(governor.measured(second([0, 10, 0, 0, 0, 0]), retry + SECOND), []);
        assert!(governor.on().eq(all()));
    }

    #[test]
    fn without_a_budget_everything_stays_on() {
        let start = Instant::now();
        let mut governor = Governor::new(None, all(), start);
        assert_eq!(governor.measured(second([100, 100, 0, 100, 100, 900]), start + SECOND), []);
        assert!(governor.on().eq(all()));
    }

    #[test]
    fn a_budget_of_nothing_allows_what_costs_nothing() {
        let (mut governor, start) = governor(0.0);
        assert_eq!(off(&governor.measured(second([1, 0, 0, 0, 0, 0]), start + SECOND)), [Group::Call]);
    }

    #[test]
    fn a_function_that_is_called_too_often_gives_way_alone() {
        let (mut governor, start) = governor(0.02);
        let [dear, cheap] = [Probe::Function(0), Probe::Function(1)];
        governor.add(dear);
        governor.add(cheap);
        let mut spent = second([9, 0, 0, 0, 0, 0]);
        spent.probes.extend([(dear, Duration::from_millis(30)), (cheap, Duration::from_millis(1))]);
        let changes = governor.measured(spent, start + SECOND);
        assert!(matches!(changes[..], [Change::Off(probe, _)] if probe == dear), "{changes:?}");
        governor.remove(dear);
        assert_eq!((governor.state(dear), governor.state(cheap)), (None, Some(State::On)));
    }
}
