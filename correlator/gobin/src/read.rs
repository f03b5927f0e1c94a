//! All parts together.
use object::elf::EM_X86_64;
use weft_abi::GoProcess;

use crate::{
    Error, GoBinary, build_id,
    build_info::{self, BuildInfo},
    dwarf::{self, Wanted},
    elf::Elf,
    functions::Found,
    members::Members,
    points, runtime, symbols, tls,
    wanted::{RUNTIME, STRUCTURES},
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
    let functions = symbols.functions.found();
    let members = members(&elf, &build, &functions, &mut missing);
    let points =
        functions.iter().filter_map(|found| points::point(&elf, found, &members, &mut missing)).collect();
    Ok(Some(GoBinary {
        version: build.version,
        build_id: build_id::find(&elf),
        process: process(&elf, &members, symbols.variables.tlsg),
        points,
        runtime: runtime::addresses(&symbols.variables, &members),
        missing,
    }))
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

fn members(elf: &Elf<'_>, build: &BuildInfo<'_>, functions: &[Found], missing: &mut Vec<String>) -> Members {
    let Some(described) = dwarf::read(elf, &wanted(functions)) else {
        let grpc = build.module("google.golang.org/grpc");
        missing
            .push(format!("the binary has no debugging information (Go {}, grpc {grpc:?})", build.version));
        return Members::default();
    };
    if !described.whole {
        missing.push("the debugging information is damaged".to_owned());
    }
    described.members
}

/// The structures of the packages that are in the binary.
fn wanted(functions: &[Found]) -> Wanted {
    let mut wanted = Wanted::new();
    for structure in &STRUCTURES {
        let package = structure.package;
        let mut want = |vendor: &str| {
            wanted.insert(format!("{vendor}{package}.{}", structure.name), structure.members);
        };
        want("");
        if package != RUNTIME {
            functions.iter().for_each(|found| want(&found.vendor));
        }
    }
    wanted
}
