//! What the linker wrote of the build: Go's version and those of the modules (debug/buildinfo of Go's library).
use memchr::memmem;
use object::elf;

use crate::{Error, GoVersion, elf::Elf, offsets::Release};

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The blob is aligned so.
const ALIGNMENT: u64 = 16;
/// Of the blob's header: behind it are the strings since Go 1.18.
const HEADER: usize = 32;
/// Around the module information there are markers of this length.
const MARKER: usize = 16;
/// More than the modules of any program take.
const MOST_MODULES: usize = 4 << 20;

/// The build information of an executable.
#[derive(Clone, Copy, Debug)]
pub struct BuildInfo<'a> {
    /// The compiler's version.
    pub version: GoVersion,
    /// What follows `X:` behind the version, separated by commas.
    experiments: &'a str,
    /// Lines of `dep`, path, version and checksum, and of what replaces one; since Go 1.18 of `build` and a setting.
    modules: &'a str,
}

/// There is something like it in these bytes, whatever they are.
pub fn is_somewhere(bytes: &[u8]) -> bool {
    memmem::find(bytes, MAGIC).is_some()
}

/// The build information; None: this is no Go program.
pub fn find<'a>(elf: &Elf<'a>) -> Result<Option<BuildInfo<'a>>, Error> {
    let Some(blob) = blob(elf) else { return Ok(None) };
    let damaged = |what| Error::BuildInfo { what };
    let (version, modules) = strings(elf, blob).ok_or(damaged("its strings"))?;
    let text = str::from_utf8(version).map_err(|_| damaged("its version"))?;
    let version = parse_version(text).ok_or(damaged("its version"))?;
    let experiments = text.split_once(" X:").map_or("", |(_, experiments)| experiments);
    Ok(Some(BuildInfo { version, experiments, modules: module_lines(modules) }))
}

impl BuildInfo<'_> {
    /// The compiler was built or told to do something that it does not do by itself (`GOEXPERIMENT`).
    pub fn has_experiment(&self, name: &str) -> bool {
        self.experiments.split(',').any(|experiment| experiment == name)
    }

    /// It was built with this setting (`CGO_ENABLED=0`): as the go command says it, other tools say nothing.
    pub fn has_setting(&self, setting: &str) -> bool {
        self.modules.lines().any(|line| line.strip_prefix("build\t") == Some(setting))
    }

    /// The release of a module as it was built in: of what replaced it, where it was replaced. None: it is not there, or is
    /// somebody's own copy.
    pub fn module(&self, path: &str) -> Option<Release> {
        let mut lines = self.modules.lines();
        let dependency =
            lines.by_ref().find_map(|line| fields(line, "dep").filter(|(name, _)| *name == path))?;
        let replaced = lines.next().and_then(|line| fields(line, "=>"));
        parse_release(replaced.unwrap_or(dependency).1)
    }
}

/// Major and minor of `v1.69.4`; a version that is no release counts as the one it leads to.
fn parse_release(text: &str) -> Option<Release> {
    let mut numbers = text.strip_prefix('v')?.split(['.', '-', '+']).map(|number| number.parse().ok());
    Some(Release(numbers.next()??, numbers.next()??))
}

fn fields<'a>(line: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    let mut fields = line.strip_prefix(kind)?.strip_prefix('\t')?.split('\t');
    Some((fields.next()?, fields.next().unwrap_or_default()))
}

fn blob<'a>(elf: &Elf<'a>) -> Option<&'a [u8]> {
    let named = elf.section(".go.buildinfo").map(|section| section.bytes);
    let named = named.filter(|bytes| bytes.starts_with(MAGIC));
    named.or_else(|| elf.loaded(elf::PF_W).find_map(|(address, bytes)| search(address, bytes)))
}

fn search(address: u64, bytes: &[u8]) -> Option<&[u8]> {
    let aligned = |at: &usize| address.wrapping_add(*at as u64).is_multiple_of(ALIGNMENT);
    bytes.get(memmem::find_iter(bytes, MAGIC).find(aligned)?..)
}

fn strings<'a>(elf: &Elf<'a>, blob: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    const INLINE: u8 = 2;
    if blob.get(15)? & INLINE != 0 {
        let (version, rest) = inline_string(blob.get(HEADER..)?)?;
        return Some((version, inline_string(rest).map_or(&[], |(modules, _)| modules)));
    }
    // Before Go 1.18: two pointers to Go's string headers.
    let version = pointed_string(elf, blob.get(16..24)?)?;
    Some((version, pointed_string(elf, blob.get(24..32)?).unwrap_or_default()))
}

/// A string behind its length (a varint); what follows it.
fn inline_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    for (place, byte) in bytes.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return bytes.get(place + 1..)?.split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

fn pointed_string<'a>(elf: &Elf<'a>, pointer: &[u8]) -> Option<&'a [u8]> {
    let header = elf.bytes_at(word(pointer)?)?;
    let length = usize::try_from(word(header.get(8..)?)?).ok()?;
    elf.bytes_at(word(header)?)?.get(..length)
}

fn word(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn module_lines(modules: &[u8]) -> &str {
    let inside = modules.get(MARKER..modules.len().saturating_sub(MARKER)).unwrap_or_default();
    let inside = inside.get(..MOST_MODULES).unwrap_or(inside);
    str::from_utf8(inside).unwrap_or_default()
}

/// `go1.26.8`, `go1.27rc1`, `go1.24.3 X:nocoverageredesign`, `devel go1.27-5a56d8848b Mon ...`.
fn parse_version(text: &str) -> Option<GoVersion> {
    let mut words = text.split([' ', '-', '+']).filter_map(|word| word.strip_prefix("go"));
    let mut numbers = words.next()?.split('.').map(leading_number);
    let (major, minor) = (numbers.next()??, numbers.next()??);
    Some(GoVersion { major, minor, patch: numbers.next().flatten().unwrap_or_default() })
}

fn leading_number(text: &str) -> Option<u16> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}
