//! What the row reader takes and refuses.
//!
//! It never reads the market fixtures.

use super::*;
use std::io::Write;

fn read(bytes: &[u8]) -> Result<Vec<(String, i64)>, String> {
    Source::bytes("test.csv", bytes)
        .and_then(|source| source.rows(["name", "n"], 3, |row| Ok((row.text(0).to_owned(), row.value(1)?))))
        .map(|held| held.rows)
        .map_err(|e| e.to_string())
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn rows_and_faults() {
    let two = Ok(vec![(String::from("a"), 1), (String::from("b"), -2)]);
    assert_eq!(read(b"name,n\na,1\nb,-2\n"), two);
    assert_eq!(read(b"name,n\r\na,1\r\nb,-2"), two, "CR LF, and no newline at the end");
    assert_eq!(read(&packed(b"name,n\na,1\nb,-2\n")), two);
    let members = [packed(b"name,n\na,1\n"), packed(b"b,-2\n")].concat();
    assert_eq!(read(&members), two, "several gzip members");
    assert_eq!(read(b"name,n\n"), Ok(vec![]));

    for (bytes, fault) in [
        (&b""[..], "test.csv:1: the file is empty"),
        (b"a,1\n", "test.csv:1: the header must be name,n"),
        (b"name,n,x\n", "test.csv:1: 3 columns where 2 are expected: name,n"),
        (b"name,n\na\n", "test.csv:2: 1 columns where 2 are expected: name,n"),
        (b"name,n\na,1\n\n", "test.csv:3: 1 columns"),
        (b"name,n\na,1,2\n", "test.csv:2: 3 columns"),
        (b"name,n\na,1\na,x\n", "test.csv:3: column n: invalid digit found in string: \"x\""),
        (b"name,n\n\xff,1\n", "test.csv:2: not UTF-8"),
        (b"name,n\na,1\na,1\na,1\na,1\n", "test.csv has more than 3 rows"),
    ] {
        let said = read(bytes).expect_err(fault);
        assert!(said.contains(fault), "{said}");
    }
    let long = [b"name,n\n", &[b'x'; 5000][..]].concat();
    assert_eq!(read(&long).expect_err("long"), "test.csv:2: longer than 1024 bytes");
}

#[test]
fn a_torn_gzip_file_is_an_error() {
    let whole = packed(b"name,n\na,1\nb,-2\n");
    for cut in 2..whole.len() {
        let said = read(&whole[..cut]).expect_err("torn");
        assert!(said.contains("cannot be read"), "{said}");
    }
    assert!(
        Source::path(Path::new("/nonexistent/x.csv"))
            .is_err_and(|e| e.to_string().contains("/nonexistent/x.csv"))
    );
}

#[test]
fn the_digest_is_of_the_bytes_that_were_read_packed_or_not() {
    let text = b"name,n\na,1\nb,2\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text).expect("memory");
    for bytes in [text.to_vec(), packed.finish().expect("memory")] {
        let source = Source::bytes("test.csv", &bytes).expect("memory");
        let held = source.rows(["name", "n"], 3, |row| row.value::<i64>(1)).expect("rows");
        assert_eq!((held.rows, held.digest), (vec![1, 2], blake3::hash(&bytes).to_hex().to_string()));
    }
}
