//! What the programs at Go functions have in common.
use aya_ebpf::{EbpfContext as _, helpers::generated::bpf_get_attach_cookie, programs::ProbeContext};

use crate::{loss::add_one, maps::GO_HITS};

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

/// Counts before anything else is decided: what a hit costs, it costs whoever is hit. Gives the attachment's number.
#[inline(always)]
pub fn count_hit(ctx: &ProbeContext) -> u32 {
    count_hit_with_metric(ctx).0
}

/// The same; gives the number of the metric behind it.
#[inline(always)]
pub fn count_hit_with_metric(ctx: &ProbeContext) -> (u32, u32) {
    // SAFETY: the helper takes the context.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    let (attachment, metric) = (cookie as u32, (cookie >> 32) as u32);
    if let Some(counter) = GO_HITS.get_ptr_mut(attachment) {
        // SAFETY: the map's lookup gave a valid pointer.
        unsafe { add_one(counter) }
    }
    (attachment, metric)
}

/// Argument registers of ABIInternal.
pub const REGISTERS: usize = 9;

/// The argument words.
#[inline(always)]
pub fn arguments(ctx: &ProbeContext) -> [u64; REGISTERS] {
    [
        register!(ctx, rax),
        register!(ctx, rbx),
        register!(ctx, rcx),
        register!(ctx, rdi),
        register!(ctx, rsi),
        register!(ctx, r8),
        register!(ctx, r9),
        register!(ctx, r10),
        register!(ctx, r11),
    ]
}
