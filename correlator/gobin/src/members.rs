//! Where structures have their members, however that came to be known.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A member of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Member {
    /// From the structure's beginning, in bytes.
    pub offset: u32,
    /// It is a pointer: what it points to lies elsewhere.
    pub pointer: bool,
}

/// Members by `type.member`, the type with the path of its package (`net/http.Request.ctx`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Members(BTreeMap<String, Member>);

/// A member in the table: 152, or `{"pointer": 48}`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Inside(u32),
    Pointer { pointer: u32 },
}

impl Members {
    /// The member of this type and name.
    pub fn get(&self, structure: &str, member: &str) -> Option<Member> {
        self.0.get(&format!("{structure}.{member}")).copied()
    }

    /// The member's offset.
    pub fn offset(&self, structure: &str, member: &str) -> Option<u32> {
        self.get(structure, member).map(|member| member.offset)
    }

    /// The first that is told of a name counts.
    pub fn insert(&mut self, name: String, member: Member) {
        self.0.entry(name).or_insert(member);
    }

    /// Those that others know, too.
    pub fn extend(&mut self, others: &Self) {
        others.0.iter().for_each(|(name, member)| self.insert(name.clone(), *member));
    }

    /// Only those whose names pass.
    pub fn retain(&mut self, mut passes: impl FnMut(&str) -> bool) {
        self.0.retain(|name, _| passes(name));
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Member)> {
        self.0.iter().map(|(name, member)| (name.as_str(), *member))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Written> for Member {
    fn from(written: Written) -> Self {
        match written {
            Written::Inside(offset) => Self { offset, pointer: false },
            Written::Pointer { pointer: offset } => Self { offset, pointer: true },
        }
    }
}

impl From<Member> for Written {
    fn from(Member { offset, pointer }: Member) -> Self {
        if pointer { Self::Pointer { pointer: offset } } else { Self::Inside(offset) }
    }
}
