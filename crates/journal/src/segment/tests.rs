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
