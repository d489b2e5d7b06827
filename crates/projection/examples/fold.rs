//! Folds an engine's journal into its state: `cargo run -p aegis-projection --example fold -- aegis-data/act2/engine`.

use aegis_journal::JournalReader;
use aegis_model::event::{ENGINE_SCHEMA, Event};
use aegis_model::machine::RecordHead;
use aegis_model::{Lsn, Timestamp};
use aegis_projection::State;
use std::error::Error;
use std::path::Path;

fn fold(dir: &Path) -> Result<State, Box<dyn Error>> {
    let mut reader = JournalReader::open_dir(dir)?;
    // Records of another program, or records behind lost ones, would fold into something that never was.
    if reader.identity().schema != ENGINE_SCHEMA || !reader.gaps().is_empty() {
        return Err("not a whole journal of an engine".into());
    }
    let mut state = State::default();
    while let Some(record) = reader.next()? {
        let (kind, version, actor) = (record.kind, record.version, record.actor);
        let (time, cause) = (Timestamp(record.time_ns), Lsn(record.cause));
        let head = RecordHead { kind, version, actor, time, cause };
        state.apply(&Event::decode(head, record.payload)?);
    }
    Ok(state)
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).ok_or("which directory?")?;
    let state = fold(Path::new(&dir))?;
    for instrument in state.instruments.iter().filter(|i| i.is_open()) {
        let bought_at = instrument.entry_price().map_or("-".to_owned(), |price| price.to_string());
        println!("{} {} bought at {bought_at}", instrument.spec.name, instrument.held());
    }
    println!("{} records, {} closed, profit {}", state.lsn, state.totals.closed, state.totals.realised);
    println!("digest {}", state.digest().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specimen(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/journals").join(name)
    }

    /// What stands behind a torn tail was never acknowledged, and is no part of the state.
    #[test]
    fn a_specimen_has_the_digest_that_was_written_beside_it() {
        for name in ["v1/whole", "v2/whole", "v2/hole", "v2/torn", "v3/compressed"] {
            let state = fold(&specimen(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
            let digest: String = state.digest().iter().map(|byte| format!("{byte:02x}")).collect();
            let beside = std::fs::read_to_string(specimen(name).join("expected.json")).expect("it is there");
            assert!(beside.contains(&digest), "{name}: {digest}");
        }
    }

    #[test]
    fn a_journal_with_rot_makes_no_state() {
        for name in ["v2/rot", "v2/missing"] {
            assert!(fold(&specimen(name)).is_err(), "{name}");
        }
    }
}
