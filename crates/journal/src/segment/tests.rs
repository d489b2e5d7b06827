//! Names of segments.

use super::*;

#[test]
fn a_name_is_a_number_of_ten_digits_and_says_which_file_it_is() {
    assert_eq!(segment_file(&segment_name(42)), Some((42, false)));
    assert_eq!(segment_file(&packed_name(42)), Some((42, true)));
    for other in
        ["42.seg", "0000000000.seg", "0000000000.segz", "0000000042.segx", "0000000042", "x000000042.seg"]
    {
        assert_eq!(segment_file(other), None, "{other}");
    }
}

struct Nothing;

impl Source for Nothing {
    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_plain_file_is_read_or_lost_by_pages() {
    let file = SegmentFile { number: 1, content: Content::Plain(Nothing) };
    for (offset, page) in [(0, 0..4096), (4095, 0..4096), (4096, 4096..8192), (70_000, 69_632..73_728)] {
        assert_eq!(file.piece(offset), page, "{offset}");
    }
    assert!(!file.is_packed() && file.name() == segment_name(1));
}
