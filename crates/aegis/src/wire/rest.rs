//! One call over HTTP: signed, with a deadline, its body judged before its status. Reads wait for their budget and are
//! tried again; what a write's silence means is its caller's to say. No key, secret or body enters a log line.

use crate::wire::Shared;
use crate::wire::answer::{Called, Missing, Reply, Silence, words};
use crate::wire::clock::now;
use aegis_cryptocom::code::Class;
use aegis_cryptocom::json::DOCUMENT_MAX;
use aegis_cryptocom::request::{Door, Method, OfInstrument};
use aegis_cryptocom::rows::Ticker;
use aegis_cryptocom::{Asked, Evidence, Listing, Oddities, ReadOutcome, Request, Signer, Wire, judge_read};
use aegis_model::{Label, Text, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The calls of one lane, over connections of its own.
pub(crate) struct Rest {
    client: reqwest::Client,
    signer: Arc<Signer>,
    pub(crate) shared: Arc<Shared>,
    next: AtomicI64,
}

impl Rest {
    /// Connections of one lane. Must be made and used on the lane's runtime.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(shared: Arc<Shared>, signer: Arc<Signer>) -> Result<Rest, reqwest::Error> {
        let settings = &shared.settings;
        let client = reqwest::Client::builder()
            .connect_timeout(settings.connect)
            .pool_idle_timeout(settings.idle_close)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            // A write leaves once: nothing below us may repeat it.
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(concat!("aegis/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Rest { client, signer, shared, next: AtomicI64::new(1) })
    }

    /// Makes one call, at once. `nonce` hears the exchange's time that the request carries before it leaves.
    pub(crate) async fn call(
        &self,
        request: &Request,
        client_oid: Option<Label>,
        nonce: impl FnOnce(Timestamp),
    ) -> Called {
        let method = request.method();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (venue_now, correction) = self.shared.clock.venue_now();
        let (asked, built) = match method.door() {
            Door::Public => {
                let url = format!("{}{}", self.shared.settings.rest, request.target());
                (Asked { method, id: None, client_oid }, self.client.get(url))
            }
            Door::Private | Door::Socket => {
                nonce(venue_now);
                let body = request.body(&self.signer, id, venue_now.0.div_euclid(1_000_000));
                let url = format!("{}{}", self.shared.settings.rest, method.name());
                let post = self.client.post(url).header("content-type", "application/json").body(body);
                (Asked { method, id: Some(id), client_oid }, post)
            }
        };
        let deadline = self.shared.settings.deadline;
        let answer = match tokio::time::timeout(deadline, self.exchange(built)).await {
            Ok(answer) => answer,
            Err(_) => Err(Silence::Late(deadline)),
        };
        tracing::trace!(%method, id, answered = answer.is_ok(), "call");
        Called { asked, correction, answer }
    }

    async fn exchange(&self, built: reqwest::RequestBuilder) -> Result<Reply, Silence> {
        let sent = now();
        let mut response = built.send().await.map_err(silence)?;
        if let Some(date) =
            response.headers().get("date").and_then(|date| date.to_str().ok()).and_then(date_of)
        {
            self.shared.clock.date(sent, now(), date);
        }
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silence)? {
            if body.len() + chunk.len() > DOCUMENT_MAX {
                return Err(Silence::Broken(format!("more than {DOCUMENT_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body })
    }

    /// What every answer teaches beside its contents: the method's pause, the clock.
    pub(crate) fn note(&self, method: Method, code: Option<i64>, correction: i64) {
        match code.and_then(aegis_cryptocom::Code::from_number) {
            Some(aegis_cryptocom::Code::TooManyRequests) => self.shared.budget.refused(method),
            Some(aegis_cryptocom::Code::InvalidNonce) => {
                tracing::warn!(%method, correction, "the exchange refused a nonce: its clock is measured again");
                self.shared.clock.refused(correction);
                self.shared.measure.notify_one();
            }
            Some(_) => self.shared.budget.passed(method),
            None => {}
        }
    }

    /// Reads, waiting for the budget and trying again as the settings say.
    ///
    /// # Errors
    /// [`Missing`], never taken for an empty answer.
    pub(crate) async fn read<T: Wire>(&self, request: &Request) -> Result<T, Missing> {
        let method = request.method();
        let tries = self.shared.settings.read_tries.max(1);
        let mut tried = 0;
        loop {
            tried += 1;
            self.shared.budget.wait(method).await;
            let called = self.call(request, None, |_| ()).await;
            let (why, again) = match called.answer {
                Ok(reply) => match judge_read::<T>(&called.asked, Some(reply.status), &reply.body) {
                    ReadOutcome::Found(value) => {
                        self.shared.budget.passed(method);
                        self.shared.odd.found(method.name(), &Oddities::of_reply(&reply.body, &value));
                        return Ok(value);
                    }
                    ReadOutcome::NotFound(evidence) => {
                        self.note(method, evidence.code, called.correction);
                        return Err(Missing::NotFound);
                    }
                    ReadOutcome::Failed(evidence) => {
                        self.note(method, evidence.code, called.correction);
                        if evidence.class == Class::Access {
                            self.access(&evidence).await;
                        }
                        let skewed = evidence.code == Some(40_102);
                        if skewed && tried < tries {
                            // Boxed, since measuring is itself a read.
                            Box::pin(self.measure()).await;
                        }
                        (words(&evidence), worth_again(&evidence))
                    }
                },
                Err(silence) => (silence.to_string(), true),
            };
            if !again || tried >= tries {
                return Err(Missing::Failed(Text::new(&format!("{method}: {why}"))));
            }
            tokio::time::sleep(self.shared.settings.read_retry).await;
        }
    }

    /// Tells that key, account or rights were refused.
    pub(crate) async fn access(&self, evidence: &Evidence) {
        let code = evidence.code.and_then(|code| u32::try_from(code).ok()).unwrap_or_default();
        self.shared.tell(crate::wire::Heard::AccessRefused { code, text: Text::new(&words(evidence)) }).await;
    }

    /// Asks for something that carries the exchange's time.
    pub(crate) async fn measure(&self) {
        let instrument_name = self.shared.settings.instruments.first().copied();
        let request = Request::GetTickers(OfInstrument { instrument_name });
        self.shared.budget.wait(Method::GetTickers).await;
        let called = self.call(&request, None, |_| ()).await;
        let Ok(reply) = called.answer else { return };
        let read = judge_read::<Listing<Ticker>>(&called.asked, Some(reply.status), &reply.body);
        let received = now();
        if let ReadOutcome::Found(listing) = read {
            for ticker in &listing.data.rows {
                self.shared.clock.told(ticker.time.0, received);
            }
        }
    }
}

/// Whether a failed read may succeed the next time.
fn worth_again(evidence: &Evidence) -> bool {
    match evidence.class {
        Class::Later | Class::Unknown => true,
        Class::Success
        | Class::Refused
        | Class::Ended
        | Class::Partial
        | Class::Access
        | Class::Exists
        | Class::LookUp
        | Class::Aside => false,
    }
}

fn silence(error: reqwest::Error) -> Silence {
    let error = error.without_url();
    // The innermost cause says what happened.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let words = cause.to_string();
    if error.is_connect() || error.is_builder() { Silence::NotSent(words) } else { Silence::Broken(words) }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date_of(text: &str) -> Option<Timestamp> {
    const FORM: &[time::format_description::FormatItem<'_>] = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let told = time::PrimitiveDateTime::parse(text, FORM).ok()?;
    let ns = told.assume_utc().unix_timestamp_nanos();
    i64::try_from(ns).ok().map(Timestamp)
}
