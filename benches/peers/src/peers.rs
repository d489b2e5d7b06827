//! The peers, one file each, in the order of the table.

mod aegis;
mod bare;
mod fjall;
mod lmdb;
mod okaywal;
mod raft_engine;
mod redb;
mod sqlite;

use crate::log::Peer;

/// All of them.
pub(crate) fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(bare::Bare),
        Box::new(aegis::Aegis),
        Box::new(okaywal::Okaywal),
        Box::new(raft_engine::RaftEngine),
        Box::new(fjall::Fjall),
        Box::new(redb::Redb),
        Box::new(lmdb::Lmdb),
        Box::new(sqlite::Blob),
        Box::new(sqlite::TwoTables),
    ]
}
