//! The rules of trading semantics, one test a rule, named by its number. Rules 29 and 30 are about stops that rest at
//! a venue and come with the exchange's own protocol.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for the facts it is about")]

mod rules {
    mod candles;
    mod entries;
    mod fold;
    mod foreign;
    mod ledger;
    mod openings;
    mod reconcile;
    mod reports;
    mod stops;
}
