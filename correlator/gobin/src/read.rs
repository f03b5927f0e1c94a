//! All parts together.
use object::elf::EM_X86_64;
use weft_abi::GoProcess;

use crate::{
    Error, GoBinary, build_id, build_info,
    elf::Elf,
    functions::{Found, Functions},
    members::Members,
    pclntab, points, runtime, sources, symbols, tls,
};

/// What an executable says of itself, from its bytes. None: it is no Go program.
///
/// It takes time in proportion to the bytes, and at most some 64 MiB of memory besides them, whatever they are.
///
/// # Errors
/// When it is a Go program of which nothing can be told, or no executable at all.
pub fn read(bytes: &[u8]) -> Result<Option<GoBinary>, Error> {
    let Some(elf) = Elf::parse(bytes)? else { return Ok(None) };
    let Some(build) = build_info::find(&elf)? else { return Ok(None) };
    if elf.machine() != EM_X86_64.0 {
        return Err(Error::Machine { machine: elf.machine() });
    }
    let mut missing = Vec::new();
    let symbols = symbols::read(&elf);
    let functions = functions(&elf, symbols.functions, &mut missing);
    let members = sources::members(&elf, &build, &functions, &mut missing);
    let points = functions.iter().filter_map(|found| points::point(&elf, found, &members)).collect();
    Ok(Some(GoBinary {
        version: build.version,
        build_id: build_id::find(&elf),
        process: process(&elf, &members, symbols.variables.tlsg),
        points,
        runtime: runtime::addresses(&symbols.variables, &members),
        missing,
    }))
}

/// Of the symbol table, else of the table that the runtime uses.
fn functions(elf: &Elf<'_>, symbols: Functions, missing: &mut Vec<String>) -> Vec<Found> {
    let found = symbols.found();
    if !found.is_empty() {
        return found;
    }
    match pclntab::functions(elf) {
        Some(Ok(functions)) => functions.found(),
        Some(Err(reason)) => {
            missing.push(format!("the binary's function table cannot be used: {reason}"));
            found
        }
        None => {
            missing.push("the binary has neither symbols nor a function table that is known".to_owned());
            found
        }
    }
}

fn process(elf: &Elf<'_>, members: &Members, tlsg: Option<u64>) -> GoProcess {
    let member = |structure, member| members.offset(structure, member).unwrap_or_default();
    GoProcess {
        g_tls: tls::g_offset(elf, tlsg),
        goid: member("runtime.g", "goid"),
        parent_goid: member("runtime.g", "parentGoid"),
        m: member("runtime.g", "m"),
        curg: member("runtime.m", "curg"),
    }
}
