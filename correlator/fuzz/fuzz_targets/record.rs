//! Records of any bytes. The script is a list of them, each behind its length in two bytes; a length of 0 lets time pass.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_fuzz::{Script, Watched};

fuzz_target!(|bytes: &[u8]| {
    let (mut script, mut watched) = (Script::new(bytes), Watched::tight());
    while !script.is_done() {
        match script.short() {
            0 => drop(watched.wait()),
            len => watched.record(script.bytes(usize::from(len))),
        }
    }
    watched.finish();
});
