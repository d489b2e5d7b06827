//! The client side of the exchange: questions and orders go out over HTTP, news come in over two sockets.
//!
//! ```text
//! engine's thread --ask()--> writes --+--> lane of writes (its own connections)           --+
//!                        \-> reads  --+--> lane of reads  (a thread, its own connections) --+--> Heard, a bounded queue
//!                                          sockets        (a thread): user and market     --+
//! ```
//!
//! The lane of writes runs on a thread of its own, or, where somebody hears the queue through [`Here`], on that thread
//! while it waits: then an order is with the system before anybody else had to wake up.
//!
//! Asking never blocks and hearing never blocks a socket. A write leaves exactly once and its silence is told as
//! Unknown; a read that fails is told as failed, by name. It decides nothing and knows no number of the journal.

use crate::exit::{Exit, Failure};
use aegis_cryptocom::Signer;
use aegis_model::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

mod answer;
pub(crate) mod budget;
pub(crate) mod clock;
pub(crate) mod doctor;
mod history;
pub(crate) mod keys;
mod ledger;
mod listing;
mod lookup;
mod market;
mod odd;
mod orders;
pub(crate) mod pause;
mod reads;
mod rest;
pub(crate) mod settings;
mod snapshot;
mod socket;
#[cfg(test)]
mod tests;
mod user;
pub(crate) mod words;

pub(crate) use settings::Settings;
pub(crate) use words::{
    Ask, Checked, Found, Heard, LookUp, NamedRow, NamedTrade, Ours, Quote, Said, Snapshot, Socket,
};

/// Asks of one lane that may wait; more are refused, since a venue that is so far behind will not catch up.
const QUEUE: usize = 256;
/// Writes under way at once; each has a connection of its own.
const WRITES_MAX: usize = 32;
/// Rounds until an order is with the system: in one the lane takes it, its call builds and signs it, and the connection
/// writes it, unless it has to be made first; and one more.
const LET_GO: usize = 2;
/// How long a lane waits for room in the queue of what was heard before it looks again.
const ROOM_PAUSE: Duration = Duration::from_millis(2);

/// A queue without room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// Why a value was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No room now; the value comes back.
    Full(Box<Heard>),
    /// Nobody will ever read it.
    Closed,
}

/// Where what is heard goes: a bounded queue that is never waited for.
pub(crate) type Outlet = Box<dyn Fn(Heard) -> Result<(), Refused> + Send + Sync>;

/// An outlet into a bounded channel.
pub(crate) fn outlet<T: From<Heard> + Into<Option<Heard>> + Send + 'static>(
    queue: std::sync::mpsc::SyncSender<T>,
) -> Outlet {
    Box::new(move |heard| match queue.try_send(T::from(heard)) {
        Ok(()) => Ok(()),
        Err(std::sync::mpsc::TrySendError::Full(back)) => match back.into() {
            Some(heard) => Err(Refused::Full(Box::new(heard))),
            None => Err(Refused::Closed),
        },
        Err(std::sync::mpsc::TrySendError::Disconnected(_)) => Err(Refused::Closed),
    })
}

/// An outlet into a bounded channel that is heard through [`Here`].
pub(crate) fn outlet_here<T: From<Heard> + Into<Option<Heard>> + Send + 'static>(
    queue: mpsc::Sender<T>,
) -> Outlet {
    Box::new(move |heard| match queue.try_send(T::from(heard)) {
        Ok(()) => Ok(()),
        Err(mpsc::error::TrySendError::Full(back)) => match back.into() {
            Some(heard) => Err(Refused::Full(Box::new(heard))),
            None => Err(Refused::Closed),
        },
        Err(mpsc::error::TrySendError::Closed(_)) => Err(Refused::Closed),
    })
}

/// Counters, for metrics.
#[derive(Default, Debug)]
pub(crate) struct Counts {
    /// Frames that could not be read.
    pub(crate) unread: AtomicU64,
    /// Rows that could not be read.
    pub(crate) misfits: AtomicU64,
    /// Prices that gave way to newer ones.
    pub(crate) overtaken: AtomicU64,
}

/// What all lanes and sockets share.
pub(crate) struct Shared {
    /// The settings.
    pub(crate) settings: Settings,
    /// The exchange's clock.
    pub(crate) clock: clock::Clock,
    /// When calls may leave.
    pub(crate) budget: budget::Budget,
    /// What is known of our orders.
    ledger: ledger::Ledger,
    /// Counters.
    pub(crate) counts: Counts,
    /// What was odd.
    odd: odd::Tally,
    /// Frames of the user socket that said something.
    stirred: AtomicU64,
    /// The clock is to be measured.
    measure: Notify,
    /// When this began, by our clock.
    began: Timestamp,
    outlet: Outlet,
    stopping: AtomicBool,
    last_words: Mutex<Vec<Heard>>,
}

impl Shared {
    fn new(settings: Settings, outlet: Outlet) -> Shared {
        Shared {
            clock: clock::Clock::default(),
            budget: budget::Budget::new(&settings),
            ledger: ledger::Ledger::default(),
            counts: Counts::default(),
            odd: odd::Tally::new(settings.missed_every),
            stirred: AtomicU64::new(0),
            measure: Notify::new(),
            began: clock::now(),
            outlet,
            stopping: AtomicBool::new(false),
            last_words: Mutex::new(Vec::new()),
            settings,
        }
    }

    /// Offers something to the queue and does not wait.
    fn offer(&self, heard: Heard) -> Result<(), Full> {
        match (self.outlet)(heard) {
            Ok(()) | Err(Refused::Closed) => Ok(()),
            Err(Refused::Full(_)) => Err(Full),
        }
    }

    /// Tells something, waiting for room; never called by a connected socket. Once the end has begun nobody reads the
    /// queue any more, and what is told is handed over at the end.
    async fn tell(&self, mut heard: Heard) {
        loop {
            if self.stopping.load(Ordering::Acquire) {
                return self.last_words.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
            }
            match (self.outlet)(heard) {
                Ok(()) | Err(Refused::Closed) => return,
                Err(Refused::Full(back)) => heard = *back,
            }
            tokio::time::sleep(ROOM_PAUSE).await;
        }
    }
}

/// The lane of writes on the thread that asks. It runs while that thread waits for news, and when it lets go.
pub(crate) struct Here {
    runtime: tokio::runtime::Runtime,
    lane: tokio::task::JoinHandle<()>,
}

impl Here {
    fn new(shared: Arc<Shared>, signer: Arc<Signer>, asks: mpsc::Receiver<Ask>) -> Result<Here, Failure> {
        let runtime = runtime()?;
        let lane = runtime.spawn(write_lane(shared, signer, asks));
        Ok(Here { runtime, lane })
    }

    /// What waits, or comes within `wait`; writes go on meanwhile.
    ///
    /// # Errors
    /// As a channel of the standard library.
    pub(crate) fn hear<T>(
        &self,
        queue: &mut mpsc::Receiver<T>,
        wait: Duration,
    ) -> Result<T, std::sync::mpsc::RecvTimeoutError> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        self.runtime.block_on(async {
            // However much waits, answers of writes are looked at between two of them.
            tokio::task::yield_now().await;
            match tokio::time::timeout(wait, queue.recv()).await {
                Ok(Some(item)) => Ok(item),
                Ok(None) => Err(Disconnected),
                Err(_) => Err(Timeout),
            }
        })
    }

    /// Hands what was asked for to the system, as far as it takes it at once; the rest follows in [`Here::hear`].
    pub(crate) fn let_go(&self) {
        self.runtime.block_on(async {
            for _ in 0..LET_GO {
                tokio::task::yield_now().await;
            }
        });
    }
}

/// The connection to the exchange.
pub(crate) struct Wire {
    shared: Arc<Shared>,
    writes: mpsc::Sender<Ask>,
    reads: mpsc::Sender<Ask>,
    stop: watch::Sender<bool>,
    lanes: Vec<JoinHandle<()>>,
    here: Option<Here>,
}

impl Wire {
    /// Connects. `ours` are the journal's orders that have not ended: frames that come before the first listing are
    /// placed by them.
    ///
    /// # Errors
    /// [`Failure`] when a thread or TLS cannot be had. An exchange that does not answer is none: it is tried for ever.
    pub(crate) fn start(
        settings: Settings,
        signer: Signer,
        ours: &[Ours],
        outlet: Outlet,
    ) -> Result<Wire, Failure> {
        Wire::begin(settings, signer, ours, outlet, false)
    }

    /// The same with the lane of writes on the caller's thread, which must hear the queue through [`Wire::here`].
    ///
    /// # Errors
    /// As [`Wire::start`].
    pub(crate) fn start_here(
        settings: Settings,
        signer: Signer,
        ours: &[Ours],
        outlet: Outlet,
    ) -> Result<Wire, Failure> {
        Wire::begin(settings, signer, ours, outlet, true)
    }

    fn begin(
        settings: Settings,
        signer: Signer,
        ours: &[Ours],
        outlet: Outlet,
        writes_here: bool,
    ) -> Result<Wire, Failure> {
        // Set already when the program began; then this changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = Arc::new(Shared::new(settings, outlet));
        shared.ledger.learn(ours);
        let signer = Arc::new(signer);
        let (writes, write_asks) = mpsc::channel(QUEUE);
        let (reads, read_asks) = mpsc::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let mut lanes = Vec::new();
        let here = {
            let (shared, signer) = (Arc::clone(&shared), Arc::clone(&signer));
            if writes_here {
                Some(Here::new(shared, signer, write_asks)?)
            } else {
                lanes.push(lane("wire writes", move || write_lane(shared, signer, write_asks))?);
                None
            }
        };
        {
            let (shared, signer, stopped) = (Arc::clone(&shared), Arc::clone(&signer), stopped.clone());
            lanes.push(lane("wire reads", move || reads::lane(shared, signer, read_asks, stopped))?);
        }
        {
            let shared = Arc::clone(&shared);
            lanes.push(lane("wire sockets", move || sockets(shared, signer, stopped))?);
        }
        Ok(Wire { shared, writes, reads, stop, lanes, here })
    }

    /// Asks, at once and without waiting.
    ///
    /// # Errors
    /// [`Full`]: nothing was taken over, nothing will be sent, and no answer comes.
    pub(crate) fn ask(&self, ask: Ask) -> Result<(), Full> {
        let lane = match ask {
            Ask::Place { .. } | Ask::Cancel { .. } => &self.writes,
            Ask::Instruments | Ask::Account | Ask::LookUp(_) | Ask::Snapshot { .. } => &self.reads,
        };
        lane.try_send(ask).map_err(|_| Full)
    }

    /// The caller's own lane, if it was started so.
    pub(crate) const fn here(&self) -> Option<&Here> {
        self.here.as_ref()
    }

    /// The exchange's clock as well as it is known.
    pub(crate) fn clock(&self) -> clock::Bounds {
        self.shared.clock.bounds()
    }

    /// Counters.
    pub(crate) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Ends it: writes that were asked for still leave and get their answer, or are Unknown when their deadline has
    /// passed; reads are given up. Answers what was told meanwhile, in order. Takes as long as the slowest write.
    pub(crate) fn shutdown(mut self) -> Vec<Heard> {
        self.shared.stopping.store(true, Ordering::Release);
        // Nobody is left to hear it when the threads are gone already.
        let _ = self.stop.send(true);
        drop((self.writes, self.reads));
        if let Some(Here { runtime, lane }) = self.here.take()
            && runtime.block_on(lane).is_err()
        {
            tracing::error!("the lane of writes ended by a panic");
        }
        for lane in self.lanes.drain(..) {
            if lane.join().is_err() {
                tracing::error!("a thread of the connection ended by a panic");
            }
        }
        std::mem::take(&mut *self.shared.last_words.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    crate::runtime::runtime().map_err(|e| Failure::io("the connection's threads", &e))
}

/// A thread with a runtime of its own.
fn lane<F, L>(name: &str, work: F) -> Result<JoinHandle<()>, Failure>
where
    F: FnOnce() -> L + Send + 'static,
    L: Future<Output = ()>,
{
    let runtime = runtime()?;
    let run = move || runtime.block_on(work());
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|e| Failure::new(Exit::Io, format!("the thread {name:?} cannot be started: {e}")))
}

fn connections(shared: Arc<Shared>, signer: Arc<Signer>) -> Option<Arc<rest::Rest>> {
    match rest::Rest::new(shared, signer) {
        Ok(rest) => Some(Arc::new(rest)),
        Err(e) => {
            tracing::error!("TLS cannot be set up: {}", e.without_url());
            None
        }
    }
}

async fn write_lane(shared: Arc<Shared>, signer: Arc<Signer>, mut asks: mpsc::Receiver<Ask>) {
    let Some(rest) = connections(Arc::clone(&shared), signer) else { return };
    let mut under_way = JoinSet::new();
    let mut warm = tokio::time::interval(shared.settings.warm_every);
    warm.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // In this order: what is to be sent is sent before anything else is looked at.
            biased;
            ask = asks.recv(), if under_way.len() < WRITES_MAX => {
                let Some(ask) = ask else { break };
                let rest = Arc::clone(&rest);
                under_way.spawn(async move { rest.write(ask).await });
            }
            Some(_) = under_way.join_next() => {}
            _ = warm.tick() => {
                let rest = Arc::clone(&rest);
                tokio::spawn(async move { rest.measure().await });
            }
        }
    }
    while under_way.join_next().await.is_some() {}
}

async fn sockets(shared: Arc<Shared>, signer: Arc<Signer>, stopped: watch::Receiver<bool>) {
    let line =
        |which| socket::Line::new(which, Arc::clone(&shared), Arc::clone(&signer)).keep(stopped.clone());
    let prices = async {
        // A socket without channels would be subscribed to nothing.
        if !shared.settings.instruments.is_empty() {
            line(Socket::Market).await;
        }
    };
    tokio::join!(line(Socket::User), prices);
}
