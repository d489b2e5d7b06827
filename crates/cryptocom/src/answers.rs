//! Which type the answer of each method has: one exhaustive list, for whoever treats all of them alike.

use crate::request::Method;
use crate::rows::{
    AccountsResult, BalancePoints, BalanceRow, BookResult, CandleResult, DisconnectResult, FeeRates,
    InstrumentFeeRates, InstrumentRow, OrderRow, PublicTrade, RiskParameters, Ticker, TradeRow,
    TransactionRow,
};
use crate::wire::{Listing, Wire};

/// What is done with an answer, whatever its type.
pub trait Reading {
    /// What comes of it.
    type Out;

    /// The method reads, and its result is of this type.
    fn read<T: Wire>(self) -> Self::Out;

    /// The method writes or belongs to a socket: [`crate::reply::judge_write`] judges its answer.
    fn write(self) -> Self::Out;
}

impl Method {
    /// Hands the type of this method's answer to `reading`.
    pub fn with_answer<R: Reading>(self, reading: R) -> R::Out {
        match self {
            Method::GetInstruments => reading.read::<Listing<InstrumentRow>>(),
            Method::GetTickers => reading.read::<Listing<Ticker>>(),
            Method::GetBook => reading.read::<BookResult>(),
            Method::GetPublicTrades => reading.read::<Listing<PublicTrade>>(),
            Method::GetCandlestick => reading.read::<CandleResult>(),
            Method::GetRiskParameters => reading.read::<RiskParameters>(),
            Method::GetOpenOrders
            | Method::GetOrderHistory
            | Method::AdvancedGetOpenOrders
            | Method::AdvancedGetOrderHistory
            | Method::AdvancedGetOrderListDetail => reading.read::<Listing<OrderRow>>(),
            Method::GetOrderDetail | Method::AdvancedGetOrderDetail => reading.read::<OrderRow>(),
            Method::GetTrades => reading.read::<Listing<TradeRow>>(),
            Method::GetTransactions => reading.read::<Listing<TransactionRow>>(),
            Method::UserBalance => reading.read::<Listing<BalanceRow>>(),
            Method::UserBalanceHistory => reading.read::<BalancePoints>(),
            Method::GetAccounts => reading.read::<AccountsResult>(),
            Method::GetFeeRate => reading.read::<FeeRates>(),
            Method::GetInstrumentFeeRate => reading.read::<InstrumentFeeRates>(),
            Method::GetCancelOnDisconnect => reading.read::<DisconnectResult>(),
            Method::CreateOrder
            | Method::CreateOrderList
            | Method::AmendOrder
            | Method::CancelOrder
            | Method::CancelOrderList
            | Method::CancelAllOrders
            | Method::AdvancedCreateOrder
            | Method::AdvancedAmendOrder
            | Method::AdvancedCreateOco
            | Method::AdvancedCancelOco
            | Method::AdvancedCreateOto
            | Method::AdvancedCancelOto
            | Method::AdvancedCreateOtoco
            | Method::AdvancedCancelOtoco
            | Method::AdvancedCancelOrder
            | Method::AdvancedCreateOrderList
            | Method::AdvancedCancelOrderList
            | Method::AdvancedCancelAllOrders
            | Method::Auth
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::RespondHeartbeat
            | Method::SetCancelOnDisconnect => reading.write(),
        }
    }
}
