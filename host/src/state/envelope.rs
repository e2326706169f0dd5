//! What surrounds every stored value: a CRC-32, because redb does not check pages when it reads them after a
//! quick repair, and a version, so that an encoding may change without touching values already written.
//!
//! Layout: CRC-32 of all that follows (4 bytes, little endian), version (1 byte), payload.

use serde::{Serialize, de::DeserializeOwned};

use super::failure::Failure;

const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;

/// The start of a value. The payload is to be appended, then [`seal`] completes it: nothing is copied in between.
pub(super) fn begin() -> Vec<u8> {
    let mut value = vec![0; CRC_BYTES];
    value.push(VERSION);
    value
}

/// Completes a value that was begun.
pub(super) fn seal(value: &mut [u8]) {
    let crc = crc32fast::hash(&value[CRC_BYTES..]);
    value[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// The payload of a value, or what is wrong with it.
pub(super) fn open(value: &[u8]) -> Result<&[u8], String> {
    let Some((crc, [version, payload @ ..])) = value.split_first_chunk() else {
        return Err(format!("{} bytes are too few for a value", value.len()));
    };
    if u32::from_le_bytes(*crc) != crc32fast::hash(&value[CRC_BYTES..]) {
        return Err("its checksum does not match".to_owned());
    }
    if *version != VERSION {
        return Err(format!("its encoding has version {version}, and this tidemill knows version {VERSION}"));
    }
    Ok(payload)
}

/// A small record as a value.
pub(super) fn encode(record: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut value = postcard::to_extend(record, begin()).map_err(|error| Failure::Encode(error.to_string()))?;
    seal(&mut value);
    Ok(value)
}

/// The record in a value, or what is wrong with it.
pub(super) fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    postcard::from_bytes(open(value)?).map_err(|error| error.to_string())
}
