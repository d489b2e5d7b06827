//! Calls as the client makes them: signed bodies out, bodies in, judged by the protocol's own rules. The sockets
//! below are the world's.

use crate::wire::{Shared, post};
use aegis_cryptocom::code::Class;
use aegis_cryptocom::{
    Asked, Evidence, Key, Listing, ReadOutcome, Request, Signer, Span, Walk, Wire, judge_read,
};
use aegis_model::{Label, Text, Timestamp};
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// An answer that came whole.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// No whole answer.
#[allow(dead_code, reason = "the program's client tells all three apart; the world only lets calls be late")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Silence {
    /// No connection was made: nothing was sent.
    NotSent(String),
    /// The deadline passed.
    Late(Duration),
    /// The connection broke, or the answer was torn.
    Broken(String),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::NotSent(why) => write!(f, "no connection: {why}"),
            Silence::Late(deadline) => write!(f, "no answer within {deadline:?}"),
            Silence::Broken(why) => write!(f, "no whole answer: {why}"),
        }
    }
}

/// One call with what is needed to judge its answer.
pub(crate) struct Called {
    pub(crate) asked: Asked,
    pub(crate) correction: i64,
    pub(crate) answer: Result<Reply, Silence>,
}

/// A read without its result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    /// 40401.
    NotFound,
    /// Anything else, in words that name the read.
    Failed(Text),
}

impl Missing {
    /// In words.
    pub(crate) fn words(&self) -> Text {
        match self {
            Missing::NotFound => Text::new("not found (40401)"),
            Missing::Failed(text) => text.clone(),
        }
    }
}

/// The calls of one process.
pub(crate) struct Rest {
    signer: Rc<Signer>,
    pub(crate) shared: Rc<Shared>,
    next: AtomicI64,
}

impl Rest {
    /// A process's calls.
    pub(crate) fn new(shared: Rc<Shared>, signer: Rc<Signer>) -> Rest {
        Rest { signer, shared, next: AtomicI64::new(1) }
    }

    /// Makes one call.
    pub(crate) async fn call(
        &self,
        request: &Request,
        client_oid: Option<Label>,
        nonce: impl FnOnce(Timestamp),
    ) -> Called {
        let method = request.method();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (venue_now, correction) = self.shared.clock.venue_now();
        nonce(venue_now);
        let body = request.body(&self.signer, id, venue_now.0.div_euclid(1_000_000));
        let answer = post::call(method, body).await;
        Called { asked: Asked { method, id: Some(id), client_oid }, correction, answer }
    }

    /// Reads, trying again as the settings say.
    ///
    /// # Errors
    /// [`Missing`], never taken for an empty answer.
    pub(crate) async fn read<T: Wire>(&self, request: &Request) -> Result<T, Missing> {
        let method = request.method();
        let tries = self.shared.settings.read_tries.max(1);
        let mut tried = 0;
        loop {
            tried += 1;
            let called = self.call(request, None, |_| ()).await;
            let (why, again) = match called.answer {
                Ok(reply) => match judge_read::<T>(&called.asked, Some(reply.status), &reply.body) {
                    ReadOutcome::Found(value) => return Ok(value),
                    ReadOutcome::NotFound(_) => return Err(Missing::NotFound),
                    ReadOutcome::Failed(evidence) => {
                        (words(&evidence), matches!(evidence.class, Class::Later | Class::Unknown))
                    }
                },
                Err(silence) => (silence.to_string(), true),
            };
            if !again || tried >= tries {
                return Err(Missing::Failed(Text::new(&format!("{method}: {why}"))));
            }
            post::sleep(self.shared.settings.read_retry).await;
        }
    }

    /// What an answer teaches beside its contents: nothing here, the clock is known.
    pub(crate) fn note(&self, _: aegis_cryptocom::Method, _: Option<i64>, _: i64) {}

    /// Tells that key, account or rights were refused.
    pub(crate) async fn access(&self, evidence: &Evidence) {
        let code = evidence.code.and_then(|code| u32::try_from(code).ok()).unwrap_or_default();
        self.shared.put(crate::wire::Heard::AccessRefused { code, text: Text::new(&words(evidence)) });
    }

    /// A history between two moments of the exchange's clock, whole.
    ///
    /// # Errors
    /// Words that name the read: a page that failed, a row that could not be read, a gap.
    pub(crate) async fn history<T: Wire>(
        &self,
        from: Timestamp,
        until: Timestamp,
        instrument: Option<Label>,
        request: impl Fn(&Span) -> Request,
        key: impl Fn(&T) -> Option<Key>,
    ) -> Result<Vec<T>, Text> {
        let mut walk = Walk::with(from, aegis_cryptocom::request::PAGE_MAX as usize, 0);
        walk.begin(until, &[]);
        let mut all = Vec::new();
        while let Some(span) = walk.next() {
            let asked = request(&Span { instrument: span.instrument.or(instrument), ..span });
            let method = asked.method();
            let page: Listing<T> = self.read(&asked).await.map_err(|missing| missing.words())?;
            let misfit =
                |why: &dyn fmt::Display| Text::new(&format!("{method}: a row cannot be read: {why}"));
            if let Some(first) = page.data.misfits.first() {
                return Err(misfit(first));
            }
            let keys: Option<Vec<Key>> = page.data.rows.iter().map(&key).collect();
            let Some(keys) = keys else { return Err(misfit(&"it has no time")) };
            let fresh = walk.page(&keys, true);
            let mut rows: Vec<Option<T>> = page.data.rows.into_iter().map(Some).collect();
            all.extend(fresh.into_iter().filter_map(|at| rows.get_mut(at).and_then(Option::take)));
        }
        match walk.finish() {
            Ok(_) => Ok(all),
            Err(gaps) => Err(Text::new(&format!("a history has gaps: {gaps:?}"))),
        }
    }
}

/// What an answer says, for people.
pub(crate) fn words(evidence: &Evidence) -> String {
    let status = evidence.status.map_or_else(String::new, |status| format!("HTTP {status}, "));
    match evidence.code {
        Some(code) => format!("{status}code {code}: {}", evidence.text),
        None => format!("{status}{}", evidence.text),
    }
}
