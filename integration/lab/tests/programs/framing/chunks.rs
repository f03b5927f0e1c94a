//! Chunked transfer coding.

use super::*;

#[test]
fn lines_go_over_the_ends_of_segments() -> Result<()> {
    let mut bench = Bench::new("chunks-cut")?;
    let bytes: Vec<u8> = (0..20).flat_map(|_| chunk(300, ";a=b")).collect();
    for size in [1, 2, 3, 5, 7, 16, 17, 311, 1400] {
        let begin = bench.begin(WANT_CHUNKS, 1000, &chunk(10, ""))?;
        let (records, end) = bench.pass_all(begin, bytes.chunks(size))?;
        ensure!(records.is_empty(), "{size}: {records:?}");
        let segments = bytes.len().div_ceil(size);
        assert_eq!(bench.gathered(), [format!("chunks {begin}+6220/{segments} 6000:20")], "{size}");
        assert_eq!(bench.pass(end, b"0\r\nX: y\r\n\r\n")?, [format!("{end}+11")], "the last chunk is wanted");
    }
    Ok(())
}

#[test]
fn a_run_says_in_what_it_ends() -> Result<()> {
    let mut bench = Bench::new("chunks-within")?;
    let bytes = [chunk(300, ";x=y"), chunk(5, "")].concat();
    for (taken, first, second) in [
        (1, "0:0 size 1", "305:2"),
        (3, "0:0 size 300", "305:2"),
        (4, "0:0 size 300, extension 0 (4)", "305:2"),
        (7, "0:0 size 300, extension 3 (4)", "305:2"),
        (8, "0:0 size 300, extension 4 (4)", "305:2"),
        (9, "0:1 300 left", "305:1"),
        (109, "100:1 200 left", "205:1"),
        (309, "300:1 behind data", "5:1"),
        (310, "300:1 behind data", "5:1"),
        (311, "300:1", "5:1"),
        (312, "300:1 size 5", "5:1"),
    ] {
        let begin = bench.begin(WANT_CHUNKS, 1000, &chunk(10, ""))?;
        assert_eq!(bench.pass(begin, &bytes[..taken])?, [""; 0]);
        assert_eq!(bench.gathered(), [format!("chunks {begin}+{taken}/1 {first}")]);
        let behind = begin + taken as u32;
        assert_eq!(bench.pass(behind, &bytes[taken..])?, [""; 0]);
        assert_eq!(bench.gathered(), [format!("chunks {behind}+{}/1 {second}", bytes.len() - taken)]);
    }
    Ok(())
}

#[test]
fn what_user_space_has_to_see_is_recorded() -> Result<()> {
    let mut bench = Bench::new("chunks-odd")?;
    let long = [b"5;", &[b'e'; 2000][..]].concat();
    for (name, odd) in [
        ("the last chunk", &b"0\r\n"[..]),
        ("the last chunk, and trailers", b"000;last\r\nX: y\r\n\r\n"),
        ("a size of 64 bits and more", b"10000000000000005\r\nhello"),
        ("a size that runs over to a small one", b"100000000000000000000005\r\nhello"),
        ("larger than a program reads", b"40000001\r\n"),
        ("no digit", b"xyz\r\nhello"),
        ("an empty line", b"\r\n5\r\nhello"),
        ("a sign", b"+5\r\nhello"),
    ] {
        let begin = bench.begin(WANT_CHUNKS, 1000, &chunk(10, ""))?;
        let bytes = [&chunk(50, "")[..], odd].concat();
        let records = bench.pass(begin, &bytes)?;
        // What is wanted begins with the end of the chunk's line.
        let run = format!("chunks {begin}+54/1 50:1 behind data");
        ensure!(records == [run, format!("{}+{}", begin + 54, odd.len() + 2)], "{name}: {records:?}");
        // It knows no more where it is, and begins anew.
        let next = begin + bytes.len() as u32;
        let records = bench.pass(next, &chunk(10, ""))?;
        ensure!(records == [format!("border {next}"), format!("{next}+15")], "{name}: {records:?}");
    }
    // An extension without an end: the rest is recorded, however much it is.
    let begin = bench.begin(WANT_CHUNKS, 1000, &chunk(10, ""))?;
    assert_eq!(bench.pass(begin, &long)?, [""; 0]);
    let (records, _) = bench.pass_all(begin + 2002, std::iter::repeat_n(&[b'e'; 2000][..], 32))?;
    let run = format!("chunks {begin}+4002/2 0:0 size 5, extension 4000 (4)");
    assert_eq!(records.first(), Some(&run));
    assert_eq!(records.len(), 32, "{records:?}");
    Ok(())
}

#[test]
fn what_is_odd_and_still_a_chunk_is_not() -> Result<()> {
    let mut bench = Bench::new("chunks-lenient")?;
    let begin = bench.begin(WANT_CHUNKS, 1000, &chunk(10, ""))?;
    let zeros = [vec![b'0'; 2500], b"5\r\nhello\r\n".to_vec()].concat();
    assert_eq!(bench.pass(begin, &zeros)?, [""; 0]);
    let upper = b"A\nhellohello\nB \t;\"\r\r\nhellohelloh\r\r\n";
    assert_eq!(bench.pass(begin + 2510, upper)?, [""; 0]);
    let expected = format!("chunks {begin}+{}/2 26:3", 2510 + upper.len());
    assert_eq!(bench.gathered(), [expected]);
    Ok(())
}

#[test]
fn a_wrong_place_is_given_up() -> Result<()> {
    let mut bench = Bench::new("chunks-wrong")?;
    bench.want(WANT_CHUNKS);
    // The body is what looks like chunks.
    let body = [&b"xy"[..], b"\r\n", &chunk(40, ""), &chunk(40, "")].concat();
    assert_eq!(bench.pass(1000, &body)?, ["border 1004", "1000+96"]);
    bench.judge(WANT_CHUNKS, 1004, false);
    assert_eq!(bench.pass(1096, &[b'x'; 904])?, ["1096+904"]);
    assert_eq!(bench.pass(2000, &[b"\r\n".to_vec(), chunk(50, "")].concat())?, ["border 2002", "2000+58"]);
    bench.judge(WANT_CHUNKS, 2002, true);
    assert_eq!(bench.pass(2058, &chunk(50, ""))?, [""; 0]);
    assert_eq!(bench.set(false, None), ["chunks 2058+56/1 50:1"]);
    Ok(())
}

#[test]
fn it_goes_on_from_where_user_space_is() -> Result<()> {
    let mut bench = Bench::new("chunks-place")?;
    bench.want_at(WANT_CHUNKS, 1000, 5000);
    // The first segment may have passed before; what is missing is within the chunk.
    assert_eq!(bench.pass(2000, &[b'x'; 1000])?, ["border 6000", "2000+1000"]);
    bench.judge(WANT_CHUNKS, 6000, true);
    assert_eq!(bench.pass(3000, &[b'x'; 2000])?, [""; 0]);
    let rest = [&[b'x'; 1000][..], b"\r\n", &chunk(50, "")].concat();
    assert_eq!(bench.pass(5000, &rest)?, [""; 0]);
    assert_eq!(bench.gathered(), ["chunks 3000+3058/2 3050:1"]);
    assert_eq!(bench.pass(6058, b"0\r\n\r\n")?, ["6058+5"]);
    Ok(())
}

#[test]
fn user_space_says_where_the_next_line_is() -> Result<()> {
    let mut bench = Bench::new("chunks-told")?;
    bench.want(WANT_CHUNKS);
    assert_eq!(bench.pass(1000, &[b'x'; 1000])?, ["1000+1000"], "nothing looks like a line");
    // It is in a chunk that ends at 4000.
    bench.want_at(WANT_CHUNKS, 1500, 2500);
    assert_eq!(bench.pass(2000, &[b'x'; 1000])?, ["border 4000", "2000+1000"]);
    bench.judge(WANT_CHUNKS, 4000, true);
    assert_eq!(bench.pass(3000, &[b'x'; 1000])?, [""; 0]);
    assert_eq!(bench.gathered(), ["chunks 3000+1000/1 1000:0 behind data"]);
    Ok(())
}

#[test]
fn where_chunks_are_alike_a_later_one_is_found_by_counting() -> Result<()> {
    let mut bench = Bench::new("chunks-alike")?;
    let large = chunk(994, "");
    let period = large.len() as u32;
    bench.want(WANT_CHUNKS);
    for seq in [1000, 2000, 3000, 4000] {
        assert_eq!(bench.pass(seq, &[b'x'; 1000])?, [format!("{seq}+1000")]);
    }
    // User space has come to 1500; the chunk there ends at 2000, and three ends have passed since.
    bench.want_every(WANT_CHUNKS, 1500, 500, period);
    let end = 2000 + 3 * period;
    assert_eq!(bench.pass(5000, &[b'x'; 3])?, [format!("border {end}"), "5000+3".into()]);
    bench.judge(WANT_CHUNKS, end, true);
    let rest = [&vec![b'x'; (end - 5003) as usize][..], b"\r\n", &large].concat();
    assert_eq!(bench.pass(5003, &rest)?, [""; 0]);
    let (len, body) = (rest.len(), rest.len() - b"\r\n3e2\r\n\r\n".len());
    assert_eq!(bench.gathered(), [format!("chunks 5003+{len}/1 {body}:1")]);
    // One that is not alike: there is no line where it should be, and nothing is left out.
    bench.set(false, None);
    bench.want(WANT_CHUNKS);
    bench.pass(1000, &[b'x'; 1000])?;
    bench.want_every(WANT_CHUNKS, 1500, 400, 1000);
    assert_eq!(bench.pass(2000, &[b'x'; 2000])?, ["2000+2000"], "it ends where nothing ends");
    assert_eq!(bench.pass(4000, &[b'x'; 2000])?, ["4000+2000"]);
    Ok(())
}

#[test]
fn what_is_out_of_order_is_recorded_and_followed() -> Result<()> {
    let mut bench = Bench::new("chunks-order")?;
    let begin = bench.begin(WANT_CHUNKS, 1000, &chunk(10, ""))?;
    let (one, large) = (chunk(94, ""), chunk(2000, ""));
    assert_eq!(one.len(), 100);
    assert_eq!(bench.pass(begin, &one)?, [""; 0]);
    assert_eq!(bench.pass(begin, &one)?, [format!("chunks {begin}+100/1 94:1"), format!("{begin}+100")]);
    assert_eq!(bench.pass(begin, &[&one[..], &one].concat())?, [format!("{begin}+200")]);
    let next = begin + 200;
    assert_eq!(bench.pass(next, &large[..105])?, [""; 0]);
    // Bytes of the chunk are missing: where it ends is known nevertheless.
    let behind = next + 1105;
    let run = format!("chunks {next}+105/1 100:1 1900 left");
    assert_eq!(bench.pass(behind, &large[1105..1205])?, [run, format!("{behind}+100")]);
    assert_eq!(bench.pass(behind + 100, &[&large[1205..], &one].concat())?, [""; 0]);
    assert_eq!(bench.gathered(), [format!("chunks {}+902/1 894:1", behind + 100)]);
    // A line is missing: it is not.
    let lost = behind + 1002 + 50;
    assert_eq!(bench.pass(lost, &[b'x'; 100])?, [format!("{lost}+100")]);
    Ok(())
}

#[test]
fn sequence_numbers_wrap_within_a_line() -> Result<()> {
    let mut bench = Bench::new("chunks-wrap")?;
    let begin = bench.begin(WANT_CHUNKS, 17_u32.wrapping_neg(), &chunk(10, ""))?;
    assert_eq!(begin, 2_u32.wrapping_neg());
    assert_eq!(bench.pass_all(begin, [&b"5e"[..], &chunk(94, "")[2..]])?, (vec![], 98));
    assert_eq!(bench.gathered(), [format!("chunks {begin}+100/2 94:1")]);
    Ok(())
}

#[test]
fn more_chunks_than_a_program_reads_are_recorded() -> Result<()> {
    let mut bench = Bench::new("chunks-many")?;
    let begin = bench.begin(WANT_CHUNKS, 1000, &chunk(10, ""))?;
    let small = chunk(1, "").repeat(500);
    let records = bench.pass(begin, &small)?;
    ensure!(records.len() == 2 && records[0].starts_with("chunks "), "{records:?}");
    let next = begin + small.len() as u32;
    assert_eq!(bench.pass(next, &chunk(10, ""))?, [format!("border {next}"), format!("{next}+15")]);
    Ok(())
}
