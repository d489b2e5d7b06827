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
use crate::rot::Opener;

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

/// Those whose damaged logs are opened again, some in two ways: with the checks that they have, and as they come.
pub(crate) fn openers() -> Vec<Opener> {
    let opener = |how, peer, restart| Opener { how, peer, restart };
    vec![
        opener("", Box::new(aegis::Aegis), aegis::restart),
        opener("", Box::new(okaywal::Okaywal), |peer, dir, check| peer.replay(dir, check)),
        opener(", as it comes", Box::new(raft_engine::RaftEngine), |peer, dir, check| {
            peer.replay(dir, check)
        }),
        opener(", strict", Box::new(raft_engine::RaftEngine), raft_engine::strictly),
        opener(", as it comes", Box::new(redb::Redb), redb::as_it_comes),
        opener(", checked", Box::new(redb::Redb), |peer, dir, check| peer.replay(dir, check)),
        opener("", Box::new(sqlite::Blob), |peer, dir, check| peer.replay(dir, check)),
    ]
}
