//! Structures of the ABI in what is serialised: the bytes that they are.
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub(crate) fn serialize<T, S>(structure: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: IntoBytes + Immutable,
    S: Serializer,
{
    serializer.collect_seq(structure.as_bytes())
}

pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromBytes,
    D: Deserializer<'de>,
{
    let bytes = Vec::<u8>::deserialize(deserializer)?;
    T::read_from_bytes(&bytes)
        .map_err(|_| D::Error::invalid_length(bytes.len(), &"as many bytes as the structure has"))
}
