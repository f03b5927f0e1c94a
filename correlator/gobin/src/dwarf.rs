//! Members of structures as the compiler describes them (DWARF 4 until Go 1.24, DWARF 5 since).
//!
//! The units are read one entry after the other, once. Only Go's units are read; what is in them is not trusted: the number of
//! attributes read is bounded, and so is how far one type leads to the next.
use std::collections::HashMap;

use gimli::{
    Abbreviations, AttributeValue, DebugAbbrev, DebugInfo, DwTag, EndianSlice, EntriesRaw, LittleEndian,
    UnitHeader, UnitOffset, constants as dw,
};

use crate::{
    elf::Elf,
    inflate::debug_section,
    members::{Member, Members},
};

/// How much of the units is looked at where the linker compressed them, in bytes: a binary of 200 MB has 40 MB.
const MOST_INFO: usize = 48 << 20;
/// How large a table of abbreviations may be; Go's is of some hundred bytes.
const MOST_ABBREVIATIONS: usize = 64 << 10;
/// How many tables are read: C objects have one each.
const MOST_TABLES: usize = 2048;
/// How many attributes are read in all; a binary of 200 MB has some 20 million.
const MOST_ATTRIBUTES: usize = 100_000_000;
/// How many attributes an entry may have; Go's have up to ten.
const MOST_IN_ENTRY: usize = 64;
/// How many types may lead from one to the next, and how many structures may be in one another.
const MOST_HOPS: usize = 8;

type Slice<'i> = EndianSlice<'i, LittleEndian>;

/// What is looked for: members by the full name of their structure.
pub type Wanted = HashMap<String, &'static [&'static str]>;

/// What the debugging information said.
pub struct Described {
    /// The members that were found.
    pub members: Members,
    /// It was read from its beginning to its end: what was not found is not in the program.
    pub whole: bool,
}

/// None: the binary has no debugging information.
pub fn read(elf: &Elf<'_>, wanted: &Wanted) -> Option<Described> {
    let info = debug_section(elf, "info", MOST_INFO)?;
    let abbreviations = debug_section(elf, "abbrev", MOST_INFO / 8)?;
    let mut walk = Walk {
        info: &info.bytes,
        abbreviations: &abbreviations.bytes,
        wanted,
        members: Members::default(),
        attributes_left: MOST_ATTRIBUTES,
    };
    let whole = walk.units().is_some();
    Some(Described { members: walk.members, whole: whole && info.whole && abbreviations.whole })
}

struct Walk<'i> {
    info: &'i [u8],
    abbreviations: &'i [u8],
    wanted: &'i Wanted,
    members: Members,
    attributes_left: usize,
}

/// A unit with what its entries are read by.
struct Unit<'i, 'a> {
    header: UnitHeader<Slice<'i>>,
    abbreviations: &'a Abbreviations,
}

/// What is of interest of an entry.
#[derive(Default)]
struct Entry<'i> {
    name: Option<&'i [u8]>,
    kind: Option<usize>,
    offset: Option<u64>,
    language: Option<u64>,
}

impl<'i> Walk<'i> {
    /// None where something does not hold together: what was found before that stays.
    fn units(&mut self) -> Option<()> {
        let mut tables = Tables::default();
        let mut units = DebugInfo::new(self.info, LittleEndian).units();
        while let Some(header) = units.next().ok()? {
            let Some(abbreviations) = tables.of(self.abbreviations, &header) else { continue };
            if self.unit(&Unit { header, abbreviations })? {
                tables.keep(&header);
            }
        }
        Some(())
    }

    /// Whether it is one of Go's.
    fn unit(&mut self, unit: &Unit<'i, '_>) -> Option<bool> {
        let mut entries = unit.header.entries_raw(unit.abbreviations, None).ok()?;
        let (_, root) = self.entry(unit, &mut entries)??;
        if root.language != Some(u64::from(dw::DW_LANG_Go.0)) {
            return Some(false);
        }
        while !entries.is_empty() {
            let Some((dw::DW_TAG_structure_type, entry)) = self.entry(unit, &mut entries)? else { continue };
            let name = entry.name.and_then(|name| str::from_utf8(name).ok());
            if let Some((name, members)) = name.and_then(|name| self.wanted.get_key_value(name)) {
                self.structure(unit, &mut entries, &Place { name, base: 0, hops: 0 }, members)?;
            }
        }
        Some(true)
    }

    /// The members of the structure whose entry was read last.
    fn structure(
        &mut self,
        unit: &Unit<'i, '_>,
        entries: &mut EntriesRaw<'_, Slice<'i>>,
        place: &Place<'_>,
        wanted: &[&str],
    ) -> Option<()> {
        while let Some((tag, entry)) = self.entry(unit, entries)? {
            let name = entry.name.and_then(|name| str::from_utf8(name).ok());
            let (dw::DW_TAG_member, Some(name), Some(offset)) = (tag, name, entry.offset) else { continue };
            let offset = u32::try_from(offset).ok().and_then(|offset| place.base.checked_add(offset))?;
            let full = format!("{}.{name}", place.name);
            let inner: Vec<&str> =
                wanted.iter().filter_map(|path| path.strip_prefix(name)?.strip_prefix('.')).collect();
            if !inner.is_empty() && place.hops < MOST_HOPS {
                let (_, mut entries) = self.resolve(unit, entry.kind?)?;
                let place = Place { name: &full, base: offset, hops: place.hops + 1 };
                self.structure(unit, &mut entries, &place, &inner)?;
            }
            if wanted.contains(&name) {
                let (kind, _) = self.resolve(unit, entry.kind?)?;
                self.members.insert(full, Member { offset, pointer: kind == dw::DW_TAG_pointer_type });
            }
        }
        Some(())
    }

    /// The type at this offset of all units, behind any names it was given, and where its members begin.
    fn resolve<'a>(
        &mut self,
        unit: &Unit<'i, 'a>,
        mut offset: usize,
    ) -> Option<(DwTag, EntriesRaw<'a, Slice<'i>>)> {
        for _ in 0..MOST_HOPS {
            // Go's units share one table of abbreviations: a type may be described in another unit.
            let rest = EndianSlice::new(self.info.get(offset..)?, LittleEndian);
            let mut entries =
                EntriesRaw::new(rest, unit.header.encoding(), unit.abbreviations, UnitOffset(offset));
            let (tag, entry) = self.entry(unit, &mut entries)??;
            if tag != dw::DW_TAG_typedef {
                return Some((tag, entries));
            }
            offset = entry.kind?;
        }
        None
    }

    /// The next entry; `Some(None)` ends a list of children.
    fn entry(
        &mut self,
        unit: &Unit<'i, '_>,
        entries: &mut EntriesRaw<'_, Slice<'i>>,
    ) -> Option<Option<(DwTag, Entry<'i>)>> {
        let Some(abbreviation) = entries.read_abbreviation().ok()? else { return Some(None) };
        let attributes = abbreviation.attributes();
        self.attributes_left = self.attributes_left.checked_sub(attributes.len().max(1))?;
        if attributes.len() > MOST_IN_ENTRY {
            return None;
        }
        let tag = abbreviation.tag();
        if !matches!(
            tag,
            dw::DW_TAG_compile_unit | dw::DW_TAG_structure_type | dw::DW_TAG_member | dw::DW_TAG_typedef
        ) {
            entries.skip_attributes(attributes).ok()?;
            return Some(Some((tag, Entry::default())));
        }
        let mut entry = Entry::default();
        for attribute in attributes {
            let attribute = entries.read_attribute(*attribute).ok()?;
            entry.take(unit, attribute.name(), attribute.value());
        }
        Some(Some((tag, entry)))
    }
}

/// Where in a structure another one lies.
struct Place<'a> {
    name: &'a str,
    base: u32,
    hops: usize,
}

/// Tables of abbreviations, as far as they are needed again: Go's units share one, which a C linker puts among others.
#[derive(Default)]
struct Tables {
    latest: Option<(usize, Abbreviations)>,
    go: Option<(usize, Abbreviations)>,
    read: usize,
}

impl Tables {
    /// The table of this unit; None: it is not one of Go's.
    fn of(&mut self, section: &[u8], header: &UnitHeader<Slice<'_>>) -> Option<&Abbreviations> {
        let offset = header.debug_abbrev_offset().0;
        let is = |table: &Option<(usize, Abbreviations)>| table.as_ref().is_some_and(|(at, _)| *at == offset);
        if is(&self.go) {
            return self.go.as_ref().map(|(_, table)| table);
        }
        if !is(&self.latest) {
            self.read += 1;
            let table = Self::parse(section, offset).filter(|_| self.read <= MOST_TABLES)?;
            self.latest = Some((offset, table));
        }
        self.latest.as_ref().map(|(_, table)| table)
    }

    /// This unit is Go's, and so is its table.
    fn keep(&mut self, header: &UnitHeader<Slice<'_>>) {
        let offset = header.debug_abbrev_offset().0;
        if let Some(table) = self.latest.take_if(|(at, _)| *at == offset) {
            self.go = Some(table);
        }
    }

    fn parse(section: &[u8], offset: usize) -> Option<Abbreviations> {
        let rest = section.get(offset..)?;
        let rest = rest.get(..MOST_ABBREVIATIONS).unwrap_or(rest);
        DebugAbbrev::new(rest, LittleEndian).abbreviations(gimli::DebugAbbrevOffset(0)).ok()
    }
}

impl<'i> Entry<'i> {
    fn take(&mut self, unit: &Unit<'i, '_>, name: gimli::DwAt, value: AttributeValue<Slice<'i>>) {
        match (name, value) {
            // Go's linker writes names where they are used.
            (dw::DW_AT_name, AttributeValue::String(name)) => self.name = Some(name.slice()),
            (dw::DW_AT_type, AttributeValue::DebugInfoRef(offset)) => self.kind = Some(offset.0),
            (dw::DW_AT_type, AttributeValue::UnitRef(offset)) => {
                self.kind = offset.to_debug_info_offset(&unit.header).map(|offset| offset.0);
            }
            (dw::DW_AT_data_member_location, value) => self.offset = value.udata_value(),
            (dw::DW_AT_language, AttributeValue::Language(language)) => {
                self.language = Some(language.0.into())
            }
            _ => {}
        }
    }
}
