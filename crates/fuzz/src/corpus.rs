//! Inputs that are kept, one a line, as text with escapes: `fixtures/fuzz/TARGET.txt`.

use std::path::PathBuf;

/// The file of a target.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/fuzz")).join(format!("{name}.txt"))
}

/// An input as a line.
pub fn line(input: &[u8]) -> String {
    input.escape_ascii().to_string()
}

/// A line as an input; `None` when it has an escape that is none.
pub fn input(line: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next()? {
            b't' => b'\t',
            b'r' => b'\r',
            b'n' => b'\n',
            b'x' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            same @ (b'\\' | b'\'' | b'"') => same,
            _ => return None,
        });
    }
    Some(out)
}

/// All inputs of a target; none when it has no file.
pub fn read(name: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path(name)).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|text| input(text).unwrap_or_else(|| panic!("{name}: no input: {text}"))).collect()
}
