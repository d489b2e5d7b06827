//! Messages for people, posted to an address: `{"number", "about", "text"}`, one after the other in the order of their
//! numbers. An answer of 2xx is a delivery; anything else is tried again, ever more slowly, and holds up what comes
//! after it. A message that the receiver refuses for what it is (4xx) is given up after a few tries and the next ones
//! go on: it is not delivered, so it stays in the journal's outbox and is asked for again after a restart. A message that was taken and not confirmed comes again with the same number: that is how a receiver knows
//! a repeat. What was not delivered stands in the journal's outbox and is asked for again after a restart.
//!
//! The address may carry a secret, so it is never logged.

use crate::exit::{Exit, Failure};
use crate::wire::pause::{draw, jittered};
use aegis_model::Text;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Messages that may wait; more are refused and stay in the journal's outbox.
const WAITING_MAX: usize = 4_096;
/// Refusals of one message after which the next ones go on without it.
const REFUSALS_MAX: u32 = 5;
/// How long a delivery waits for room in the engine's queue before it looks again.
const ROOM_PAUSE: Duration = Duration::from_millis(10);

/// Where messages go, and how patiently.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The address.
    pub(crate) url: String,
    /// Which installation speaks.
    pub(crate) about: String,
    /// One post at most.
    pub(crate) deadline: Duration,
    /// First pause after a failure; doubles.
    pub(crate) retry_min: Duration,
    /// Longest such pause.
    pub(crate) retry_max: Duration,
}

impl Settings {
    /// With the usual patience.
    pub(crate) fn to(url: String, about: String) -> Settings {
        Settings {
            url,
            about,
            deadline: Duration::from_secs(10),
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(300),
        }
    }
}

/// No room for a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// Hears which message was delivered; false when it has no room for that now.
pub(crate) type Delivered = Box<dyn Fn(u64) -> bool + Send + Sync>;

#[derive(Default)]
struct Outbox {
    waiting: Mutex<BTreeMap<u64, Text>>,
    news: Notify,
}

impl Outbox {
    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Text>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, number: u64, text: Text) -> Result<(), Full> {
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&number) {
            return Err(Full);
        }
        waiting.entry(number).or_insert(text);
        drop(waiting);
        self.news.notify_one();
        Ok(())
    }
}

/// A way in to the sink for a thread that does not own it.
pub(crate) struct Door(Arc<Outbox>);

impl Door {
    /// As [`Sink::deliver`].
    ///
    /// # Errors
    /// [`Full`].
    pub(crate) fn deliver(&self, number: u64, text: Text) -> Result<(), Full> {
        self.0.take(number, text)
    }
}

/// The sink, on a thread of its own.
pub(crate) struct Sink {
    outbox: Arc<Outbox>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Sink {
    /// Begins with nothing to say.
    ///
    /// # Errors
    /// [`Failure`] when the thread or TLS cannot be had, or the address is none.
    pub(crate) fn start(settings: Settings, delivered: Delivered) -> Result<Sink, Failure> {
        // Set already when the program began; then this changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if reqwest::Url::parse(&settings.url).is_err() {
            return Err(Failure::new(Exit::Config, "the address for messages is not a URL"));
        }
        let runtime = crate::runtime::runtime().map_err(|e| Failure::io("the thread for messages", &e))?;
        let outbox: Arc<Outbox> = Arc::default();
        let (stop, mut stopped) = watch::channel(false);
        let served = Arc::clone(&outbox);
        let run = move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = post_all(&settings, &served, &delivered) => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name("messages".to_owned())
            .spawn(run)
            .map_err(|e| Failure::io("the thread for messages", &e))?;
        Ok(Sink { outbox, stop, thread })
    }

    /// Takes a message over, at once. One that waits already is not taken twice.
    ///
    /// # Errors
    /// [`Full`]; the message stays in the journal's outbox.
    pub(crate) fn deliver(&self, number: u64, text: Text) -> Result<(), Full> {
        self.outbox.take(number, text)
    }

    /// A way in for another thread.
    pub(crate) fn door(&self) -> Door {
        Door(Arc::clone(&self.outbox))
    }

    /// Ends at once; what is under way may have arrived without being told, and comes again after a restart.
    pub(crate) fn shutdown(self) {
        // The thread may be gone already.
        let _ = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the thread for messages ended by a panic");
        }
    }
}

/// Whether a status says that the same message will never be taken.
fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 425 | 429)
}

async fn post_all(settings: &Settings, outbox: &Outbox, delivered: &Delivered) {
    let built = reqwest::Client::builder()
        .timeout(settings.deadline)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("aegis/", env!("CARGO_PKG_VERSION")))
        .build();
    let client = match built {
        Ok(client) => client,
        Err(e) => return tracing::error!("messages cannot be posted: {}", e.without_url()),
    };
    let mut failures = 0;
    let mut refusals = 0;
    loop {
        let first = outbox.waiting().first_key_value().map(|(number, text)| (*number, text.clone()));
        let Some((number, text)) = first else {
            outbox.news.notified().await;
            continue;
        };
        let body = serde_json::json!({"number": number, "about": settings.about, "text": text}).to_string();
        let post = client.post(&settings.url).header("content-type", "application/json").body(body);
        let why = match post.send().await {
            Ok(response) if response.status().is_success() => {
                (failures, refusals) = (0, 0);
                while !delivered(number) {
                    tokio::time::sleep(ROOM_PAUSE).await;
                }
                outbox.waiting().remove(&number);
                continue;
            }
            Ok(response) => {
                refusals += u32::from(is_refusal(response.status().as_u16()));
                format!("HTTP {}", response.status().as_u16())
            }
            Err(e) => e.without_url().to_string(),
        };
        failures += 1;
        if refusals >= REFUSALS_MAX {
            tracing::error!(number, "a message is refused and stays in the journal's outbox: {why}");
            (failures, refusals) = (0, 0);
            outbox.waiting().remove(&number);
            continue;
        }
        let pause = jittered(settings.retry_min, settings.retry_max, failures, draw());
        tracing::warn!(number, failures, ?pause, "a message was not taken: {why}");
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests;
