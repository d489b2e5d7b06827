//! The tables of a journal as columns: a directory of Parquet files, or one of Arrow files, for whoever asks with DuckDB,
//! Polars, pandas, Spark or any other reader.
//!
//! | column | Parquet | Arrow |
//! |---|---|---|
//! | whole number | `INT64`, unsigned or not | `UInt64`, `Int64` |
//! | decimal | `DECIMAL(38, 18)` | `Decimal128(38, 18)` |
//! | time | `TIMESTAMP(NANOS, UTC)` | `Timestamp(ns, "UTC")` |
//! | text, bytes, yes or no | `STRING`, `BYTE_ARRAY`, `BOOLEAN` | `Utf8`, `Binary`, `Boolean` |
//!
//! Nothing is rounded or cut: a decimal of 39 digits, which a journal can hold and these types cannot, ends the export by
//! name. Rows are collected on the caller's thread and encoded on another; between the two, and in front of the disk,
//! memory is bounded whatever the journal's size (`files`).
#![forbid(unsafe_code)]

mod arrow;
mod cells;
mod files;
mod parquet;
#[cfg(test)]
mod tests;

pub use files::{About, Files, Format};
