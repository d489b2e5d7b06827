//! All targets.

mod exchange;
mod facts;
mod legacy;
mod program;
mod record;
mod segment;

use crate::Kind;

const JSON: &[&[u8]] = &[
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"0",
    b"-1",
    b"1e400",
    b"NaN",
    b"1e-999999999",
    b"99999999999999999999999999999999999999",
    b"0.00000000000000000000000000000000001",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"\\u0000",
    b"\\ud800",
    b"\"NULL_VAL\"",
    b"\"code\":0,",
    b"\"id\":1,",
    b",\"result\":",
    b"\"order_id\":\"1\",",
    b"\"client_oid\":\"a\",",
    b"\xff",
    b"\xef\xbb\xbf",
];

/// All of them.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "record",
        words: "a reader shows of a segment exactly the batches that a second reader, made from the document, finds whole",
        most: 1 << 12,
        parts: &[],
        make: || Box::new(record::Record::new()),
        share: 6,
    },
    Kind {
        name: "segment",
        words: "damage leaves a prefix of what was written, or a refusal; what is small and not at the end is rot by name",
        most: 80,
        parts: &[],
        make: || Box::new(segment::Damage::new(segment::Which::Segments)),
        share: 2,
    },
    Kind {
        name: "packed",
        words: "the same of compressed segments",
        most: 80,
        parts: &[],
        make: || Box::new(segment::Damage::new(segment::Which::Packed)),
        share: 1,
    },
    Kind {
        name: "checkpoint",
        words: "a checkpoint is whole or not there, and the records do not care",
        most: 80,
        parts: &[],
        make: || Box::new(segment::Damage::new(segment::Which::Checkpoints)),
        share: 1,
    },
    Kind {
        name: "state",
        words: "a state that is read is the same state when it is saved and read again",
        most: 1 << 14,
        parts: &[],
        make: || Box::new(facts::Saved::new()),
        share: 1,
    },
    Kind {
        name: "payload",
        words: "a record's body is refused or is the same to the byte, and no fact is too much for the fold",
        most: 1 << 10,
        parts: &[],
        make: || Box::new(facts::Payload::new()),
        share: 1,
    },
    Kind {
        name: "reply",
        words: "an answer that is no JSON is never believed, and what is read is what would be written",
        most: 1 << 13,
        parts: JSON,
        make: || Box::new(exchange::Reply::new()),
        share: 1,
    },
    Kind {
        name: "frame",
        words: "the same of a message on a socket",
        most: 1 << 13,
        parts: JSON,
        make: || Box::new(exchange::Message::new()),
        share: 1,
    },
    Kind {
        name: "request",
        words: "what the server understands is what a client would have written, and nothing it reads makes it panic",
        most: 1 << 12,
        parts: JSON,
        make: || Box::new(exchange::Asked::new()),
        share: 1,
    },
    Kind {
        name: "config",
        words: "a configuration is read or refused with its line",
        most: 1 << 14,
        parts: program::TOML,
        make: || Box::new(program::Settings::new()),
        share: 1,
    },
    Kind {
        name: "signals",
        words: "every line is a signal within bounds or a reason, and lines are counted",
        most: 1 << 12,
        parts: JSON,
        make: || Box::new(program::Signals::new()),
        share: 1,
    },
    Kind {
        name: "market",
        words: "a market file is rows in order with prices inside, or is refused with its line",
        most: 1 << 12,
        parts: program::ROWS,
        make: || Box::new(program::Market::new()),
        share: 1,
    },
    Kind {
        name: "legacy",
        words: "a file of the old bot is refused whole, or every figure that it claims stands in its bytes and no secret is said",
        most: 1 << 15,
        parts: legacy::PARTS,
        make: || Box::new(legacy::Legacy::new()),
        share: 2,
    },
];
