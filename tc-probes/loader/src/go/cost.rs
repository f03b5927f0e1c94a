//! What it costs a process to come by a place that is attached to: measured on this machine, in this process.
use std::{
    arch::naked_asm,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use weft_abi::GoCallLayout;

use super::GoProbes;
use crate::error::{IoContext as _, Result};

const EXECUTABLE: &str = "/proc/self/exe";
const MAPPINGS: &str = "/proc/self/maps";
/// Calls between two looks at the clock, and how often that is done.
const CALLS: u32 = 200;
const BATCHES: usize = 9;

/// What a hit costs, besides what the program reads and writes there: in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeCost {
    /// At a `push %rbp`, which the kernel does in the place of the processor.
    pub emulated: u64,
    /// At an instruction that the processor has to be stopped behind.
    pub stepped: u64,
}

/// Begins as a Go function goes on behind its check of the stack.
#[unsafe(naked)]
extern "C" fn pushes() {
    naked_asm!("push rbp", "pop rbp", "ret")
}

/// Begins as a Go function does: with a comparison.
#[unsafe(naked)]
extern "C" fn compares() {
    naked_asm!("cmp rsp, rax", "ret")
}

impl GoProbes {
    /// Attaches to two functions of the running executable, and calls them: some 0.1 s where stepping is slow.
    ///
    /// # Errors
    /// When the executable cannot be attached to.
    pub fn measure_cost(&mut self) -> Result<ProbeCost> {
        Ok(ProbeCost { emulated: self.cost_of(pushes)?, stepped: self.cost_of(compares)? })
    }

    fn cost_of(&mut self, function: extern "C" fn()) -> Result<u64> {
        let without = time(function);
        let offset = file_offset(function as usize as u64)?;
        let _attachment = self.attach(Path::new(EXECUTABLE), offset, GoCallLayout::default())?;
        let with = time(function);
        Ok(with.saturating_sub(without).as_nanos() as u64 / u64::from(CALLS))
    }
}

/// Of a batch of calls, the median of several.
fn time(function: extern "C" fn()) -> Duration {
    let mut batches = [Duration::ZERO; BATCHES];
    for batch in &mut batches {
        let start = Instant::now();
        (0..CALLS).for_each(|_| function());
        *batch = start.elapsed();
    }
    batches.sort_unstable();
    batches[BATCHES / 2]
}

/// Where in the executable's file an address of this process is.
fn file_offset(address: u64) -> Result<u64> {
    let mappings = fs::read_to_string(MAPPINGS).at(MAPPINGS)?;
    mappings
        .lines()
        .find_map(|line| offset_in(line, address))
        .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
        .at(MAPPINGS)
}

/// proc_pid_maps(5): `begin-end permissions offset ...`, all in hexadecimal.
fn offset_in(line: &str, address: u64) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let (begin, end) = fields.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (begin, end, offset) = (number(begin)?, number(end)?, number(fields.nth(1)?)?);
    (begin..end).contains(&address).then(|| address - begin + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_the_file() {
        let line = "7f12345000-7f12349000 r-xp 00002000 fd:00 131 /usr/bin/weft";
        assert_eq!(offset_in(line, 0x7f_1234_5010), Some(0x2010));
        assert_eq!(offset_in(line, 0x7f_1234_9000), None);
        assert_eq!(offset_in("nonsense", 0), None);
    }

    #[test]
    fn the_functions_begin_as_they_should() {
        let data = fs::read(EXECUTABLE).unwrap();
        let code = |function: extern "C" fn()| {
            let offset = file_offset(function as usize as u64).unwrap() as usize;
            data[offset..offset + 2].to_vec()
        };
        // push %rbp; pop %rbp
        assert_eq!(code(pushes), [0x55, 0x5d]);
        // cmp %rax, %rsp with a prefix for 64 bits
        assert_eq!(code(compares), [0x48, 0x39]);
    }
}
