//! Changes that files suffer: flipped bits, lost ends, parts twice or moved, other numbers, lines of
//! another file's conventions.

use onestep::data::SampleRng;

/// Texts that tend to be misread.
const WORDS: [&str; 28] = [
    "nan",
    "inf",
    "-1",
    "0",
    "1e39",
    "1e-46",
    "2147483648",
    "4294967296",
    "-9223372036854775809",
    "18446744073709551616",
    "99999999999999999999",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\u{feff}",
    "\r\n",
    ";",
    ",",
    ":",
    "..",
    "/dev/null",
    "\0",
    "\u{1b}[2J",
    "é",
    "+",
    "0x10",
];

/// One to four changes of `original`; one draw in twenty leaves it as it is.
pub(crate) fn mutate(original: &[u8], rng: &mut SampleRng) -> Vec<u8> {
    let mut bytes = original.to_vec();
    if rng.below(20) == 0 {
        return bytes;
    }
    for _ in 0..=rng.below(4) {
        change(&mut bytes, rng);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, rng: &mut SampleRng) {
    if bytes.is_empty() {
        bytes.push(rng.below(256) as u8);
        return;
    }
    let at = rng.below(bytes.len());
    match rng.below(9) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..(at + 1 + rng.below(16)).min(bytes.len()))),
        4 => {
            let part = bytes[at..(at + 1 + rng.below(64)).min(bytes.len())].to_vec();
            let to = rng.below(bytes.len());
            bytes.splice(to..to, part);
        }
        5 => {
            let end = (at + 4).min(bytes.len());
            let number = [0, 1, 255, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff][rng.below(6)];
            let number: [u8; 4] = u32::to_be_bytes(number);
            bytes[at..end].copy_from_slice(&number[..end - at]);
        }
        6 => replace_number(bytes, at, WORDS[rng.below(WORDS.len())]),
        7 => {
            let word = WORDS[rng.below(WORDS.len())].bytes();
            bytes.splice(at..at, word);
        }
        _ => swap_lines(bytes, at, rng),
    }
}

/// Puts a text in place of the number at or behind a place.
fn replace_number(bytes: &mut Vec<u8>, from: usize, text: &str) {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = bytes[from..].iter().position(digit).map(|place| from + place) else {
        return;
    };
    let end =
        bytes[start..].iter().position(|byte| !digit(byte)).map_or(bytes.len(), |n| start + n);
    bytes.splice(start..end, text.bytes());
}

fn swap_lines(bytes: &mut Vec<u8>, at: usize, rng: &mut SampleRng) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let (a, b) = (at % lines.len(), rng.below(lines.len()));
    lines.swap(a, b);
    *bytes = lines.concat();
}
