//! Between the venue's words and the engine's: rows become [`aegis_model`] facts, an order becomes a request.
//!
//! The venue names instruments and assets by text, the journal by number; the numbers are arguments. What cannot be
//! said in the engine's words is a [`Misfit`]: an unknown status never becomes a known one.

use crate::code::{Class, Code};
use crate::request::{CreateOrder, Request, TriggerOrder};
use crate::rows::{BalanceRow, InstrumentRow, OrderRow, TradeRow, TransactionRow};
use crate::wire::{Fault, Misfit};
use crate::words::{ExecInst, InstrumentType, OrderStatus, OrderType, RefPriceType, Side, TimeInForce};
use aegis_model::event::Fee;
use aegis_model::input::{self, ListedInstrument, Place, RowStatus, Trade, VenueBalance, VenueFlow};
use aegis_model::order::RejectClass;
use aegis_model::{AssetId, ClientOrderId, InstrumentId, Label, Money, OrderKind, Price};
use alloc::vec;
use alloc::vec::Vec;

const fn misfit(member: &'static str, fault: Fault) -> Misfit {
    Misfit { member, fault }
}

fn side(side: Side) -> Result<aegis_model::Side, Misfit> {
    match side {
        Side::Buy => Ok(aegis_model::Side::Buy),
        Side::Sell => Ok(aegis_model::Side::Sell),
        Side::Unknown(_) => Err(misfit("side", Fault::Form)),
    }
}

/// A client order id, if it is one of the engine's (of any installation: the caller tells whose).
pub fn our_id(client_oid: Option<Label>) -> Option<ClientOrderId> {
    client_oid?.as_str().parse().ok()
}

/// A spot instrument; `None` for every other kind. The venue states a minimum in USD by base currency (section 5);
/// what that is in the quote asset is the caller's to say.
pub fn listed_instrument(row: &InstrumentRow, minimum_notional: Money) -> Option<ListedInstrument> {
    let usable = row.inst_type == InstrumentType::CcyPair
        && row.price_tick_size.is_positive()
        && row.qty_tick_size.is_positive();
    usable.then_some(ListedInstrument {
        name: row.symbol,
        base: row.base_ccy,
        quote: row.quote_ccy,
        price_tick: row.price_tick_size,
        quantity_tick: row.qty_tick_size,
        minimum_notional,
        tradable: row.tradable,
    })
}

/// An order's row.
///
/// # Errors
/// A side or status that is not known, or no time at all.
pub fn order_row(row: &OrderRow, instrument: InstrumentId) -> Result<input::OrderRow, Misfit> {
    let status = match row.status {
        OrderStatus::Pending | OrderStatus::New | OrderStatus::Active => RowStatus::Open,
        OrderStatus::Filled => RowStatus::Filled,
        OrderStatus::Canceled => RowStatus::Cancelled,
        OrderStatus::Rejected => RowStatus::Rejected,
        OrderStatus::Expired => RowStatus::Expired,
        OrderStatus::Unknown(_) => return Err(misfit("status", Fault::Form)),
    };
    Ok(input::OrderRow {
        client: our_id(row.client_oid),
        venue_order: row.order_id,
        instrument,
        side: side(row.side)?,
        status,
        price: row.limit_price.filter(|price| price.is_positive()),
        quantity: row.quantity,
        cumulative: row.cumulative_quantity,
        value: row.cumulative_value,
        updated: row.updated().ok_or(misfit("update_time", Fault::Missing))?,
        released: row.exchange_order_id,
    })
}

/// A fill. `fee_asset` is the number of the asset that [`TradeRow::fee_instrument_name`] names; without one, or
/// without an amount, the fee is unknown and never 0. The venue's negative is our positive (section 10.3).
///
/// # Errors
/// An unknown side, no time, or a price or quantity that is not above zero.
pub fn trade(row: &TradeRow, instrument: InstrumentId, fee_asset: Option<AssetId>) -> Result<Trade, Misfit> {
    if !row.traded_price.is_positive() {
        return Err(misfit("traded_price", Fault::Form));
    }
    if !row.traded_quantity.is_positive() {
        return Err(misfit("traded_quantity", Fault::Form));
    }
    let fee = match (row.fees, fee_asset) {
        (Some(fees), Some(asset)) => Some(Fee { asset, amount: fees.negated() }),
        (_, _) => None,
    };
    Ok(Trade {
        trade: row.trade_id,
        instrument,
        client: our_id(row.client_oid),
        venue_order: Some(row.order_id),
        side: side(row.side)?,
        price: row.traded_price,
        quantity: row.traded_quantity,
        fee,
        executed: row.executed().ok_or(misfit("create_time", Fault::Missing))?,
    })
}

/// The balances of the account, all of them.
///
/// # Errors
/// A coin that could not be read, or one whose reserved amount is not told: a part is not the whole.
pub fn balances(rows: &[BalanceRow]) -> Result<Vec<VenueBalance>, Misfit> {
    let [row] = rows else { return Err(misfit("data", Fault::Form)) };
    if let Some(first) = row.position_balances.misfits.first() {
        return Err(*first);
    }
    let coin = |coin: &crate::rows::PositionBalance| {
        let reserved = coin.reserved_qty.ok_or(misfit("reserved_qty", Fault::Missing))?;
        Ok(VenueBalance { asset: coin.instrument_name, total: coin.quantity, reserved })
    };
    row.position_balances.rows.iter().map(coin).collect()
}

/// A deposit, withdrawal, conversion or adjustment; `None` for what trades explain.
///
/// # Errors
/// No asset or no time.
pub fn flow(row: &TransactionRow) -> Result<Option<VenueFlow>, Misfit> {
    if !row.journal_type.is_flow() {
        return Ok(None);
    }
    Ok(Some(VenueFlow {
        id: row.journal_id,
        asset: row.instrument_name.ok_or(misfit("instrument_name", Fault::Missing))?,
        quantity: row.transaction_qty,
        time: row.time().ok_or(misfit("event_timestamp_ms", Fault::Missing))?,
    }))
}

/// The request that places an order: plain, or a trigger in the advanced namespace that watches `reference`.
pub fn place(order: &Place, instrument_name: Label, reference: RefPriceType) -> Request {
    let side = match order.side {
        aegis_model::Side::Buy => Side::Buy,
        aegis_model::Side::Sell => Side::Sell,
    };
    let client_oid = Some(order.client.label());
    let plain = CreateOrder {
        client_oid,
        instrument_name,
        side,
        quantity: Some(order.quantity),
        order_type: OrderType::Market,
        ..CreateOrder::default()
    };
    let trigger = |order_type: OrderType, trigger: Price| {
        Request::AdvancedCreateOrder(TriggerOrder {
            client_oid,
            instrument_name,
            side,
            quantity: order.quantity,
            order_type,
            ref_price: Some(trigger),
            ref_price_type: Some(reference),
            ..TriggerOrder::default()
        })
    };
    match order.kind {
        OrderKind::Market => Request::CreateOrder(plain),
        OrderKind::Limit { price, time_in_force } => {
            let (time_in_force, exec_inst) = words_of(time_in_force);
            Request::CreateOrder(CreateOrder {
                order_type: OrderType::Limit,
                price: Some(price),
                time_in_force: Some(time_in_force),
                exec_inst,
                ..plain
            })
        }
        OrderKind::StopLoss { trigger: price } => trigger(OrderType::StopLoss, price),
        OrderKind::TakeProfit { trigger: price } => trigger(OrderType::TakeProfit, price),
    }
}

fn words_of(time_in_force: aegis_model::TimeInForce) -> (TimeInForce, Option<Vec<ExecInst>>) {
    match time_in_force {
        aegis_model::TimeInForce::GoodTillCancel => (TimeInForce::GoodTillCancel, None),
        aegis_model::TimeInForce::ImmediateOrCancel => (TimeInForce::ImmediateOrCancel, None),
        aegis_model::TimeInForce::FillOrKill => (TimeInForce::FillOrKill, None),
        aegis_model::TimeInForce::PostOnly => (TimeInForce::GoodTillCancel, Some(vec![ExecInst::PostOnly])),
    }
}

/// What a refusal means for a retry; `None` where nothing was refused for certain (U, X, look-ups).
pub fn reject_class(number: i64, class: Class) -> Option<RejectClass> {
    match class {
        Class::Exists => return Some(RejectClass::Duplicate),
        Class::Later => return Some(RejectClass::Later),
        Class::Success | Class::Partial | Class::Unknown | Class::LookUp | Class::Aside => return None,
        Class::Refused | Class::Ended | Class::Access => {}
    }
    Some(match Code::from_number(number) {
        Some(Code::InsufficientAvailableBalance | Code::ExceedsMaxAvailableBalance) => {
            RejectClass::InsufficientBalance
        }
        Some(Code::BelowMinOrderSize) => RejectClass::TooSmall,
        Some(
            Code::OrderPriceGreaterThanLimitupprice
            | Code::OrderPriceLessThanLimitdownprice
            | Code::FarAwayLimitPrice
            | Code::AdvancedInvalidPrice
            | Code::InvalidTriggerPrice,
        ) => RejectClass::PriceOut,
        Some(_) | None => RejectClass::Permanent,
    })
}

#[cfg(test)]
mod tests;
