//! Journals as bytes: frozen specimens, cuts at every byte, every truncation and bit flip, and the laws of replay on
//! a real commit loop.
//!
//! The specimens in fixtures/journals/ are read and copied, never written: `cargo run -p aegis-forensics
//! --example specimen -- DIR` makes new ones elsewhere.

mod bytes {
    mod cuts;
    mod flips;
    mod laws;
    mod specimens;
    mod support;
}
