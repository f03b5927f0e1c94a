//! WINDOW_UPDATE, and windows that are used up and opened again: how long they were says both directions' records, so a run
//! ends there.

use super::*;

const WINDOW_UPDATE: u8 = 8;
const SETTINGS: u8 = 4;
/// Sequence number where the other direction begins.
const REPLY: u32 = 70_000;

fn update(stream: u32, by: u32) -> Vec<u8> {
    [&header(4, WINDOW_UPDATE, 0, stream)[..], &by.to_be_bytes()].concat()
}

/// Both directions are read; gives where they go on.
fn begin(bench: &mut Bench, limits: [i32; 2]) -> Result<(u32, u32)> {
    bench.framing.limits = limits;
    bench.set(true, None);
    let data = bench.begin(WANT_FRAMES, 1000, &data(10))?;
    bench.want(WANT_UPDATES);
    let records = bench.reply(REPLY, &update(0, 10))?;
    ensure!(records == [format!("border {REPLY}"), format!("{REPLY}+13")], "{records:?}");
    bench.judge(WANT_UPDATES, REPLY, true);
    Ok((data, REPLY + 13))
}

#[test]
fn updates_are_counted_for_the_connection_and_the_stream() -> Result<()> {
    let mut bench = Bench::new("windows-count")?;
    let (_, reply) = begin(&mut bench, [10_000, 10_000])?;
    let bytes = [update(0, 500), update(STREAM, 70), update(0, 1)].concat();
    assert_eq!(bench.reply(reply, &bytes)?, [""; 0]);
    assert_eq!(bench.gathered(), [format!("updates {reply}+39/1 501:70")]);
    // What is another stream's, or no update, is wanted, and all behind it in its segment.
    for odd in [update(3, 5), frame(8, 6, 0, 0), frame(20, 1, 4, 3)] {
        let (_, reply) = begin(&mut bench, [10_000, 10_000])?;
        let records = bench.reply(reply, &[&update(0, 5)[..], &odd, &update(0, 6)].concat())?;
        let run = format!("updates {reply}+13/1 5:0");
        assert_eq!(records, [run, format!("{}+{}", reply + 13, odd.len() + 13)]);
        let next = reply + 26 + odd.len() as u32;
        assert_eq!(bench.reply(next, &update(0, 7))?, [""; 0]);
        assert_eq!(bench.gathered(), [format!("updates {next}+13/1 7:0")]);
    }
    Ok(())
}

#[test]
fn a_run_ends_where_a_window_is_used_up_or_opened() -> Result<()> {
    let mut bench = Bench::new("windows-used")?;
    // By the frames before 10 of each are used, and 10 of the connection's are opened again.
    let (seq, reply) = begin(&mut bench, [200, 300])?;
    assert_eq!(bench.pass(seq, &data(91))?, [""; 0]);
    assert_eq!(bench.pass(seq + 100, &data(109))?, [format!("frames {seq}+218/2 200:2 windows 1")]);
    // One byte is enough; what comes behind it does not open it again.
    assert_eq!(bench.reply(reply, &update(0, 1))?, [format!("updates {reply}+13/1 1:0 windows 1")]);
    assert_eq!(bench.reply(reply + 13, &update(0, 1000))?, [""; 0]);
    let seq = seq + 218;
    assert_eq!(bench.pass(seq, &data(90))?, [format!("frames {seq}+99/1 90:1 windows 2")]);
    let opened = format!("updates {}+26/2 1000:5 windows 2", reply + 13);
    assert_eq!(bench.reply(reply + 26, &update(STREAM, 5))?, [opened]);
    Ok(())
}

#[test]
fn nothing_is_skipped_while_the_other_direction_is_not_read() -> Result<()> {
    let mut bench = Bench::new("windows-both")?;
    let (seq, reply) = begin(&mut bench, [1000, 1000])?;
    assert_eq!(bench.pass(seq, &data(91))?, [""; 0]);
    // Settings may change windows: only user space knows by how much.
    assert_eq!(bench.reply(reply, &frame(6, SETTINGS, 0, 0))?, [format!("{reply}+15")]);
    let records = bench.pass(seq + 100, &data(91))?;
    assert_eq!(records, [format!("frames {seq}+100/1 91:1"), format!("{}+100", seq + 100)]);
    // It is read again from another place, which is not found right yet.
    let next = reply + 15;
    assert_eq!(bench.reply(next, &update(0, 1))?, [format!("border {next}"), format!("{next}+13")]);
    assert_eq!(bench.pass(seq + 200, &data(91))?, [format!("{}+100", seq + 200)]);
    bench.judge(WANT_UPDATES, next, true);
    assert_eq!(bench.pass(seq + 300, &data(91))?, [""; 0]);
    // Of a connection whose windows nobody knows, it does not matter.
    bench.framing.limits = [NO_LIMIT; 2];
    bench.set(true, None);
    let seq = bench.begin(WANT_FRAMES, 1000, &data(10))?;
    assert_eq!(bench.pass(seq, &data(91))?, [""; 0]);
    Ok(())
}

#[test]
fn half_an_update_is_none() -> Result<()> {
    let mut bench = Bench::new("windows-half")?;
    let (_, reply) = begin(&mut bench, [1000, 1000])?;
    assert_eq!(
        bench.reply(reply, &[&update(0, 1)[..], &update(0, 2)[..11]].concat())?,
        [format!("updates {reply}+13/1 1:0"), format!("{}+11", reply + 13)]
    );
    let next = reply + 24;
    assert_eq!(bench.reply(next, &update(0, 2)[11..])?, [format!("{next}+2")]);
    assert_eq!(
        bench.reply(next + 2, &update(0, 3))?,
        [format!("border {}", next + 2), format!("{}+13", next + 2)]
    );
    Ok(())
}

#[test]
fn a_hostile_update_overflows_nothing() -> Result<()> {
    let mut bench = Bench::new("windows-much")?;
    let (_, reply) = begin(&mut bench, [1000, 1000])?;
    let most = update(0, u32::MAX >> 1);
    assert_eq!(bench.reply(reply, &most)?, [""; 0]);
    let (mut records, mut next) = (Vec::new(), reply + 13);
    for _ in 0..4 {
        records.extend(bench.reply(next, &most)?);
        next += 13;
    }
    records.extend(bench.gathered());
    let opened: u64 = records
        .iter()
        .filter_map(|word| {
            word.strip_prefix("updates ")?.split(' ').nth(1)?.split(':').next()?.parse::<u64>().ok()
        })
        .sum();
    let recorded = records.iter().filter(|word| !word.starts_with("updates ")).count() as u64;
    assert_eq!(opened + recorded * u64::from(u32::MAX >> 1), 5 * u64::from(u32::MAX >> 1), "{records:?}");
    Ok(())
}
