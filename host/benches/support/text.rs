//! Text to count words of: words with English-like lengths, the frequent ones frequent as in Zipf's law, in lines of
//! about 80 characters.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{generated, random::Random, scaled};

/// Ranks from here on are the long tail: names, numbers and slips of the pen, each a word of its own.
const TAIL: usize = 20_000;

/// 100 MB with 20,000 distinct words: the table of counts fits a processor's cache.
pub(crate) fn small() -> PathBuf {
    text("words", 10, scaled(10_000_000), TAIL)
}

/// 500 MB in which 1.6 million distinct words come up: each word not seen for a while is a cache miss.
pub(crate) fn large() -> PathBuf {
    text("many-words", 20, scaled(25_000_000), scaled(1_625_000))
}

fn text(name: &str, files: usize, file_bytes: usize, distinct: usize) -> PathBuf {
    generated(&format!("{name}-{files}x{file_bytes}-{distinct}"), |folder| {
        let mut random = Random::new(42);
        let words: Vec<String> = (0..distinct).map(|rank| word(&mut random, rank)).collect();
        for file in 0..files {
            write(&folder.join(format!("part-{file:03}.txt")), file_bytes, &words, &mut random);
        }
    })
}

fn write(path: &Path, bytes: usize, words: &[String], random: &mut Random) {
    let mut out = BufWriter::new(File::create(path).expect("the folder is there"));
    let (mut written, mut column) = (0, 0);
    while written < bytes {
        let word = &words[zipf(random, words.len())];
        let end = if column + word.len() > 80 { b'\n' } else { b' ' };
        out.write_all(word.as_bytes()).and_then(|()| out.write_all(&[end])).expect("there is room");
        written += word.len() + 1;
        column = if end == b'\n' { 0 } else { column + word.len() + 1 };
    }
    out.write_all(b"\n").and_then(|()| out.flush()).expect("there is room");
}

fn word(random: &mut Random, rank: usize) -> String {
    if rank >= TAIL {
        return tail_word(rank);
    }
    // Frequent words are short: 2 to 5 letters among the first hundred, up to 12 later.
    let longest = if rank < 100 { 4 } else { 10 };
    let letters = 2 + random.below(longest);
    let mut word: String = (0..letters).map(|_| (b'a' + random.below(26) as u8) as char).collect();
    word.push_str(&format!("{:x}", rank % 16));
    word
}

/// The rank in letters, so that no word is there twice, scrambled, so that neighbours have nothing in common: an odd
/// factor gives each number of 36 bits another one. They make 8 letters, now and then fewer.
fn tail_word(rank: usize) -> String {
    let mut left = (rank as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & ((1 << 36) - 1);
    let mut word = String::new();
    while left > 0 {
        word.push((b'a' + (left % 26) as u8) as char);
        left /= 26;
    }
    word
}

/// A rank by the inverse of Zipf's distribution with exponent 1, approximately.
fn zipf(random: &mut Random, n: usize) -> usize {
    ((n as f64).powf(random.unit()) - 1.0) as usize
}
