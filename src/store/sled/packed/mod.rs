//! Values are compressed as they are carried into sled: nobody who commits waits for that, and what is written again
//! before is not compressed at all.

use crate::store::kv::VALUE_BYTES_MAX;
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// What a record holds is new to the compressor, since it is short; here it knows our field names, the marks of HTML and
/// the commonest words before it begins. Its most likely parts stand last, as zstd has it.
const DICTIONARY_1: &[u8] = include_bytes!("dictionary-1.txt");
/// The number of the dictionary is the first byte of what is packed with it. Each further one gets a number of its own,
/// and the old ones stay for as long as anything was written with them.
const WITH_DICTIONARY_1: u8 = 1;
/// Below this there is little to gain, and a row of the ledger, which is shorter, is written again soon.
const PACKED_BYTES_MIN: usize = 512;
/// Measured on news text: level 3 gains 2 % for half as much time again, level 6 gains 5 % for three times the time.
const LEVEL: i32 = 1;
/// The number of the dictionary, and the length of what is packed (u32).
const HEAD_BYTES: usize = 5;

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::with_dictionary(LEVEL, DICTIONARY_1).ok());
    static UNPACKER: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_dictionary(DICTIONARY_1).ok());
}

/// `value`, packed; none if that is no gain.
pub(super) fn pack(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() < PACKED_BYTES_MIN {
        return None;
    }
    let frame = PACKER.with_borrow_mut(|packer| packer.as_mut()?.compress(value).ok())?;
    let length = u32::try_from(value.len()).ok()?;
    let packed = [&[WITH_DICTIONARY_1], &length.to_be_bytes()[..], &frame].concat();
    (packed.len() < value.len()).then_some(packed)
}

/// What was packed. Errors: why it cannot be had.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let Some((head, frame)) = packed.split_first_chunk::<HEAD_BYTES>() else { return Err("no length".into()) };
    let [dictionary, length @ ..] = head;
    if *dictionary != WITH_DICTIONARY_1 {
        return Err(format!("packed with dictionary {dictionary}, expected {WITH_DICTIONARY_1}"));
    }
    let length = (u32::from_be_bytes(*length) as usize).min(VALUE_BYTES_MAX);
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = unpacker.as_mut().ok_or("no memory to unpack it")?;
        unpacker.decompress(frame, length).map_err(|error| error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_shorter_and_comes_back() {
        let text = "the minister said ".repeat(40);
        let packed = pack(text.as_bytes()).unwrap();
        assert!(packed.len() < 100, "{}", packed.len());
        assert_eq!(unpack(&packed).unwrap(), text.as_bytes());
        assert_eq!(pack(b"short"), None);
        let noise: Vec<u8> = (0..600_u32).map(|n| (n.wrapping_mul(2_654_435_769) >> 24) as u8).collect();
        assert_eq!(pack(&noise), None, "no gain");
    }

    #[test]
    fn what_cannot_be_unpacked_says_why() {
        let packed = pack("the minister said ".repeat(40).as_bytes()).unwrap();
        assert_eq!(unpack(&packed[..3]), Err("no length".into()));
        assert_eq!(unpack(&[&[7], &packed[1..]].concat()), Err("packed with dictionary 7, expected 1".into()));
        assert!(unpack(&packed[..packed.len() - 1]).is_err());
        let short = [&packed[..1], &9_u32.to_be_bytes()[..], &packed[5..]].concat();
        assert!(unpack(&short).is_err(), "longer than it says");
    }
}
