//! Sending: each order and each cancel leaves exactly once, and its answer is told for what it proves and no more.
//!
//! ```text
//! code 0            queued: nothing is told but that it arrived; acceptance comes as a row
//! code with an id   a record exists: it is read, and the row or the refusal that it shows is told
//! 204               an earlier order has this id: proof of arrival
//! refused, later    nothing exists
//! silence, U, torn  unknown: never sent again from here
//! ```

use crate::wire::answer::{Called, Silence, words};
use crate::wire::ledger::{named, rejection};
use crate::wire::pause::{draw, jittered};
use crate::wire::rest::Rest;
use crate::wire::words::{Ask, Heard, Said};
use aegis_cryptocom::reply::Ids;
use aegis_cryptocom::request::OrderKey;
use aegis_cryptocom::rows::OrderRow;
use aegis_cryptocom::{Evidence, Request, WriteOutcome, bridge, judge_write};
use aegis_model::input::Place;
use aegis_model::order::{RejectClass, UnknownCause};
use aegis_model::{ClientOrderId, InstrumentId, Label, Text, VenueOrderId};

/// The exchange's code for too many requests, also of a request that our own budget kept back.
const TOO_MANY: u32 = 42_901;

impl Rest {
    /// Carries out a write.
    pub(crate) async fn write(&self, ask: Ask) {
        match ask {
            Ask::Place { client, instrument, side, kind, quantity } => {
                let order = Place { client, instrument: InstrumentId(0), side, kind, quantity };
                self.place(order, instrument).await;
            }
            Ask::Cancel { client, venue_order, advanced, instrument: _ } => {
                self.cancel(client, venue_order, advanced).await;
            }
            Ask::Instruments | Ask::Account | Ask::LookUp(_) | Ask::Snapshot { .. } => {
                tracing::error!("a read was given to the lane of writes");
            }
        }
    }

    async fn place(&self, order: Place, instrument: Label) {
        let client = order.client;
        let request = bridge::place(&order, instrument, self.shared.settings.trigger_price);
        let method = request.method();
        let say = |said| Heard::Report { client, venue_order: None, said };
        if let Err(wait) = self.shared.budget.take(method, self.shared.settings.write_wait).await {
            let text = Text::new(&format!("not sent: {method} has no call left for {wait:?}"));
            let said = Said::Rejected { class: RejectClass::Later, code: TOO_MANY, text };
            return self.shared.tell(say(said)).await;
        }
        let advanced = method.is_advanced();
        let called = self
            .call(&request, Some(client.label()), |nonce| self.shared.ledger.sending(client, advanced, nonce))
            .await;
        let said = match outcome(&called) {
            Err(Silence::NotSent(why)) => Said::Rejected {
                class: RejectClass::Later,
                code: 0,
                text: Text::new(&format!("not sent: {why}")),
            },
            Err(silence @ Silence::Late(_)) => unknown(UnknownCause::Timeout, &silence.to_string()),
            Err(silence @ Silence::Broken(_)) => unknown(UnknownCause::Ambiguous, &silence.to_string()),
            Ok(outcome) => {
                self.learn(&called, &outcome);
                match outcome {
                    WriteOutcome::Queued(ids) => {
                        self.shared.ledger.queued(client, ids.order_id);
                        let venue_order = named(ids.order_id);
                        return self.shared.tell(Heard::Queued { client, venue_order, cancel: false }).await;
                    }
                    WriteOutcome::Recorded(ids, evidence) => {
                        self.shared.ledger.queued(client, ids.order_id);
                        return self.recorded(client, ids, advanced, &evidence).await;
                    }
                    WriteOutcome::Exists(_, evidence) => refusal(RejectClass::Duplicate, &evidence),
                    WriteOutcome::Access(evidence) => {
                        self.access(&evidence).await;
                        refused(&evidence)
                    }
                    WriteOutcome::Refused(evidence) | WriteOutcome::Later(evidence) => refused(&evidence),
                    WriteOutcome::LookUp(evidence) | WriteOutcome::Unknown(evidence) => {
                        unknown(UnknownCause::Ambiguous, &words(&evidence))
                    }
                }
            }
        };
        self.shared.tell(say(said)).await;
    }

    /// A code other than 0 with an order behind it: the order is read, and what it shows is told.
    async fn recorded(&self, client: ClientOrderId, ids: Ids, advanced: bool, evidence: &Evidence) {
        let settings = &self.shared.settings;
        let key = match named(ids.order_id) {
            Some(id) => OrderKey { client_oid: None, order_id: Some(id) },
            None => OrderKey::of_client(client.label()),
        };
        for tried in 1..=settings.record_tries {
            tokio::time::sleep(jittered(settings.record_look, settings.deadline, tried, draw())).await;
            let read = self.read::<OrderRow>(&detail(advanced, &key)).await;
            let Ok(row) = read else { continue };
            // The refusal's own code counts when the row does not repeat it.
            let told = if rejection(&row).is_none() && row.reason.is_none() {
                OrderRow { reason: evidence.code, ..row }
            } else {
                row
            };
            let heard = if advanced {
                self.shared.ledger.advanced_row(&told)
            } else {
                self.shared.ledger.read_row(client, &told)
            };
            match heard {
                Ok(heard) => return self.tell_all(heard).await,
                Err(misfit) => {
                    tracing::warn!(%client, "the row of a refused order cannot be read: {misfit}");
                    break;
                }
            }
        }
        let text = format!("{}; the order it names could not be read", words(evidence));
        let said = unknown(UnknownCause::Ambiguous, &text);
        self.shared.tell(Heard::Report { client, venue_order: None, said }).await;
    }

    async fn cancel(&self, client: ClientOrderId, venue_order: Option<VenueOrderId>, advanced: bool) {
        // What a fired trigger released is cancelled where it lives, by its own id.
        let released = self.shared.ledger.released(client).filter(|_| advanced);
        let plain = released.is_some() || !advanced;
        let order_id = released.or(named(venue_order)).or(self.shared.ledger.venue_order(client));
        let key = match order_id {
            Some(id) => OrderKey { client_oid: None, order_id: Some(id) },
            None => OrderKey::of_client(client.label()),
        };
        let request = if plain { Request::CancelOrder(key) } else { Request::AdvancedCancelOrder(key) };
        let method = request.method();
        let say = |said| Heard::Report { client, venue_order: None, said };
        if let Err(wait) = self.shared.budget.take(method, self.shared.settings.write_wait).await {
            let text = format!("cancel not sent: {method} has no call left for {wait:?}");
            return self.shared.tell(say(unknown(UnknownCause::CancelUnanswered, &text))).await;
        }
        let called = self.call(&request, None, |_| ()).await;
        let said = match outcome(&called) {
            Err(silence) => unknown(UnknownCause::CancelUnanswered, &silence.to_string()),
            Ok(outcome) => {
                self.learn(&called, &outcome);
                match outcome {
                    WriteOutcome::Queued(ids) => {
                        let venue_order = named(ids.order_id).or(order_id);
                        return self.shared.tell(Heard::Queued { client, venue_order, cancel: true }).await;
                    }
                    WriteOutcome::LookUp(evidence)
                    | WriteOutcome::Recorded(_, evidence)
                    | WriteOutcome::Refused(evidence) => Said::CancelRefused { code: number(&evidence) },
                    WriteOutcome::Access(evidence) => {
                        self.access(&evidence).await;
                        unknown(UnknownCause::CancelUnanswered, &words(&evidence))
                    }
                    WriteOutcome::Exists(_, evidence)
                    | WriteOutcome::Later(evidence)
                    | WriteOutcome::Unknown(evidence) => {
                        unknown(UnknownCause::CancelUnanswered, &words(&evidence))
                    }
                }
            }
        };
        self.shared.tell(say(said)).await;
    }

    fn learn(&self, called: &Called, outcome: &WriteOutcome) {
        let code = match outcome {
            WriteOutcome::Queued(_) => Some(0),
            WriteOutcome::Recorded(_, evidence)
            | WriteOutcome::Exists(_, evidence)
            | WriteOutcome::LookUp(evidence)
            | WriteOutcome::Refused(evidence)
            | WriteOutcome::Later(evidence)
            | WriteOutcome::Access(evidence)
            | WriteOutcome::Unknown(evidence) => evidence.code,
        };
        self.note(called.asked.method, code, called.correction);
    }
}

/// The read of one order in its namespace.
pub(crate) fn detail(advanced: bool, key: &OrderKey) -> Request {
    if advanced { Request::AdvancedGetOrderDetail(key.clone()) } else { Request::GetOrderDetail(key.clone()) }
}

fn outcome(called: &Called) -> Result<WriteOutcome, Silence> {
    match &called.answer {
        Ok(reply) => Ok(judge_write(&called.asked, Some(reply.status), &reply.body)),
        Err(silence) => Err(silence.clone()),
    }
}

fn number(evidence: &Evidence) -> u32 {
    evidence.code.and_then(|code| u32::try_from(code).ok()).unwrap_or_default()
}

fn refusal(class: RejectClass, evidence: &Evidence) -> Said {
    Said::Rejected { class, code: number(evidence), text: Text::new(&words(evidence)) }
}

/// A refusal that made nothing.
fn refused(evidence: &Evidence) -> Said {
    let class = bridge::reject_class(evidence.code.unwrap_or_default(), evidence.class);
    refusal(class.unwrap_or(RejectClass::Permanent), evidence)
}

fn unknown(cause: UnknownCause, text: &str) -> Said {
    Said::Unknown { cause, text: Text::new(text) }
}
