//! A capture of any bytes, and the pipeline behind it: every byte that it says it handed on is accounted for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_core::{Input, KernelCounters};
use weft_fuzz::Watched;
use weft_pcap::{Importer, Options, Step};

fuzz_target!(|bytes: &[u8]| {
    // The first byte says whose packets are wanted.
    let (first, mut rest) = bytes.split_first().unwrap_or((&0, &[]));
    let local = if first & 1 == 0 { Vec::new() } else { vec!["10.0.0.0/8".parse().expect("a network")] };
    let (mut importer, mut watched) =
        (Importer::new(Options { local, ..Options::default() }), Watched::tight());
    let mut counted = 0;
    let mut give = |input: Input<'_>| match input {
        // The pipeline has small tables here, and knows of nothing but records: the two accounts are compared below.
        Input::Config(_) => {}
        Input::KernelCounters(counters) => counted = bytes_seen(&counters),
        input => watched.input(input),
    };
    while let Ok(Step::Took(len)) = importer.advance(rest, &mut give) {
        assert!(len > 0, "a step without a byte has no end");
        rest = rest.get(len..).expect("no more than there are");
        if rest.is_empty() {
            break;
        }
    }
    importer.finish(&mut give);
    let summary = importer.summary();
    assert_eq!(summary.packets, summary.segments + summary.skipped.iter().sum::<u64>());
    let (snapshot, _) = watched.finish();
    let total = snapshot.loss.total;
    assert_eq!((total.seen - total.lost, counted), (summary.payload_bytes, summary.payload_bytes));
});

fn bytes_seen(counters: &KernelCounters) -> u64 {
    counters.vantages.iter().flat_map(|vantage| vantage.directions).map(|count| count.bytes_seen).sum()
}
