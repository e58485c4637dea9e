//! Chance that spreads the waits of replicas. It needs to be uneven, not secret.

/// Any number; when the generator fails, replicas are merely less spread.
pub(super) fn random() -> u32 {
    let mut octets = [0; 4];
    match aws_lc_rs::rand::fill(&mut octets) {
        Ok(()) => u32::from_be_bytes(octets),
        Err(_) => u32::MAX / 2,
    }
}
