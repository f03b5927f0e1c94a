//! Which source tells of the members: the binary's own debugging information, else the table.
use crate::{
    Error,
    build_info::BuildInfo,
    dwarf::{self, Wanted},
    elf::Elf,
    functions::Found,
    members::Members,
    offsets::{self, GO, Release, Unknown},
    wanted::{GRPC, RUNTIME, STRUCTURES, X_NET},
};

/// Experiments of the compiler that give the runtime's structures other members.
const OTHER_LAYOUTS: [&str; 2] = ["staticlockranking", "noexectracer2"];

/// The members that are known of this binary.
pub fn members(
    elf: &Elf<'_>,
    build: &BuildInfo<'_>,
    functions: &[Found],
    missing: &mut Vec<String>,
) -> Members {
    match dwarf::read(elf, &wanted(functions)) {
        Some(described) if described.whole && !described.members.is_empty() => return described.members,
        Some(_) => missing
            .push("the binary's debugging information is damaged or not Go's: it is not used".to_owned()),
        None => {}
    }
    let mut members = Members::default();
    from_table(&mut members, GO, Some(Release(build.version.major, build.version.minor)), missing);
    if let Some(experiment) = OTHER_LAYOUTS.iter().find(|name| build.has_experiment(name)) {
        missing.push(format!(
            "the binary was built with GOEXPERIMENT {experiment} and has no debugging information"
        ));
        return Members::default();
    }
    for module in [X_NET, GRPC] {
        if functions.iter().any(|found| found.vendor.is_empty() && found.known.package.starts_with(module)) {
            from_table(&mut members, module, build.module(module), missing);
        }
    }
    members
}

fn from_table(members: &mut Members, module: &str, release: Option<Release>, missing: &mut Vec<String>) {
    let Some(release) = release else {
        missing
            .push(format!("the binary has no debugging information and does not say which {module} it has"));
        return;
    };
    let named = if module == GO { "Go" } else { module };
    let why = match offsets::of(module, release) {
        Ok(known) => return members.extend(known),
        Err(Unknown::Module) => "no version of it is known".to_owned(),
        Err(Unknown::Older(oldest)) => format!("the oldest that is known is {oldest}"),
        Err(Unknown::Newer(newest)) => format!("the newest that is known is {newest}"),
    };
    missing.push(format!(
        "the binary has no debugging information, and was built with {named} {release}: {why}"
    ));
}

/// The structures of the packages that are in the binary, by their full names.
pub fn wanted(functions: &[Found]) -> Wanted {
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

/// The members that a binary's own debugging information tells: what the table is made of. None: it has none that is whole.
///
/// # Errors
/// When it is no executable.
pub fn described(bytes: &[u8]) -> Result<Option<Members>, Error> {
    let Some(elf) = Elf::parse(bytes)? else { return Ok(None) };
    let described = dwarf::read(&elf, &wanted(&[])).filter(|described| described.whole);
    Ok(described.map(|described| described.members))
}
