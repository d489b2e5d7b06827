//! Calls as the client makes them: signed bodies out, bodies in, judged by the protocol's own rules. The sockets
//! below are the world's.

use crate::wire::answer::{Called, Missing, words};
use crate::wire::{Shared, post};
use aegis_cryptocom::code::Class;
use aegis_cryptocom::{Asked, Evidence, ReadOutcome, Request, Signer, Wire, judge_read};
use aegis_model::{Label, Text, Timestamp};
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};

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
}
