//! The rules of trading semantics, one test a rule, named by its number. Rules 29 and 30 are about stops that rest at
//! a venue and come with the exchange's own protocol.

mod rules {
    mod entries;
    mod fold;
    mod ledger;
    mod reconcile;
    mod stops;
}
