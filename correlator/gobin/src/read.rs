//! All parts together.
use weft_abi::{G_IN_R14, GoProcess};

use crate::{
    Error, GoBinary, ProbePoint, build_id, build_info,
    elf::{self, Elf},
    functions::Functions,
    members::Members,
    pclntab, points, relocations, runtime, sources, symbols, tls,
};

/// How many functions a sentence names.
const MOST_NAMED: usize = 6;

/// What an executable says of itself, from its bytes. None: it is no Go program.
///
/// It takes time in proportion to the bytes, and at most some 64 MiB of memory besides them, whatever they are.
///
/// # Errors
/// When it is a Go program of which nothing can be told, or no executable at all.
pub fn read(bytes: &[u8]) -> Result<Option<GoBinary>, Error> {
    let Some(elf) = executable(bytes)? else { return Ok(None) };
    let Some(build) = build_info::find(&elf)? else { return Ok(None) };
    let mut missing = Vec::new();
    let symbols = symbols::read(&elf);
    let functions = functions(&elf, symbols.functions, &mut missing);
    let members = sources::members(&elf, &build, &functions.found, &mut missing);
    if !symbols.present {
        missing.push("the binary is stripped of its symbols: what the runtime counts is not read".to_owned());
    }
    let hints = tls::Hints { tlsg: symbols.variables.tlsg, morestack: functions.morestack };
    let points = points(&elf, &functions, &members, &mut missing);
    Ok(Some(GoBinary {
        version: build.version,
        build_id: build_id::find(&elf),
        process: process(&elf, &build, &members, &hints, &mut missing).unwrap_or_default(),
        points,
        linked_at: elf.linked_at(),
        runtime: runtime::addresses(&symbols.variables, &members),
        missing,
    }))
}

/// One that this machine may execute.
pub fn executable(bytes: &[u8]) -> Result<Option<Elf<'_>>, Error> {
    if elf::is_of_another_kind(bytes) {
        return if build_info::is_somewhere(bytes) { Err(Error::Machine) } else { Ok(None) };
    }
    Elf::parse(bytes)
}

/// Of the symbol table, else of the table that the runtime uses.
fn functions(elf: &Elf<'_>, symbols: Functions, missing: &mut Vec<String>) -> Functions {
    if !symbols.found.is_empty() {
        return symbols;
    }
    match pclntab::functions(elf) {
        Some(Ok(functions)) if !functions.found.is_empty() => return functions,
        // Every program has the runtime's.
        Some(Ok(_)) => {
            missing.push("the binary's function table has none of the names that are looked for".to_owned())
        }
        Some(Err(reason)) => {
            missing.push(format!("the binary's function table cannot be used: {reason}"));
        }
        None => {
            missing.push("the binary has neither symbols nor a function table that is known".to_owned());
        }
    }
    symbols
}

fn points(
    elf: &Elf<'_>,
    functions: &Functions,
    members: &Members,
    missing: &mut Vec<String>,
) -> Vec<ProbePoint> {
    let (mut points, mut unknown) = (Vec::new(), Vec::new());
    for found in &functions.found {
        match points::point(elf, functions, found, members) {
            Some(point) => points.push(point),
            None => unknown.push(found.symbol()),
        }
    }
    if !unknown.is_empty() {
        let (named, others) = unknown.split_at(unknown.len().min(MOST_NAMED));
        let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        missing.push(format!(
            "not listened at, because what would be read there is not known: {}{others}",
            named.join(", ")
        ));
    }
    points
}

/// All of it or nothing.
fn process(
    elf: &Elf<'_>,
    build: &build_info::BuildInfo<'_>,
    members: &Members,
    hints: &tls::Hints,
    missing: &mut Vec<String>,
) -> Option<GoProcess> {
    let in_register = is_without_c(elf, build).then_some(G_IN_R14);
    let Some(g_tls) = in_register.or_else(|| tls::g_offset(elf, hints)) else {
        missing.push("the binary does not say where its threads have their goroutine".to_owned());
        return None;
    };
    let g = |member| members.offset("runtime.g", member);
    let (Some(goid), Some(m), Some(curg)) = (g("goid"), g("m"), members.offset("runtime.m", "curg")) else {
        missing.push("where its goroutines have their ids is not known".to_owned());
        return None;
    };
    // Go has it since 1.21.
    Some(GoProcess { g_tls, goid, parent_goid: g("parentGoid").unwrap_or_default(), m, curg })
}

/// Nobody but Go makes system calls in it: C was neither compiled in, nor comes with libraries, as it does where a program calls C
/// without cgo.
fn is_without_c(elf: &Elf<'_>, build: &build_info::BuildInfo<'_>) -> bool {
    build.has_setting("CGO_ENABLED=0") && !relocations::needs_libraries(elf)
}
