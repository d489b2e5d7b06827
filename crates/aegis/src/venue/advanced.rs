//! The advanced namespace: trigger orders and their lists (reference, section 8). Its orders are absent from the plain
//! calls and the other way round, until a leg was sent, when the plain order's id is shown as `exchange_order_id`.
//!
//! Choices where the reference is silent: cancelling a leg cancels its whole list; `attach_order_id` is refused with
//! 50010; the index price is the mark price; an order list takes triggers only.

use crate::venue::desk::{Asked, Desk, Lags, Outcome, wire_code};
use crate::venue::plain::{Made, fee_asset, limit, list_ack, model_force, model_side, window};
use crate::venue::rows::{list_id, list_number, shown_client, trigger_id, trigger_number};
use crate::venue::seen::View;
use aegis_cryptocom::request::{AmendTrigger, CancelAll, CreateOrder, History, OrderKey, TriggerOrder};
use aegis_cryptocom::rows::{ListMade, OrderAck, OrderRow};
use aegis_cryptocom::server::{answer, done, refuse};
use aegis_cryptocom::words::{CancelScope, ExecInst, OrderType, RefPriceType};
use aegis_cryptocom::{Code, Listing, Reply, Request};
use aegis_model::input::RowStatus;
use aegis_model::{Label, Price, VenueOrderId};
use aegis_paper::{Conditional, Linked, TriggerKind, TriggerRow, VenueInput, Watched};

impl Desk {
    /// Answers a request of the advanced namespace; none once a journal has failed.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`asked` hands over exactly those of the advanced namespace"
    )]
    pub(crate) fn asked_advanced(&mut self, asked: &Asked) -> Option<Reply> {
        let Asked { account: at, id, integers, nonce, .. } = *asked;
        let method = asked.request.method();
        let refused = |code: Code| refuse(id, method.name(), code, None, None, integers);
        Some(match &asked.request {
            Request::AdvancedCreateOrder(order) => {
                let client = named(order.client_oid, || nonce.to_string());
                let made = self.create_trigger(at, order, client)?;
                if made.code == Code::Success {
                    answer(id, method, &made.ack, integers)
                } else {
                    refused(made.code)
                }
            }
            Request::AdvancedCreateOrderList(list) => {
                let mut acks = Vec::new();
                for (index, order) in list.order_list.iter().enumerate() {
                    let client = named(order.client_oid, || format!("{nonce}_{index}"));
                    let made = self.create_trigger(at, order, client)?;
                    acks.push(list_ack(index, made.code, made.ack));
                }
                answer(id, method, &acks, integers)
            }
            Request::AdvancedCreateOco(list) => self.create_list(asked, Linked::Oco, &list.order_list)?,
            Request::AdvancedCreateOto(list) => self.create_list(asked, Linked::Oto, &list.order_list)?,
            Request::AdvancedCreateOtoco(list) => self.create_list(asked, Linked::Otoco, &list.order_list)?,
            Request::AdvancedCancelOco(key) => self.cancel_list(asked, Linked::Oco, &key.list_id)?,
            Request::AdvancedCancelOto(key) => self.cancel_list(asked, Linked::Oto, &key.list_id)?,
            Request::AdvancedCancelOtoco(key) => self.cancel_list(asked, Linked::Otoco, &key.list_id)?,
            Request::AdvancedAmendOrder(amend) => match self.amend_trigger(at, amend)? {
                Ok(ack) => answer(id, method, &ack, integers),
                Err(code) => refused(code),
            },
            Request::AdvancedCancelOrder(key) => match self.cancel_trigger(at, key)? {
                Ok(ack) => answer(id, method, &ack, integers),
                Err(code) => refused(code),
            },
            Request::AdvancedCancelOrderList(list) => {
                let mut acks = Vec::new();
                for (index, entry) in list.order_list.iter().enumerate() {
                    let key = OrderKey { client_oid: entry.client_oid, order_id: entry.order_id };
                    acks.push(match self.cancel_trigger(at, &key)? {
                        Ok(ack) => list_ack(index, Code::Success, ack),
                        Err(code) => {
                            let ack = OrderAck { client_oid: entry.client_oid, order_id: entry.order_id };
                            list_ack(index, code, ack)
                        }
                    });
                }
                answer(id, method, &acks, integers)
            }
            Request::AdvancedCancelAllOrders(all) => {
                self.cancel_all_triggers(at, all)?;
                done(id, method, integers)
            }
            Request::AdvancedGetOpenOrders(of) => {
                let rows = self.open_triggers(at, of.instrument_name);
                answer(id, method, &Listing::of(rows), integers)
            }
            Request::AdvancedGetOrderDetail(key) => match self.trigger_detail(at, key) {
                Some(row) => answer(id, method, &row, integers),
                None => refused(Code::NotFound),
            },
            Request::AdvancedGetOrderHistory(page) => {
                let rows = self.trigger_history(at, page);
                answer(id, method, &Listing::of(rows), integers)
            }
            Request::AdvancedGetOrderListDetail(lists) => {
                let venue = self.accounts.get(at)?.venue();
                let legs = lists.list_id_list.iter().filter_map(list_number);
                let legs = legs.filter_map(|list| venue.list_rows(list)).flat_map(|(_, legs)| legs);
                let rows = legs.filter_map(|row| self.shown_trigger(at, &row, false)).collect();
                answer(id, method, &Listing::of(rows), integers)
            }
            // The rest is the plain namespace's.
            _ => refused(Code::MethodNotFound),
        })
    }

    /// A trigger type through the plain call, as it was before they moved: refused, or made in the advanced namespace.
    pub(crate) fn create_legacy(&mut self, at: usize, order: &CreateOrder, client: Label) -> Option<Made> {
        let nothing = |code: Code| Made { code, ack: OrderAck { client_oid: Some(client), order_id: None } };
        let Some(quantity) = order.quantity.filter(|_| self.settings.legacy_triggers) else {
            let code = if self.settings.legacy_triggers {
                Code::MissingOrInvalidArgument
            } else {
                Code::ApiDisabled
            };
            return Some(nothing(code));
        };
        let trigger = TriggerOrder {
            client_oid: Some(client),
            exec_inst: order.exec_inst.clone(),
            fee_instrument_name: order.fee_instrument_name,
            instrument_name: order.instrument_name,
            order_type: order.order_type,
            price: order.price,
            quantity,
            ref_price: order.ref_price,
            side: order.side,
            time_in_force: order.time_in_force,
            ..TriggerOrder::default()
        };
        if trigger.ref_price.is_none() || (kind_of(trigger.order_type)?.is_limit() && trigger.price.is_none())
        {
            return Some(nothing(Code::MissingOrInvalidArgument));
        }
        self.create_trigger(at, &trigger, client)
    }

    fn create_trigger(&mut self, at: usize, order: &TriggerOrder, client: Label) -> Option<Made> {
        let nothing = |code: Code| Made { code, ack: OrderAck { client_oid: Some(client), order_id: None } };
        let leg = match self.conditional(at, order, client) {
            Ok(leg) => leg,
            Err(code) => return Some(nothing(code)),
        };
        let outcome = self.step(at, &[VenueInput::Condition { linked: None, legs: vec![leg] }])?;
        Some(match (outcome.triggers_refused.first(), outcome.triggers.first()) {
            (Some((_, code)), _) => nothing(wire_code(*code)),
            (None, Some(trigger)) => {
                let ack = OrderAck { client_oid: Some(client), order_id: Some(trigger_id(*trigger)) };
                Made { code: Code::Success, ack }
            }
            (None, None) => nothing(Code::ErrInternal),
        })
    }

    /// A trigger order in the machine's words.
    fn conditional(&self, at: usize, order: &TriggerOrder, client: Label) -> Result<Conditional, Code> {
        let side = model_side(order.side).ok_or(Code::InvalidSide)?;
        let kind = kind_of(order.order_type).ok_or(Code::InvalidOrdtype)?;
        let venue = self.accounts.get(at).ok_or(Code::InvalidAccount)?.venue();
        if self.settings.shared_ids && venue.order_of(client).is_some() {
            return Err(Code::DuplicateClordid);
        }
        if order.attach_order_id.is_some() {
            return Err(Code::InvalidOrderParameters);
        }
        let spec = self.spec(order.instrument_name).ok_or(Code::InvalidInstrument)?;
        let post = order.exec_inst.as_ref().is_some_and(|list| list.contains(&ExecInst::PostOnly));
        Ok(Conditional {
            client: Some(client),
            instrument: order.instrument_name,
            side,
            kind,
            quantity: order.quantity,
            reference: if kind.waits() { order.ref_price.unwrap_or_default() } else { Price::ZERO },
            watched: match order.ref_price_type {
                Some(RefPriceType::IndexPrice) => Watched::Index,
                Some(RefPriceType::LastPrice) => Watched::Last,
                Some(RefPriceType::MarkPrice | RefPriceType::Null | RefPriceType::Unknown(_)) | None => {
                    Watched::Mark
                }
            },
            limit: if kind.is_limit() { order.price.unwrap_or_default() } else { Price::ZERO },
            time_in_force: model_force(order.time_in_force, post)?,
            fee: fee_asset(order.fee_instrument_name, spec.base, spec.quote, side)?,
        })
    }

    fn create_list(&mut self, asked: &Asked, linked: Linked, orders: &[TriggerOrder]) -> Option<Reply> {
        let Asked { account: at, id, integers, nonce, .. } = *asked;
        let method = asked.request.method();
        let refused = |code: Code| refuse(id, method.name(), code, None, None, integers);
        let legs = orders.iter().enumerate().map(|(index, order)| {
            let client = named(order.client_oid, || format!("{nonce}_{index}"));
            self.conditional(at, order, client)
        });
        let legs: Vec<Conditional> = match legs.collect() {
            Ok(legs) => legs,
            Err(code) => return Some(refused(code)),
        };
        let outcome = self.step(at, &[VenueInput::Condition { linked: Some(linked), legs }])?;
        Some(match (outcome.triggers_refused.first(), outcome.list) {
            (Some((_, code)), _) => refused(wire_code(*code)),
            (None, Some(list)) => answer(id, method, &ListMade { list_id: list_id(list) }, integers),
            (None, None) => refused(Code::ErrInternal),
        })
    }

    fn cancel_list(&mut self, asked: &Asked, linked: Linked, list: &VenueOrderId) -> Option<Reply> {
        let Asked { account: at, id, integers, .. } = *asked;
        let method = asked.request.method();
        let rows = list_number(list).and_then(|list| self.accounts.get(at)?.venue().list_rows(list));
        let legs = rows.filter(|(own, _)| *own == linked).map(|(_, legs)| legs).unwrap_or_default();
        let code = match legs.first() {
            None => Code::InvalidOrderid,
            Some(first) => {
                cancel_code(&self.step(at, &[VenueInput::CancelTrigger { trigger: first.trigger }])?)
            }
        };
        Some(if code == Code::Success {
            done(id, method, integers)
        } else {
            refuse(id, method.name(), code, None, None, integers)
        })
    }

    fn trigger_of(
        &self,
        at: usize,
        order: Option<&VenueOrderId>,
        client: Option<Label>,
    ) -> Option<TriggerRow> {
        let venue = self.accounts.get(at)?.venue();
        let number = match order {
            Some(id) => trigger_number(id),
            None => client.and_then(|client| venue.trigger_of(client)),
        };
        venue.trigger_row(number?)
    }

    fn amend_trigger(&mut self, at: usize, amend: &AmendTrigger) -> Option<Result<OrderAck, Code>> {
        let Some(row) = self.trigger_of(at, amend.order_id.as_ref(), amend.client_oid) else {
            return Some(Err(Code::InvalidOrderid));
        };
        let input = VenueInput::AmendTrigger {
            trigger: row.trigger,
            quantity: amend.new_quantity,
            reference: amend.new_ref_price,
            limit: amend.new_price,
        };
        let outcome = self.step(at, &[input])?;
        Some(changed(&outcome, &row))
    }

    fn cancel_trigger(&mut self, at: usize, key: &OrderKey) -> Option<Result<OrderAck, Code>> {
        let Some(row) = self.trigger_of(at, key.order_id.as_ref(), key.client_oid) else {
            return Some(Err(Code::InvalidOrderid));
        };
        let outcome = self.step(at, &[VenueInput::CancelTrigger { trigger: row.trigger }])?;
        Some(changed(&outcome, &row))
    }

    fn cancel_all_triggers(&mut self, at: usize, all: &CancelAll) -> Option<()> {
        let rows = self.accounts.get(at)?.venue().trigger_rows(aegis_model::Timestamp::EPOCH);
        for row in rows {
            let scope = match all.scope {
                Some(CancelScope::Limit) => !row.kind.waits(),
                Some(CancelScope::Trigger) => row.kind.waits(),
                Some(CancelScope::All | CancelScope::Unknown(_)) | None => true,
            };
            let here = all.instrument_name.is_none_or(|name| name == row.instrument);
            if scope && here && row.status == RowStatus::Open {
                self.step(at, &[VenueInput::CancelTrigger { trigger: row.trigger }])?;
            }
        }
        Some(())
    }

    /// A row as a reading with this lag sees it.
    fn seen_trigger(&self, at: usize, row: TriggerRow, lag: i64) -> Option<TriggerRow> {
        if self.lags == Lags::default() {
            return Some(row);
        }
        match self.accounts.get(at)?.seen.trigger_at(row.trigger, self.horizon(lag)) {
            View::Now => Some(row),
            View::Then(row) => Some(row),
            View::Nothing => None,
        }
    }

    /// Open conditional orders: those that wait and those whose order is open, as far as they may be seen.
    pub(crate) fn open_triggers(&self, at: usize, name: Option<Label>) -> Vec<OrderRow> {
        let Some(account) = self.accounts.get(at) else { return Vec::new() };
        let rows = account.venue().trigger_rows(aegis_model::Timestamp::EPOCH).into_iter();
        let seen = rows.filter_map(|row| self.seen_trigger(at, row, self.lags.open));
        let open = seen.filter(|row| row.status == RowStatus::Open);
        let wanted = open.filter(|row| name.is_none_or(|name| name == row.instrument));
        wanted.filter_map(|row| self.shown_trigger(at, &row, false)).collect()
    }

    fn trigger_detail(&self, at: usize, key: &OrderKey) -> Option<OrderRow> {
        let row = self.trigger_of(at, key.order_id.as_ref(), key.client_oid)?;
        let row = self.seen_trigger(at, row, self.lags.detail)?;
        self.shown_trigger(at, &row, false)
    }

    fn trigger_history(&self, at: usize, page: &History) -> Vec<OrderRow> {
        let (start, end) = window(page.start_time.map(|t| t.0), page.end_time.map(|t| t.0));
        let Some(account) = self.accounts.get(at) else { return Vec::new() };
        let rows = account.venue().trigger_rows(start).into_iter();
        let seen = rows.filter_map(|row| self.seen_trigger(at, row, self.lags.history));
        let ended = seen.filter(|row| row.status != RowStatus::Open && row.created < end);
        let mut rows: Vec<TriggerRow> =
            ended.filter(|row| page.instrument_name.is_none_or(|name| name == row.instrument)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.created, row.trigger)));
        rows.truncate(limit(page.limit));
        rows.iter().filter_map(|row| self.shown_trigger(at, row, false)).collect()
    }
}

fn named(client: Option<Label>, otherwise: impl Fn() -> String) -> Label {
    client.filter(|id| !id.is_empty()).unwrap_or_else(|| Label::lossy(&otherwise()))
}

fn ack_of(row: &TriggerRow) -> OrderAck {
    OrderAck {
        client_oid: Some(shown_client(row.client, row.created)),
        order_id: Some(trigger_id(row.trigger)),
    }
}

/// What a change or a cancel answers.
fn changed(outcome: &Outcome, row: &TriggerRow) -> Result<OrderAck, Code> {
    let code = cancel_code(outcome);
    if code == Code::Success { Ok(ack_of(row)) } else { Err(code) }
}

/// The code of a change or a cancel.
fn cancel_code(outcome: &Outcome) -> Code {
    outcome.triggers_refused.first().map_or(Code::Success, |(_, code)| wire_code(*code))
}

const fn kind_of(order_type: OrderType) -> Option<TriggerKind> {
    match order_type {
        OrderType::StopLoss => Some(TriggerKind::StopLoss),
        OrderType::StopLimit => Some(TriggerKind::StopLimit),
        OrderType::TakeProfit => Some(TriggerKind::TakeProfit),
        OrderType::TakeProfitLimit => Some(TriggerKind::TakeProfitLimit),
        OrderType::Limit => Some(TriggerKind::Limit),
        OrderType::Market => Some(TriggerKind::Market),
        OrderType::Unknown(_) => None,
    }
}
