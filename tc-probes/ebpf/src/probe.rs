//! What the programs at Go functions have in common.
use aya_ebpf::{EbpfContext as _, helpers::generated::bpf_get_attach_cookie, programs::ProbeContext};

use crate::{loss::add_one, maps::GO_HITS};

/// Counts before anything else is decided: what a hit costs, it costs whoever is hit. Gives the attachment's number.
#[inline(always)]
pub fn count_hit(ctx: &ProbeContext) -> u32 {
    // SAFETY: the helper takes the context.
    let attachment = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) } as u32;
    if let Some(counter) = GO_HITS.get_ptr_mut(attachment) {
        // SAFETY: the map's lookup gave a valid pointer.
        unsafe { add_one(counter) }
    }
    attachment
}

/// Reads a register of the context by one load at a constant offset. In assembly, because the verifier takes no other
/// form: the compiler would choose an address first.
macro_rules! register {
    ($ctx:expr, $name:ident) => {{
        let value: u64;
        // SAFETY: the context is valid while the program runs.
        unsafe {
            core::arch::asm!(
                "{0} = *(u64 *)({1} + {2})",
                out(reg) value,
                in(reg) $ctx.regs,
                const core::mem::offset_of!(aya_ebpf::bindings::pt_regs, $name),
                options(nostack, readonly),
            );
        }
        value
    }};
}
pub(crate) use register;
