//! The examples of `journal-format.md` are decoded here, so that document and code are one change.
