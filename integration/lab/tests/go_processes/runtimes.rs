//! What the runtime counts, as weft reads it from memory and as the program itself says.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::json;
use weft_lab::Process;

use crate::node::Node;

const POLL: Duration = Duration::from_millis(50);

/// A line of `mesh runtime`.
#[derive(Debug, Default, Deserialize)]
struct Told {
    goroutines: u64,
    processors: u64,
    gc_cycles: u64,
    heap_goal: u64,
    heap_marked: u64,
    gc_pauses: Durations,
    schedule: Durations,
}

#[derive(Debug, Default, Deserialize)]
struct Durations {
    up_to: Vec<u64>,
    count: u64,
}

/// The bounds of both, in s as Prometheus writes them.
fn bounds() -> impl Iterator<Item = f64> {
    (0..14).map(|power| f64::from(256_u32) * 4_f64.powi(power) / 1e9)
}

struct Runtime {
    node: Node,
    process: Process,
}

impl Runtime {
    fn start() -> Result<Self> {
        let node = Node::new(json!({"go": {"probes": "off"}}))?;
        let process = node.start(node.mesh(), &["runtime"])?;
        node.settled(process.pid())?;
        Ok(Self { node, process })
    }

    /// What the program has said last.
    fn told(&self) -> Result<Told> {
        let text = self.process.stderr();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        serde_json::from_str(whole.lines().last().context("it has said nothing")?).context(text)
    }

    /// What the program says once its scheduler has counted more than this.
    fn told_with_more_than(&self, count: u64, end: Instant) -> Result<Told> {
        loop {
            match self.told() {
                Ok(told) if told.gc_cycles >= 7 && told.schedule.count > count => return Ok(told),
                told => ensure!(Instant::now() < end, "no more than {count}: {told:?}"),
            }
            std::thread::sleep(POLL);
        }
    }

    /// The same of what weft has read.
    fn read_with_more_than(&self, count: u64, end: Instant) -> Result<Durations> {
        loop {
            match self.histogram("go_schedule_duration_seconds") {
                Ok(read) if read.count > count => return Ok(read),
                read => ensure!(Instant::now() < end, "no more than {count}: {read:?}"),
            }
            std::thread::sleep(POLL);
        }
    }

    fn metric(&self, name: &str, label: &str) -> Result<Option<f64>> {
        let pod = "k8s_namespace_name=\"go\",k8s_pod_name=\"server\"";
        self.node.metric(&format!("{name}{{{label}{pod},process_pid=\"{}\"}}", self.process.pid()))
    }

    /// Cumulative counts of a histogram, and how many there were.
    fn histogram(&self, name: &str) -> Result<Durations> {
        let text = self.node.agent.get("/metrics")?.text();
        let own = format!("process_pid=\"{}\"", self.process.pid());
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with(name) && line.contains(&own)).collect();
        let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok());
        let bound = |line: &str| line.split_once("le=\"")?.1.split_once('"')?.0.parse::<f64>().ok();
        let bucket =
            |wanted: f64| lines.iter().find(|line| bound(line) == Some(wanted)).and_then(|line| value(line));
        let count =
            lines.iter().find(|line| line.starts_with(&format!("{name}_count"))).and_then(|line| value(line));
        let up_to = bounds().map(|bound| bucket(bound).with_context(|| format!("{bound}: {lines:?}")));
        Ok(Durations { up_to: up_to.collect::<Result<_>>()?, count: count.context("no count")? })
    }
}

#[test]
fn what_is_read_is_what_the_program_says() -> Result<()> {
    let runtime = Runtime::start()?;
    let end = Instant::now() + Duration::from_secs(60);
    // It is read every ten seconds, and the program rests: at some time both say the same.
    loop {
        let told = runtime.told().unwrap_or_default();
        let read =
            runtime.metric("go_goroutine_count", "")?.zip(runtime.metric("go_memory_gc_cycles_total", "")?);
        if told.goroutines > 0 && read == Some((told.goroutines as f64, told.gc_cycles as f64)) {
            break;
        }
        ensure!(Instant::now() < end, "{told:?} {read:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let told = runtime.told()?;
    assert!(told.goroutines > 40 && told.gc_cycles >= 7, "{told:?}");
    assert_eq!(runtime.metric("go_processor_limit", "")?, Some(told.processors as f64));
    assert_eq!(runtime.metric("go_memory_gc_goal_bytes", "")?, Some(told.heap_goal as f64));
    let live = runtime.metric("weft_go_memory_heap_live_bytes", "")?.context("no heap")?;
    assert!(told.heap_marked as f64 <= live && live <= told.heap_goal as f64, "{live} {told:?}");
    let pauses = runtime.histogram("go_memory_gc_pause_duration_seconds")?;
    assert_eq!((&pauses.up_to, pauses.count), (&told.gc_pauses.up_to, told.gc_pauses.count));
    assert!(pauses.count >= 2 * 7, "each collection stops the world twice: {pauses:?}");
    Ok(())
}

#[test]
fn a_histogram_that_grows_is_read_between_two_of_the_programs_own() -> Result<()> {
    let runtime = Runtime::start()?;
    let end = Instant::now() + Duration::from_secs(90);
    let before = runtime.told_with_more_than(0, end)?;
    // The counters are read one after the other, while they grow: only a reading that began behind `before` is no less. So the
    // first that is more does not count, but the one behind it.
    let first = runtime.read_with_more_than(before.schedule.count, end)?;
    let read = runtime.read_with_more_than(first.count, end)?;
    // And only what is said from now on is no less than that: not what is being said.
    let said = runtime.told()?.schedule.count;
    let next = runtime.told_with_more_than(said, end)?;
    let after = runtime.told_with_more_than(next.schedule.count, end)?;
    for ((before, read), after) in before.schedule.up_to.iter().zip(&read.up_to).zip(&after.schedule.up_to) {
        assert!(before <= read && read <= after, "{before} {read} {after}");
    }
    // The runtime measures one wait in eight (`gTrackingPeriod`).
    assert!(before.schedule.count > 0, "{before:?}");
    Ok(())
}
