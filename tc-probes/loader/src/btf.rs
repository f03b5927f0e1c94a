//! Offsets of kernel structures' members, from the kernel's own type information.
//! Format: Documentation/bpf/btf.rst of the kernel.
use std::fs;

use crate::error::{LoaderError, Result};

const MAGIC: u16 = 0xeb9f;
/// Size of `struct btf_type`.
const TYPE_LEN: usize = 12;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_FUNCTION: u32 = 12;
/// Typedef, volatile, const, restrict, type tag: kinds that stand in front of another type.
const KINDS_MODIFIER: [u32; 5] = [8, 9, 10, 11, 18];

/// The kernel's types: the file as it is, some 5 MiB, and where each type begins in it. A few members are looked up
/// once, so nothing is indexed by name.
pub struct KernelTypes {
    data: Vec<u8>,
    /// Where the strings begin.
    strings: usize,
    /// Offset of each `struct btf_type`, by type id; type 0 is void and has none.
    types: Vec<u32>,
}

/// `struct btf_type`.
#[derive(Clone, Copy)]
struct Type {
    at: usize,
    name: u32,
    kind: u32,
    entries: usize,
    bitfields: bool,
    /// Of a modifier: the type behind it.
    target: u32,
}

impl KernelTypes {
    /// Reads /sys/kernel/btf/vmlinux.
    ///
    /// # Errors
    /// When the kernel gives none, or not what the format says.
    pub fn from_kernel() -> Result<Self> {
        let data = fs::read("/sys/kernel/btf/vmlinux").map_err(|source| LoaderError::NoBtf { source })?;
        Self::parse(data).ok_or_else(|| LoaderError::Btf { what: "not in the known format".into() })
    }

    /// The offset in bytes of a member, named by a path such as `["__sk_common", "skc_net"]`. Members of anonymous
    /// structures and unions count as the outer one's.
    ///
    /// # Errors
    /// When the kernel has no such structure or member.
    pub fn offset(&self, structure: &str, path: &[&str]) -> Result<u32> {
        self.find(structure, path).ok_or_else(|| LoaderError::Btf {
            what: format!("this kernel has no {structure}.{}", path.join(".")),
        })
    }

    /// How many parameters a function of the kernel has.
    ///
    /// # Errors
    /// When the kernel has no such function.
    pub fn parameters(&self, function: &str) -> Result<u32> {
        let is_wanted = |found: &Type| {
            found.kind == KIND_FUNCTION && self.string(found.name) == Some(function.as_bytes())
        };
        let prototype = self.all().find(is_wanted).and_then(|found| self.resolve(found.target));
        prototype
            .map(|prototype| prototype.entries as u32)
            .ok_or_else(|| LoaderError::Btf { what: format!("this kernel has no function {function}") })
    }

    fn all(&self) -> impl Iterator<Item = Type> {
        self.types.iter().skip(1).filter_map(|at| self.read_type(*at as usize))
    }

    fn find(&self, structure: &str, path: &[&str]) -> Option<u32> {
        let is_wanted =
            |found: &Type| found.kind == KIND_STRUCT && self.string(found.name) == Some(structure.as_bytes());
        let mut found = self.all().find(is_wanted)?;
        let mut bits = 0;
        for (depth, name) in path.iter().enumerate() {
            let (type_id, offset) = self.member(found, name.as_bytes())?;
            bits += offset;
            if depth + 1 < path.len() {
                found = self.resolve(type_id)?;
            }
        }
        Some(bits / 8)
    }

    /// Type and offset in bits of a member.
    fn member(&self, structure: Type, name: &[u8]) -> Option<(u32, u32)> {
        if structure.kind != KIND_STRUCT && structure.kind != KIND_UNION {
            return None;
        }
        (0..structure.entries).find_map(|index| {
            let at = structure.at + TYPE_LEN + index * 12;
            let (member, type_id, offset) =
                (u32(&self.data, at)?, u32(&self.data, at + 4)?, u32(&self.data, at + 8)?);
            let offset = if structure.bitfields { offset & 0x00ff_ffff } else { offset };
            match self.string(member)? {
                found if found == name => Some((type_id, offset)),
                b"" => {
                    let (type_id, inner) = self.member(self.resolve(type_id)?, name)?;
                    Some((type_id, offset + inner))
                }
                _ => None,
            }
        })
    }

    fn resolve(&self, mut type_id: u32) -> Option<Type> {
        // Chains of modifiers are short; the bound is for a file that goes round in circles.
        for _ in 0..16 {
            let found = self.read_type(*self.types.get(type_id as usize)? as usize)?;
            if !KINDS_MODIFIER.contains(&found.kind) {
                return Some(found);
            }
            type_id = found.target;
        }
        None
    }

    fn parse(data: Vec<u8>) -> Option<Self> {
        if u16(&data, 0)? != MAGIC {
            return None;
        }
        let header_len = u32(&data, 4)? as usize;
        let start = header_len + u32(&data, 8)? as usize;
        let end = start + u32(&data, 12)? as usize;
        let strings = header_len + u32(&data, 16)? as usize;
        let mut this = Self { data, strings, types: vec![0] };
        let mut at = start;
        while at < end {
            this.types.push(u32::try_from(at).ok()?);
            let found = this.read_type(at)?;
            at += TYPE_LEN + body_len(found.kind, found.entries)?;
        }
        Some(this)
    }

    fn read_type(&self, at: usize) -> Option<Type> {
        let info = u32(&self.data, at + 4)?;
        Some(Type {
            at,
            name: u32(&self.data, at)?,
            kind: (info >> 24) & 0x1f,
            entries: (info & 0xffff) as usize,
            bitfields: info >> 31 == 1,
            target: u32(&self.data, at + 8)?,
        })
    }

    fn string(&self, offset: u32) -> Option<&[u8]> {
        let bytes = self.data.get(self.strings + offset as usize..)?;
        bytes.split(|byte| *byte == 0).next()
    }
}

/// How many bytes follow `struct btf_type`.
fn body_len(kind: u32, entries: usize) -> Option<usize> {
    Some(match kind {
        // Int, variable, declaration tag.
        1 | 14 | 17 => 4,
        KIND_ARRAY => 12,
        // Structure, union, data section, 64-bit enum.
        KIND_STRUCT | KIND_UNION | 15 | 19 => 12 * entries,
        // Enum, function prototype.
        6 | 13 => 8 * entries,
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

fn u16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_refused() {
        assert!(KernelTypes::parse(Vec::new()).is_none());
        assert!(KernelTypes::parse(vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).is_none());
    }

    #[test]
    fn this_kernel_has_the_members() {
        // Needs no privileges, only a kernel with BTF, which every kernel that weft runs on has.
        let Ok(types) = KernelTypes::from_kernel() else { return };
        assert_eq!(types.offset("sock_common", &["skc_daddr"]).ok(), Some(0));
        assert!(
            types.offset("sk_buff", &["dev"]).is_ok_and(|offset| offset > 0),
            "inside an anonymous union"
        );
        assert!(types.offset("tcp_sock", &["write_seq"]).is_ok());
        assert!(types.offset("tcp_sock", &["no_such_member"]).is_err());
    }
}
