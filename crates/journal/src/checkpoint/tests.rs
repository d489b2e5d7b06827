//! Checkpoints are believed whole or not at all.

use super::*;

#[test]
fn a_checkpoint_round_trips_and_every_bit_of_it_counts() {
    let identity = Identity { journal_id: [3; 16], schema: 1, mode: 2 };
    let checkpoint = Checkpoint { lsn: 77, digest: [5; 32], bytes: b"folded state".to_vec() };
    for place in [None, Some(Place { segment: 3, offset: 4096, lsn: 30, chain: 5 })] {
        let file = checkpoint.encode(&identity, place);
        let named = Named { identity, checkpoint: checkpoint.clone(), place };
        assert_eq!(Checkpoint::decode(file), Some(named));
    }
    let file = checkpoint.encode(&identity, None);
    for bit in 0..file.len() * 8 {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Checkpoint::decode(damaged), None, "bit {bit}");
    }
    for length in 0..file.len() {
        assert_eq!(Checkpoint::decode(file[..length].to_vec()), None);
    }
}

#[test]
fn file_names_carry_the_lsn() {
    assert_eq!(lsn_of(&name(42)), Some(42));
    assert_eq!(lsn_of(&name(u64::MAX)), Some(u64::MAX));
    for other in ["42.ckpt", "ckpt", "0000000000000000004x.ckpt", "write.tmp"] {
        assert_eq!(lsn_of(other), None, "{other}");
    }
}
