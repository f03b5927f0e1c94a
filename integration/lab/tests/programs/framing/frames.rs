//! DATA frames.

use weft_abi::{LossReason, MAX_CAPTURE};

use super::*;
use crate::packet::{ACK, FIN};

const SETTINGS: u8 = 4;
const PADDED: u8 = 8;

#[test]
fn nothing_is_skipped_before_the_place_was_found_right() -> Result<()> {
    let mut bench = Bench::new("frames-right")?;
    bench.want(WANT_FRAMES);
    // The end of a frame, and the next one.
    let first = [vec![b'x'; 40], data(100)].concat();
    assert_eq!(bench.pass(1000, &first)?, ["border 1040", "1000+149"]);
    assert_eq!(bench.pass(1149, &data(50))?, ["1149+59"], "user space is late, and has all bytes");
    // What it says of another place is of no use.
    bench.judge(WANT_FRAMES, 1000, true);
    bench.judge(WANT_FRAMES, 1041, false);
    assert_eq!(bench.pass(1208, &data(50))?, ["1208+59"]);
    bench.judge(WANT_FRAMES, 1040, true);
    assert_eq!(bench.pass(1267, &data(50))?, [""; 0]);
    assert_eq!(bench.pass(1326, &data(50))?, [""; 0]);
    assert_eq!(bench.set(false, None), ["frames 1267+118/2 100:2"]);
    Ok(())
}

#[test]
fn a_wrong_place_is_given_up() -> Result<()> {
    let mut bench = Bench::new("frames-wrong")?;
    bench.want(WANT_FRAMES);
    // What looks like a frame's header is within a payload.
    let deceiving = [header(4000, 0, 0, STREAM), vec![b'x'; 100]].concat();
    assert_eq!(bench.pass(1000, &[&[b'x'; 20][..], &deceiving].concat())?, ["border 1020", "1000+129"]);
    bench.judge(WANT_FRAMES, 1020, false);
    assert_eq!(bench.pass(1129, &data(50))?, ["border 1129", "1129+59"]);
    assert_eq!(bench.pass(1188, &data(50))?, ["1188+59"]);
    bench.judge(WANT_FRAMES, 1129, true);
    assert_eq!(bench.pass(1247, &data(50))?, [""; 0]);
    assert_eq!(bench.gathered(), ["frames 1247+59/1 50:1"]);
    Ok(())
}

#[test]
fn frames_go_over_the_ends_of_segments() -> Result<()> {
    let mut bench = Bench::new("frames-cut")?;
    let bytes: Vec<u8> = (0..20).flat_map(|_| data(300)).collect();
    for size in [1, 4, 9, 10, 308, 309, 310, 1400] {
        let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
        let (records, end) = bench.pass_all(begin, bytes.chunks(size))?;
        ensure!(records.is_empty(), "{size}: {records:?}");
        let segments = bytes.len().div_ceil(size);
        let expected = format!("frames {begin}+6180/{segments} 6000:20");
        assert_eq!(bench.gathered(), [expected.as_str()], "{size}");
        assert_eq!(bench.pass(end, &frame(5, 0, 1, STREAM))?, [format!("{end}+14")], "END_STREAM is wanted");
    }
    Ok(())
}

#[test]
fn a_run_says_in_what_it_ends() -> Result<()> {
    let mut bench = Bench::new("frames-within")?;
    let two = [data(100), data(200)].concat();
    for (taken, first, second) in [
        (5, "0:0 5 of a header", "300:2"),
        (50, "41:1 59 of 100 left", "259:1"),
        (109, "100:1", "200:1"),
        (110, "100:1 1 of a header", "200:1"),
        (117, "100:1 8 of a header", "200:1"),
        (118, "100:2 200 of 200 left", "200:0"),
    ] {
        let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
        assert_eq!(bench.pass(begin, &two[..taken])?, [""; 0]);
        assert_eq!(bench.gathered(), [format!("frames {begin}+{taken}/1 {first}")]);
        let behind = begin + taken as u32;
        assert_eq!(bench.pass(behind, &two[taken..])?, [""; 0]);
        assert_eq!(bench.gathered(), [format!("frames {behind}+{}/1 {second}", 318 - taken)]);
    }
    Ok(())
}

#[test]
fn what_is_no_plain_data_of_the_stream_is_recorded() -> Result<()> {
    let mut bench = Bench::new("frames-odd")?;
    let odd: [(&str, Vec<u8>); 6] = [
        ("END_STREAM", frame(30, 0, 1, STREAM)),
        ("padding", frame(30, 0, PADDED, STREAM)),
        ("another stream's DATA", frame(30, 0, 0, 3)),
        ("HEADERS", frame(30, 1, 4, 3)),
        ("SETTINGS", frame(30, SETTINGS, 0, 0)),
        ("an empty SETTINGS", frame(0, SETTINGS, 1, 0)),
    ];
    for (name, odd) in odd {
        let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
        // In the middle of a segment, and over the end of one.
        let bytes = [data(50), odd.clone(), data(50), data(60)].concat();
        let len = odd.len() as u32;
        let records = bench.pass(begin, &bytes)?;
        let rest = format!("{}+{}", begin + 59, len + 59 + 69);
        ensure!(records == [format!("frames {begin}+59/1 50:1"), rest], "{name}: {records:?}");
        let next = begin + bytes.len() as u32;
        let (records, end) = bench.pass_all(next, [&data(50)[..], &odd[..7]])?;
        ensure!(records.is_empty(), "{name}: {records:?}");
        let records = bench.pass(end, &[&odd[7..], &data(70)].concat())?;
        let run = format!("frames {next}+66/2 50:1 7 of a header");
        ensure!(records == [run, format!("{end}+{}", len - 7 + 79)], "{name}: {records:?}");
        let behind = end + len - 7 + 79;
        ensure!(bench.pass(behind, &data(80))?.is_empty(), "{name}");
        assert_eq!(bench.gathered(), [format!("frames {behind}+89/1 80:1")]);
    }
    Ok(())
}

#[test]
fn what_cannot_be_a_frame_is_none() -> Result<()> {
    let mut bench = Bench::new("frames-none")?;
    for (name, header) in [
        ("a type that nobody knows", header(100, 0x42, 0, STREAM)),
        ("longer than any", header((1 << 24) - 1, 0, 0, STREAM)),
        ("longer than any, of another kind", header(MAX_FRAME + 1, SETTINGS, 0, 0)),
    ] {
        let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
        let bytes = [&data(50), &header[..], &[b'x'; 100]].concat();
        let records = bench.pass(begin, &bytes)?;
        ensure!(
            records == [format!("frames {begin}+59/1 50:1"), format!("{}+109", begin + 59)],
            "{name}: {records:?}"
        );
        // Until user space says otherwise, all is recorded.
        let next = begin + bytes.len() as u32;
        ensure!(bench.pass(next, &[b'x'; 200])? == [format!("{next}+200")], "{name}");
        let next = next + 200;
        ensure!(bench.pass(next, &data(10))? == [format!("border {next}"), format!("{next}+19")], "{name}");
    }
    // Where it was agreed on, it is one.
    bench.framing.max_frame = (1 << 24) - 1;
    let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
    assert_eq!(bench.pass(begin, &[&header((1 << 24) - 1, 0, 0, STREAM)[..], b"abc"].concat())?, [""; 0]);
    let expected = format!("frames {begin}+12/1 3:1 16777212 of 16777215 left");
    assert_eq!(bench.gathered(), [expected]);
    Ok(())
}

#[test]
fn more_frames_than_a_program_reads_are_recorded() -> Result<()> {
    let mut bench = Bench::new("frames-many")?;
    let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
    let empty = data(0).repeat(300);
    let records = bench.pass(begin, &empty)?;
    let run = format!("frames {begin}+1152/1 0:128");
    assert_eq!(records, [run, format!("{}+{}", begin + 1152, empty.len() - 1152)]);
    // It knows no more where it is, and begins anew.
    let next = begin + empty.len() as u32;
    assert_eq!(bench.pass(next, &data(10))?, [format!("border {next}"), format!("{next}+19")]);
    Ok(())
}

#[test]
fn what_is_out_of_order_is_recorded_and_followed() -> Result<()> {
    let mut bench = Bench::new("frames-order")?;
    let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
    assert_eq!(bench.pass(begin, &data(91))?, [""; 0]);
    // Sent again: as a whole, and together with what is new.
    assert_eq!(bench.pass(begin, &data(91))?, [format!("frames {begin}+100/1 91:1"), format!("{begin}+100")]);
    let both = [data(91), data(91)].concat();
    assert_eq!(bench.pass(begin, &both)?, [format!("{begin}+200")]);
    let next = begin + 200;
    assert_eq!(bench.pass(next, &data(2000)[..109])?, [""; 0]);
    // Bytes of the payload are missing: where the frame ends is known nevertheless.
    let behind = next + 1109;
    let records = bench.pass(behind, &[b'x'; 100])?;
    let run = format!("frames {next}+109/1 100:1 1900 of 2000 left");
    assert_eq!(records, [run, format!("{behind}+100")]);
    assert_eq!(bench.pass(behind + 100, &[&[b'x'; 800][..], &data(91)].concat())?, [""; 0]);
    assert_eq!(bench.gathered(), [format!("frames {}+900/1 891:1", behind + 100)]);
    // They come late.
    assert_eq!(bench.pass(next + 109, &[b'x'; 1000])?, [format!("{}+1000", next + 109)]);
    // A header is missing: it is not.
    let lost = behind + 1000 + 50;
    assert_eq!(bench.pass(lost, &[b'x'; 100])?, [format!("{lost}+100")]);
    assert_eq!(
        bench.pass(lost + 100, &data(91))?,
        [format!("border {}", lost + 100), format!("{}+100", lost + 100)]
    );
    Ok(())
}

#[test]
fn the_end_of_the_stream_ends_the_run() -> Result<()> {
    let mut bench = Bench::new("frames-fin")?;
    let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
    assert_eq!(bench.pass(begin, &data(91))?, [""; 0]);
    let records = bench.pass_as(Tcp::new(begin + 100, 0).flags(FIN | ACK), &data(91))?;
    assert_eq!(records, [format!("frames {begin}+100/1 91:1"), format!("{}+100", begin + 100)]);
    Ok(())
}

#[test]
fn sequence_numbers_wrap_within_a_frame() -> Result<()> {
    let mut bench = Bench::new("frames-wrap")?;
    let begin = bench.begin(WANT_FRAMES, 69_u32.wrapping_neg(), &data(10))?;
    assert_eq!(begin, 50_u32.wrapping_neg());
    assert_eq!(bench.pass_all(begin, [&data(91)[..], &data(91)[..]])?, (vec![], 150));
    assert_eq!(bench.gathered(), [format!("frames {begin}+200/2 182:2")]);
    Ok(())
}

#[test]
fn a_silent_agent_leaves_a_hole_and_no_wrong_place() -> Result<()> {
    let mut bench = Bench::new("frames-silent")?;
    let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
    assert_eq!(bench.pass(begin, &data(91))?, [""; 0]);
    bench.programs.kernel.beat(0)?;
    assert_eq!(bench.pass(begin + 100, &data(91))?, [""; 0]);
    assert_eq!(bench.programs.lost(LossReason::NoAgentSegment), 1);
    bench.programs.kernel.beat(u64::MAX)?;
    let behind = begin + 200;
    let records = bench.pass(behind, &data(91))?;
    let run = format!("frames {begin}+100/1 91:1");
    assert_eq!(records, [run, format!("border {behind}"), format!("{behind}+100")]);
    Ok(())
}

#[test]
fn a_run_of_frames_is_of_one_bank() -> Result<()> {
    let mut bench = Bench::new("frames-bank")?;
    let begin = bench.begin(WANT_FRAMES, 1000, &data(10))?;
    assert_eq!(bench.pass(begin, &data(91))?, [""; 0]);
    bench.programs.kernel.take_charge(u64::MAX, MAX_CAPTURE as u32)?;
    let records = bench.pass(begin + 100, &data(91))?;
    assert_eq!(records, [format!("frames {begin}+100/1 91:1"), format!("{}+100", begin + 100)]);
    assert_eq!(bench.pass(begin + 200, &data(91))?, [""; 0]);
    Ok(())
}

#[test]
fn it_goes_on_from_where_user_space_is() -> Result<()> {
    let mut bench = Bench::new("frames-place")?;
    bench.want_at(WANT_FRAMES, 1000, 50);
    // The first segment may have passed before.
    let first = [vec![b'x'; 50], data(91)].concat();
    assert_eq!(bench.pass(1000, &first)?, ["border 1050", "1000+150"]);
    assert_eq!(bench.pass(1150, &data(91))?, ["1150+100"]);
    bench.judge(WANT_FRAMES, 1050, true);
    assert_eq!(bench.pass(1250, &data(91))?, [""; 0]);
    assert_eq!(bench.set(false, None), ["frames 1250+100/1 91:1"]);
    // User space was late: what passes is behind that place, and nothing is known of it.
    bench.want_at(WANT_FRAMES, 1000, 50);
    assert_eq!(bench.pass(1250, &data(91))?, ["border 1250", "1250+100"]);
    Ok(())
}
