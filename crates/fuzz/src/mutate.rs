//! Blind changes to an input: bits, bytes, numbers, ranges, words of the target's own, parts of other inputs.

use crate::draw::Draw;

/// Numbers at which code is wrong by one.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// A few changes to `input`, which stays within `most` bytes.
pub fn mutate(draw: &mut Draw, input: &mut Vec<u8>, most: usize, words: &[&[u8]], other: &[u8]) {
    for _ in 0..=draw.below(4) {
        once(draw, input, words, other);
        input.truncate(most);
    }
}

fn once(draw: &mut Draw, input: &mut Vec<u8>, words: &[&[u8]], other: &[u8]) {
    let length = input.len();
    if length == 0 {
        input.push(draw.bits() as u8);
        return;
    }
    let at = draw.below(length);
    match draw.below(14) {
        0..=2 => input[at] ^= 1 << draw.below(8),
        3 => input[at] = draw.bits() as u8,
        4 => input[at] = input[at].wrapping_add((draw.below(9) as u8).wrapping_sub(4)),
        5 | 6 => {
            let bytes =
                if draw.one_in(2) { EDGES[draw.below(EDGES.len())] } else { draw.bits() }.to_le_bytes();
            let count = (1 << draw.below(4)).min(length - at);
            input[at..at + count].copy_from_slice(&bytes[..count]);
        }
        7 => input.truncate(at),
        8 => {
            let end = (at + 1 + draw.below(32)).min(length);
            input.drain(at..end);
        }
        9 => {
            let end = (at + 1 + draw.below(600)).min(length);
            input[at..end].fill(if draw.one_in(4) { 0xff } else { 0 });
        }
        10 => {
            // A part of this input again, somewhere else.
            let end = (at + 1 + draw.below(200)).min(length);
            let part = input[at..end].to_vec();
            let to = draw.below(length);
            insert(input, to, &part);
        }
        11 => {
            // What stood elsewhere, in the place of what is here.
            let from = draw.below(length);
            let count = (1 + draw.below(64)).min(length - from.max(at));
            input.copy_within(from..from + count, at);
        }
        12 if !words.is_empty() => {
            let word = words[draw.below(words.len())];
            if draw.one_in(2) {
                let end = (at + word.len()).min(length);
                input.drain(at..end);
            }
            insert(input, at, word);
        }
        12 => input.push(draw.bits() as u8),
        _ => {
            let from = draw.below(other.len());
            let end = (from + 1 + draw.below(300)).min(other.len());
            insert(input, at, &other[from..end]);
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, part: &[u8]) {
    input.splice(at..at, part.iter().copied());
}
