//! Where in a segment's framing a program is. All of it is in memory, and read and written anew each time: so the verifier
//! finds each round of a loop like the one before.
use aya_ebpf::{
    EbpfContext as _, bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes, programs::TcContext,
};
use core::ptr::{addr_of, addr_of_mut};
use weft_abi::MAX_CAPTURE;

use crate::maps::{Reading, SCRATCH, Scratch};

/// Reads a member of the CPU's [`Reading`].
macro_rules! get {
    ($reader:expr, $($member:tt)+) => {
        // SAFETY: the scratch is this CPU's.
        unsafe { core::ptr::addr_of!((*$reader.reading).$($member)+).read_volatile() }
    };
}

/// Writes a member of the CPU's [`Reading`].
macro_rules! set {
    ($reader:expr, $($member:ident).+ $([$index:expr])?, $value:expr) => {{
        let value = $value;
        // SAFETY: the scratch is this CPU's.
        unsafe { core::ptr::addr_of_mut!((*$reader.reading).$($member).+ $([$index])?).write_volatile(value) }
    }};
}

pub(crate) use {get, set};

/// A segment of which the framing is read.
#[derive(Clone, Copy)]
pub struct Reader {
    pub reading: *mut Reading,
    /// Room for what is searched.
    pub payload: *mut [u8; MAX_CAPTURE],
}

/// How much of a segment is searched for a unit of framing.
pub const SEARCHED: u32 = 512;

/// No place in what is searched.
pub const NOT_FOUND: u32 = u32::MAX;

impl Reader {
    /// Of this CPU.
    #[inline(always)]
    pub fn here() -> Option<Self> {
        let scratch = SCRATCH.get_ptr_mut(0)?;
        // SAFETY: the map's lookup gave a valid pointer.
        Some(unsafe { Self::of(scratch) })
    }

    /// # Safety
    /// The scratch must be this CPU's.
    #[inline(always)]
    pub unsafe fn of(scratch: *mut Scratch) -> Self {
        // SAFETY: within the scratch.
        let (reading, payload) =
            unsafe { (addr_of_mut!((*scratch).reading), addr_of_mut!((*scratch).payload)) };
        Self { reading, payload }
    }

    /// Reads a unit of framing of this CPU's segment: what a function of its own does, at which the verifier looks once, and not
    /// in every round. Returns 0 at the end.
    #[inline(always)]
    pub fn unit(read: impl Fn(&Self) -> bool) -> u32 {
        match Self::here() {
            Some(reader) => u32::from(read(&reader)),
            None => 0,
        }
    }

    /// Reads unit after unit, so many at most. Says whether nothing is left.
    #[inline(always)]
    pub fn units(&self, most: u32, unit: impl Fn() -> u32) -> bool {
        for _ in 0..most {
            if unit() == 0 {
                return true;
            }
        }
        self.rest() == 0
    }

    /// Passes over what comes of a payload, or of a chunk, that is not wanted. Says whether that was all of it.
    #[inline(always)]
    pub fn pass_over(&self) -> bool {
        let (left, rest) = (get!(self, framing.left), self.rest());
        let passed = least(left, rest);
        self.count(0, passed);
        self.advance(passed);
        set!(self, framing.left, left - passed);
        left == passed
    }

    /// Payload bytes that were not read yet.
    #[inline(always)]
    pub fn rest(&self) -> u32 {
        get!(self, payload_len) - get!(self, at)
    }

    /// Loads the next `len` bytes of payload behind the first `have` ones of `bytes`: 1 to 16 behind up to 15. Says whether
    /// they could be read.
    #[inline(always)]
    pub fn load(&self, ctx: *mut __sk_buff, have: u32, len: u32) -> bool {
        let (have, len) = (masked::<15>(have), masked::<15>(len.wrapping_sub(1)) + 1);
        let at = get!(self, payload_offset) + get!(self, at);
        // SAFETY: `have` and `len` are at most 15 and 16, and `bytes` has 32.
        unsafe {
            let target = addr_of_mut!((*self.reading).bytes).cast::<u8>().add(have as usize);
            bpf_skb_load_bytes(ctx.cast(), at, target.cast(), len) == 0
        }
    }

    /// A byte of what was loaded.
    #[inline(always)]
    pub fn byte(&self, place: usize) -> u8 {
        // SAFETY: the callers' places are constants below 32.
        unsafe { addr_of!((*self.reading).bytes).cast::<u8>().add(place).read_volatile() }
    }

    /// A number of 32 bits in network byte order.
    #[inline(always)]
    pub fn word(&self, place: usize) -> u32 {
        let [a, b, c, d] =
            [self.byte(place), self.byte(place + 1), self.byte(place + 2), self.byte(place + 3)];
        u32::from(a) << 24 | u32::from(b) << 16 | u32::from(c) << 8 | u32::from(d)
    }

    /// Goes on behind so many bytes.
    #[inline(always)]
    pub fn advance(&self, bytes: u32) {
        set!(self, at, get!(self, at) + bytes);
    }

    /// What comes behind this place is wanted.
    #[inline(always)]
    pub fn stop_joining(&self, at: u32) {
        if get!(self, odd) == 0 {
            set!(self, odd, 1);
            set!(self, joins, at);
            set!(self, joined_sums[0], get!(self, framing.sums[0]));
            set!(self, joined_sums[1], get!(self, framing.sums[1]));
        }
    }

    /// The framing cannot be followed any further: what comes behind this place is wanted.
    #[inline(always)]
    pub fn lose(&self, at: u32) {
        self.stop_joining(at);
        set!(self, framing.known, weft_abi::knowledge::NONE);
    }

    /// Counts something of what is not wanted. `which`: 0 or 1.
    #[inline(always)]
    pub fn count(&self, which: u32, bytes: u32) {
        let counted = bytes & get!(self, odd).wrapping_sub(1);
        // SAFETY: within the two, of this CPU's scratch.
        unsafe {
            let counts = addr_of_mut!((*self.reading).framing.counts).cast::<u32>();
            let count = counts.add(masked::<1>(which) as usize);
            count.write_volatile(count.read_volatile() + counted);
        }
    }

    /// Adds to what windows were used up or opened by. `which`: 0 or 1.
    #[inline(always)]
    pub fn sum(&self, which: u32, bytes: u32) {
        // SAFETY: within the two, of this CPU's scratch.
        unsafe {
            let sums = addr_of_mut!((*self.reading).framing.sums).cast::<u64>();
            let sum = sums.add(masked::<1>(which) as usize);
            sum.write_volatile(sum.read_volatile() + u64::from(bytes));
        }
    }

    /// Loads what is searched: the next bytes of payload, into `payload`. Says how many there are.
    #[inline(always)]
    pub fn load_searched(&self, ctx: &TcContext) -> u32 {
        let len = masked::<{ SEARCHED as i32 - 1 }>(least(self.rest(), SEARCHED).wrapping_sub(1)) + 1;
        let at = get!(self, payload_offset) + get!(self, at);
        // SAFETY: at most SEARCHED bytes, for which there is room.
        let result = unsafe { bpf_skb_load_bytes(ctx.as_ptr(), at, self.payload.cast(), len) };
        if result == 0 { len } else { 0 }
    }

    /// A byte of what is searched.
    #[inline(always)]
    pub fn searched(&self, place: u32) -> u8 {
        // SAFETY: the callers' places are below SEARCHED.
        unsafe { self.payload.cast::<u8>().add(place as usize).read_volatile() }
    }
}

/// `value & MASK`, in a form that the verifier can follow: the compiler would drop it where it knows the range already.
#[inline(always)]
pub fn masked<const MASK: i32>(value: u32) -> u32 {
    let mut value = u64::from(value);
    // SAFETY: plain arithmetic on a register.
    unsafe {
        core::arch::asm!("{0} &= {1}", inout(reg) value, const MASK, options(pure, nomem, nostack));
    }
    value as u32
}

/// The smaller one, without a branch: the verifier follows each, and all that comes behind it.
#[inline(always)]
pub fn least(a: u32, b: u32) -> u32 {
    let (mut least, b) = (u64::from(a), u64::from(b));
    // SAFETY: plain arithmetic on registers.
    unsafe {
        core::arch::asm!(
            "{0} -= {1}",
            "{2} = {0}",
            "{2} s>>= 63",
            "{0} &= {2}",
            "{0} += {1}",
            inout(reg) least,
            in(reg) b,
            out(reg) _,
            options(pure, nomem, nostack),
        );
    }
    least as u32
}

/// 1 where `a` is less than `b`, without a branch.
#[inline(always)]
pub fn is_less(a: u32, b: u32) -> u32 {
    let mut less = u64::from(a);
    // SAFETY: plain arithmetic on registers.
    unsafe {
        core::arch::asm!("{0} -= {1}", "{0} >>= 63", inout(reg) less, in(reg) u64::from(b), options(pure, nomem, nostack));
    }
    less as u32
}

/// 1 for anything but 0, without a branch.
#[inline(always)]
pub fn is_some(value: u32) -> u32 {
    let mut some = u64::from(value);
    // SAFETY: plain arithmetic on a register.
    unsafe {
        core::arch::asm!("{0} = -{0}", "{0} >>= 63", inout(reg) some, options(pure, nomem, nostack));
    }
    some as u32
}

/// Lets compiler and verifier forget what they know of what is in memory: how it came there does not matter any more.
#[inline(always)]
pub fn forget() {
    // SAFETY: no instruction at all.
    unsafe { core::arch::asm!("", options(nostack)) }
}
