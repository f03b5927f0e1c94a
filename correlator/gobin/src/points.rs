//! Where to attach, and what to read there.
use weft_abi::{GO_PATH_STEPS, GoCallLayout, GoPath, MAX_CONTEXTS, go_call};

use crate::{
    GoFunction, ProbePoint,
    elf::Elf,
    functions::{Found, Functions},
    layouts::{self, Hop, Kind, Layout, Way},
    members::Members,
    prologue,
};

/// How much of a function's code is looked at: no prologue is longer.
const PROLOGUE: usize = 64;
/// `call REL32`.
const CALL: usize = 5;
/// How much of a function is searched for a call.
const MOST_CODE: usize = 512;
/// Of a request that a server handles: its own context, and the one that was made for the connection or by a middleman.
const SERVED_CONTEXTS: u8 = 2;
/// Of a call: the chain that leads to the request that it is made for.
const CALLED_CONTEXTS: u8 = MAX_CONTEXTS as u8;

/// The place of a function, and what to read there. None: its code is not in the file, or what would have to be read there is
/// not known.
pub fn point(elf: &Elf<'_>, functions: &Functions, found: &Found, members: &Members) -> Option<ProbePoint> {
    let code = elf.bytes_at(found.address)?;
    let entry = elf.offset_of(found.address)?;
    let (inside, layout) = match found.known.function {
        GoFunction::Create => (Some(call_of(functions.runqput?, found.address, code)?), created(members)?),
        _ => (prologue::first_push(code.get(..PROLOGUE).unwrap_or(code)), layout(found, members)?),
    };
    Some(ProbePoint {
        function: found.known.function,
        symbol: found.symbol(),
        file_offset: entry.checked_add(inside.unwrap_or(0) as u64)?,
        emulated: inside.is_some(),
        layout,
    })
}

/// Where in a function's code another one is called. The kernel emulates a call as it does a push. Bytes that are by chance
/// such a call to just that address would have to lie across the borders of instructions.
fn call_of(callee: u64, address: u64, code: &[u8]) -> Option<usize> {
    let code = code.get(..MOST_CODE).unwrap_or(code);
    code.windows(CALL).enumerate().find_map(|(place, bytes)| {
        let [0xe8, a, b, c, d] = *bytes else { return None };
        let next = address.wrapping_add((place + CALL) as u64);
        let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
        (next.wrapping_add_signed(distance) == callee).then_some(place)
    })
}

/// `runqput(pp, gp, next)`: the new goroutine is the second argument, and its id a number.
fn created(members: &Members) -> Option<GoCallLayout> {
    let goid = u16::try_from(members.get("runtime.g", "goid")?.offset).ok()?;
    let mut context = GoPath { register: 1, steps: 1, ..GoPath::default() };
    *context.offsets.first_mut()? = goid;
    Some(GoCallLayout { function: go_call::CREATED, context, ..GoCallLayout::default() })
}

/// All that a record of the call says, or nothing: half of it would be taken for the whole.
fn layout(found: &Found, members: &Members) -> Option<GoCallLayout> {
    let (function, contexts) = call(found.known.function);
    let none = GoCallLayout { function, contexts, ..GoCallLayout::default() };
    let Some(Layout { conn, stream, context, .. }) = layouts::of(found.known) else { return Some(none) };
    let path = |ways: &[Way]| match ways {
        [] => Some(GoPath::default()),
        ways => ways.iter().find_map(|way| resolve(way, &found.vendor, members)),
    };
    Some(GoCallLayout { conn: path(conn)?, stream: path(stream)?, context: path(context)?, ..none })
}

/// What a record of it says, and how many contexts it carries.
fn call(function: GoFunction) -> (u8, u8) {
    match function {
        GoFunction::HttpServe => (go_call::HTTP_SERVE, SERVED_CONTEXTS),
        GoFunction::H2Serve => (go_call::H2_SERVE, SERVED_CONTEXTS),
        GoFunction::GrpcServe => (go_call::GRPC_SERVE, SERVED_CONTEXTS),
        GoFunction::HttpCall => (go_call::HTTP_CALL, CALLED_CONTEXTS),
        GoFunction::H2Call => (go_call::H2_CALL, CALLED_CONTEXTS),
        GoFunction::GrpcCall => (go_call::GRPC_CALL, CALLED_CONTEXTS),
        GoFunction::StopWorld => (go_call::STOP_WORLD, 0),
        GoFunction::StartWorld => (go_call::START_WORLD, 0),
        GoFunction::GcStart => (go_call::GC_START, 0),
        GoFunction::GcMarkTermination => (go_call::GC_MARK_TERMINATION, 0),
        GoFunction::GcAssist => (go_call::GC_ASSIST, 0),
        GoFunction::Create => (go_call::CREATED, 0),
        // Its record is a GoSched.
        GoFunction::Status => (0, 0),
    }
}

/// A way in the offsets of this binary; None where a member is not known, or is of another kind in this version.
fn resolve(way: &Way, vendor: &str, members: &Members) -> Option<GoPath> {
    let mut path = GoPath { register: way.register, ..GoPath::default() };
    let mut inside = 0_u32;
    for Hop { package, structure, member, kind } in way.hops {
        let vendor = if package.contains(".org/") { vendor } else { "" };
        let member = members.get(&format!("{vendor}{package}.{structure}"), member)?;
        let offset = inside.checked_add(member.offset)?;
        inside = 0;
        match (kind, member.pointer) {
            (Kind::Inside, false) => inside = offset,
            (Kind::Pointer, true) | (Kind::Number, false) => step(&mut path, offset)?,
            // An interface is two words: its type's, and its data's.
            (Kind::Interface, false) => step(&mut path, offset.checked_add(8)?)?,
            _ => return None,
        }
    }
    Some(path)
}

fn step(path: &mut GoPath, offset: u32) -> Option<()> {
    let place =
        path.offsets.get_mut(usize::from(path.steps)).filter(|_| usize::from(path.steps) < GO_PATH_STEPS)?;
    *place = u16::try_from(offset).ok()?;
    path.steps += 1;
    Some(())
}
