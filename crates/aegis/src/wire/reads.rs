//! The lane of reads: what runs at once, and what waits for what. Lookups have slots of their own, and of listings that
//! wait only the newest is kept: its answer stands for every one that was asked before it.

use crate::wire::rest::Rest;
use crate::wire::words::{Ask, LookUp, Ours};
use crate::wire::{QUEUE, Shared, connections};
use aegis_cryptocom::Signer;
use aegis_model::Timestamp;
use aegis_model::input::Scope;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Lookups under way at once; most of them wait for their budget, and none of those may hold up one that need not.
const LOOKUPS_MAX: usize = 64;
/// Questions for balances under way at once; they wait for no full listing.
const BALANCES_MAX: usize = 8;
/// Questions for instruments and the account under way at once.
const OTHERS_MAX: usize = 8;

/// A listing that was asked for.
struct Wanted {
    number: u64,
    scope: Scope,
    trades_from: Timestamp,
    ours: Vec<Ours>,
}

/// Listings of one scope: so many at once, and the newest of those that wait.
struct Listings {
    under_way: JoinSet<()>,
    most: usize,
    next: Option<Wanted>,
}

impl Listings {
    fn new(most: usize) -> Listings {
        Listings { under_way: JoinSet::new(), most, next: None }
    }

    fn ask(&mut self, rest: &Arc<Rest>, wanted: Wanted) {
        if let Some(before) = &self.next {
            tracing::debug!(number = before.number, by = wanted.number, "a listing that waits is superseded");
        }
        self.next = Some(wanted);
        self.go_on(rest);
    }

    fn go_on(&mut self, rest: &Arc<Rest>) {
        if self.under_way.len() < self.most
            && let Some(Wanted { number, scope, trades_from, ours }) = self.next.take()
        {
            let rest = Arc::clone(rest);
            self.under_way.spawn(async move { rest.snapshot(number, scope, trades_from, &ours).await });
        }
    }
}

/// What runs and what waits.
struct Reads {
    rest: Arc<Rest>,
    lookups: JoinSet<u64>,
    /// Orders that are looked for, or are about to be.
    looked_for: BTreeSet<u64>,
    waiting: VecDeque<LookUp>,
    full: Listings,
    balances: Listings,
    others: JoinSet<()>,
}

impl Reads {
    fn take(&mut self, ask: Ask) {
        match ask {
            // Asked again while it is still looked for: the first answer serves both.
            Ask::LookUp(asked) if !self.looked_for.insert(asked.token) => {}
            Ask::LookUp(asked) => {
                self.waiting.push_back(asked);
                self.look_up();
            }
            Ask::Snapshot { number, scope, trades_from, ours } => {
                let listings = match scope {
                    Scope::Full => &mut self.full,
                    Scope::Balances => &mut self.balances,
                };
                listings.ask(&self.rest, Wanted { number, scope, trades_from, ours });
            }
            // Asked again while so many are under way: their answers serve it too.
            Ask::Instruments | Ask::Account if self.others.len() >= OTHERS_MAX => {}
            Ask::Instruments => {
                let rest = Arc::clone(&self.rest);
                self.others.spawn(async move { rest.instruments().await });
            }
            Ask::Account => {
                let rest = Arc::clone(&self.rest);
                self.others.spawn(async move { rest.account().await });
            }
            Ask::Place { .. } | Ask::Cancel { .. } => {
                tracing::error!("a write was given to the lane of reads");
            }
        }
    }

    fn look_up(&mut self) {
        while self.lookups.len() < LOOKUPS_MAX
            && let Some(asked) = self.waiting.pop_front()
        {
            let rest = Arc::clone(&self.rest);
            self.lookups.spawn(async move {
                rest.look_up(asked).await;
                asked.token
            });
        }
    }
}

/// Reads until it is told to stop; then what is under way is given up.
pub(super) async fn lane(
    shared: Arc<Shared>,
    signer: Arc<Signer>,
    mut asks: mpsc::Receiver<Ask>,
    mut stopped: watch::Receiver<bool>,
) {
    let Some(rest) = connections(Arc::clone(&shared), signer) else { return };
    let mut reads = Reads {
        rest: Arc::clone(&rest),
        lookups: JoinSet::new(),
        looked_for: BTreeSet::new(),
        waiting: VecDeque::new(),
        // One full listing at a time.
        full: Listings::new(1),
        balances: Listings::new(BALANCES_MAX),
        others: JoinSet::new(),
    };
    // What is under way ends with what holds it.
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            Some(done) = reads.lookups.join_next() => {
                if let Ok(token) = done {
                    reads.looked_for.remove(&token);
                }
                reads.look_up();
            }
            Some(_) = reads.full.under_way.join_next() => reads.full.go_on(&rest),
            Some(_) = reads.balances.under_way.join_next() => reads.balances.go_on(&rest),
            Some(_) = reads.others.join_next() => {}
            () = shared.measure.notified() => {
                let rest = Arc::clone(&rest);
                tokio::spawn(async move { rest.measure().await });
            }
            ask = asks.recv(), if reads.waiting.len() < QUEUE => {
                let Some(ask) = ask else { return };
                reads.take(ask);
            }
        }
    }
}
