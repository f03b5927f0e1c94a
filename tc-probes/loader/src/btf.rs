//! Offsets of kernel structures' members, from the kernel's own type information.
//! Format: Documentation/bpf/btf.rst of the kernel.
use std::{collections::HashMap, fs};

use crate::error::{LoaderError, Result};

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
/// Typedef, volatile, const, restrict, type tag: kinds that stand in front of another type.
const KINDS_MODIFIER: [u32; 5] = [8, 9, 10, 11, 18];

/// The kernel's types.
pub struct KernelTypes {
    types: Vec<Type>,
    /// Structures by name.
    structs: HashMap<String, usize>,
}

/// What is needed of a type.
struct Type {
    kind: u32,
    /// Of a modifier: the type behind it.
    target: usize,
    members: Vec<Member>,
}

struct Member {
    name: String,
    type_id: usize,
    bit_offset: u32,
}

impl KernelTypes {
    /// Reads /sys/kernel/btf/vmlinux.
    ///
    /// # Errors
    /// When the kernel gives none, or not what the format says.
    pub fn from_kernel() -> Result<Self> {
        let data = fs::read("/sys/kernel/btf/vmlinux").map_err(|source| LoaderError::NoBtf { source })?;
        Self::parse(&data).ok_or_else(|| LoaderError::Btf { what: "not in the known format".into() })
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

    fn find(&self, structure: &str, path: &[&str]) -> Option<u32> {
        let mut type_id = *self.structs.get(structure)?;
        let mut bits = 0;
        for name in path {
            let (member_type, offset) = self.member(type_id, name)?;
            type_id = member_type;
            bits += offset;
        }
        Some(bits / 8)
    }

    fn member(&self, type_id: usize, name: &str) -> Option<(usize, u32)> {
        let structure = self.resolve(type_id)?;
        structure.members.iter().find_map(|member| {
            if member.name == name {
                return Some((member.type_id, member.bit_offset));
            }
            if !member.name.is_empty() {
                return None;
            }
            let (type_id, offset) = self.member(member.type_id, name)?;
            Some((type_id, member.bit_offset + offset))
        })
    }

    fn resolve(&self, mut type_id: usize) -> Option<&Type> {
        // Chains of modifiers are short; the bound is for a file that goes round in circles.
        for _ in 0..16 {
            let found = self.types.get(type_id)?;
            if !KINDS_MODIFIER.contains(&found.kind) {
                return Some(found);
            }
            type_id = found.target;
        }
        None
    }

    fn parse(data: &[u8]) -> Option<Self> {
        if u16(data, 0)? != MAGIC {
            return None;
        }
        let section = |at: usize| -> Option<&[u8]> {
            let start = u32(data, 4)? as usize + u32(data, at)? as usize;
            data.get(start..start + u32(data, at + 4)? as usize)
        };
        let (types, strings) = (section(8)?, section(HEADER_LEN - 8)?);
        // Type 0 is void.
        let mut this =
            Self { types: vec![Type { kind: 0, target: 0, members: Vec::new() }], structs: HashMap::new() };
        let mut at = 0;
        while at < types.len() {
            at = this.read_type(types, strings, at)?;
        }
        Some(this)
    }

    /// Reads `struct btf_type` and what follows it; gives the offset behind.
    fn read_type(&mut self, types: &[u8], strings: &[u8], at: usize) -> Option<usize> {
        let (name, info, size_or_type) = (u32(types, at)?, u32(types, at + 4)?, u32(types, at + 8)?);
        let (kind, entries, bitfields) = ((info >> 24) & 0x1f, (info & 0xffff) as usize, info >> 31 == 1);
        let body = at + 12;
        let mut members = Vec::new();
        if kind == KIND_STRUCT || kind == KIND_UNION {
            members = (0..entries)
                .map(|index| read_member(types, strings, body + index * 12, bitfields))
                .collect::<Option<_>>()?;
            if kind == KIND_STRUCT {
                self.structs.entry(string(strings, name)?).or_insert(self.types.len());
            }
        }
        self.types.push(Type { kind, target: size_or_type as usize, members });
        Some(body + body_len(kind, entries)?)
    }
}

fn read_member(types: &[u8], strings: &[u8], at: usize, bitfields: bool) -> Option<Member> {
    let offset = u32(types, at + 8)?;
    Some(Member {
        name: string(strings, u32(types, at)?)?,
        type_id: u32(types, at + 4)? as usize,
        bit_offset: if bitfields { offset & 0x00ff_ffff } else { offset },
    })
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

fn string(strings: &[u8], at: u32) -> Option<String> {
    let bytes = strings.get(at as usize..)?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    String::from_utf8(bytes.get(..end)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_refused() {
        assert!(KernelTypes::parse(b"").is_none());
        assert!(KernelTypes::parse(&[0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).is_none());
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
