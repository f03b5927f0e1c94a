//! Where structures have their members, however that came to be known.
use std::collections::HashMap;

/// A member of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// From the structure's beginning, in bytes.
    pub offset: u32,
    /// It is a pointer: what it points to lies elsewhere.
    pub pointer: bool,
}

/// Members by `type.member`, the type with the path of its package (`net/http.Request.ctx`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(HashMap<String, Member>);

impl Members {
    /// The member of this type and name.
    pub fn get(&self, structure: &str, member: &str) -> Option<Member> {
        self.0.get(&format!("{structure}.{member}")).copied()
    }

    /// The member's offset.
    pub fn offset(&self, structure: &str, member: &str) -> Option<u32> {
        self.get(structure, member).map(|member| member.offset)
    }

    /// The first that is told counts.
    pub fn insert(&mut self, name: String, member: Member) {
        self.0.entry(name).or_insert(member);
    }
}
