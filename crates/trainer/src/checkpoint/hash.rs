//! Hashes that tell files and models apart. They find damage and careless edits, not malice.

use onestep_layers::ModelSpec;
use sha2::{Digest, Sha256};

use crate::TrainerError;

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// FNV-1a in hexadecimal: a short name for a model, and what the first version of the format had for
/// files.
pub(super) fn fnv1a(bytes: &[u8]) -> String {
    format!("{:016x}", onestep_base::hash::fnv1a(bytes))
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
    fn hashes_match_published_values() {
        assert_eq!(fnv1a(b""), "cbf29ce484222325");
        assert_eq!(fnv1a(b"foobar"), "85944171f73967e8");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
    }
}
