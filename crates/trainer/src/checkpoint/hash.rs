//! Hashes that tell files and models apart. They find damage, not malice.

use onestep_layers::ModelSpec;

use crate::TrainerError;

/// FNV-1a of 64 bits, in hexadecimal
/// (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
pub(super) fn fnv1a(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The hash of a model's specification, whatever its name is.
pub(super) fn model_hash(model: &ModelSpec) -> Result<String, TrainerError> {
    let unnamed = ModelSpec { name: String::new(), ..model.clone() };
    Ok(fnv1a(unnamed.to_json()?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_matches_published_values() {
        assert_eq!(fnv1a(b""), "cbf29ce484222325");
        assert_eq!(fnv1a(b"foobar"), "85944171f73967e8");
    }
}
