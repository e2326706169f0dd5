//! Files come apart into pieces and lines, and no byte is lost or doubled on the way.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::source::testing::Collected;

const MAX: usize = 1 << 20;

struct Case {
    _folder: TempDir,
    file: Arc<PlannedFile>,
}

fn case(content: &[u8]) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.txt");
    fs::write(&path, content).unwrap();
    let file = Arc::new(PlannedFile::observe(&path).unwrap().unwrap());
    Case { _folder: folder, file }
}

impl Case {
    fn read(&self, max_line_bytes: usize, piece_bytes: u64, sizes: ReadSizes) -> Collected {
        let mut collected = Collected::default();
        for bytes in evenly(0..self.file.size, piece_bytes) {
            self.piece(bytes, max_line_bytes, sizes).read(&mut collected).unwrap();
        }
        collected
    }

    fn piece(&self, bytes: Range<u64>, max_line_bytes: usize, sizes: ReadSizes) -> Box<Piece> {
        Box::new(Piece { file: self.file.clone(), bytes, format: Format::Text, max_line_bytes, sizes })
    }
}

/// A generator of numbers below a bound: xorshift, with the seed in the message of a failure.
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % bound
    }
}

/// The lines as the standard library sees them, which does not take the end of the text for half a line end.
fn expected(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    if let Some(last) = lines.last_mut()
        && !text.ends_with('\n')
    {
        *last = last.strip_suffix('\r').unwrap_or(last);
    }
    lines
}

/// Whatever the text and wherever it is cut, the rows are its lines, in order.
#[test]
fn rows_are_lines_wherever_the_file_is_cut() {
    for seed in 0..3000 {
        let mut below = numbers(seed);
        let words = ["a", "bc", "é", "木", " ", "\r", "\n", "\n", "\r\n", "longer than a chunk"];
        let text: String = (0..below(40)).map(|_| words[below(words.len())]).collect();
        let case = case(text.as_bytes());
        let sizes = ReadSizes { chunk: 1 + below(12) as u64, seek: 1 + below(5) as u64 };
        let piece_bytes = 1 + below(20) as u64;
        let collected = case.read(MAX, piece_bytes, sizes);
        assert_eq!(collected.texts(), expected(&text), "seed {seed}: {text:?} in pieces of {piece_bytes}");
        assert!(collected.bad.is_empty(), "seed {seed}");
    }
}

/// The same with lines that are too long or not UTF-8: those are bad rows, exactly once, and the others are rows.
#[test]
fn bad_lines_are_found_once_wherever_the_file_is_cut() {
    const LIMIT: usize = 6;
    for seed in 0..3000 {
        let mut below = numbers(seed);
        let words: [&[u8]; 8] = [b"a", b"bcd", b"\xff", "é".as_bytes(), b"\n", b"\n", b"\r\n", b"far too long"];
        let bytes: Vec<u8> = (0..below(40)).flat_map(|_| words[below(words.len())]).copied().collect();
        let case = case(&bytes);
        let sizes = ReadSizes { chunk: 1 + below(12) as u64, seek: 1 + below(5) as u64 };
        let collected = case.read(LIMIT, 1 + below(20) as u64, sizes);

        let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
        lines.pop_if(|last| last.is_empty());
        let lines = lines.into_iter().map(line::without_cr);
        let (good, bad): (Vec<_>, Vec<_>) =
            lines.partition(|line| line.len() <= LIMIT && std::str::from_utf8(line).is_ok());
        let good: Vec<_> = good.into_iter().map(String::from_utf8_lossy).collect();
        assert_eq!(collected.texts(), good, "seed {seed}");
        let mut found: Vec<_> = collected.bad.iter().map(|bad| bad.row.len()).collect();
        assert_eq!(found.len(), bad.len(), "seed {seed}");
        found.retain(|&length| length == 0);
        assert!(found.is_empty(), "seed {seed}: something of a bad row is shown");
    }
}

/// A line of 20 MB, many pieces long, is one bad row, and reading it takes no memory to speak of: the same for 100 MB.
#[test]
fn a_line_many_pieces_long_is_one_bad_row() {
    let mut content = b"before\n".to_vec();
    content.resize(20 << 20, b'x');
    content.extend_from_slice(b"\nafter\n");
    let case = case(&content);
    let mut lines = Lines::open(case.file.clone(), 0..case.file.size, 100_000, ReadSizes::DEFAULT).unwrap();
    let mut most = 0;
    while let Some(part) = lines.next().unwrap() {
        most = most.max(match part {
            Part::Block { bytes, .. } => bytes.capacity(),
            Part::Overlong { head, .. } => head.len(),
        });
    }
    assert!(most < 3 << 20, "{most} bytes were held at once");

    let collected = case.read(100_000, 1 << 20, ReadSizes::DEFAULT);
    assert_eq!(collected.texts(), ["before", "after"]);
    let [bad] = collected.bad.as_slice() else { panic!("{} bad rows", collected.bad.len()) };
    assert_eq!(bad.row.len(), line::EXCERPT_BYTES);
    assert!(bad.error.contains("max_line_bytes = 100000"), "{}", bad.error);
}

/// All of a range is cut, and the end of it smaller. A scrap is not worth a piece.
#[test]
fn the_end_of_a_range_is_cut_smaller() {
    const MIB: u64 = 1 << 20;
    let sizes = |files: &[u64]| {
        let mut left: u64 = files.iter().sum();
        let mut sizes = Vec::new();
        for &size in files {
            let pieces: Vec<Range<u64>> = cut(size, left).collect();
            assert_eq!(pieces.first().map_or(0, |first| first.start), 0, "{pieces:?}");
            assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start), "{pieces:?}");
            assert_eq!(pieces.last().map_or(0, |last| last.end), size, "{pieces:?}");
            sizes.push(pieces.iter().map(|piece| (piece.end - piece.start) / MIB).collect::<Vec<_>>());
            left -= size;
        }
        sizes
    };
    assert_eq!(sizes(&[32 * MIB, 8 * MIB]), [vec![8; 4], vec![4; 2]]);
    assert_eq!(sizes(&[24 * MIB]), [[8, 8, 4, 4]]);
    assert_eq!(sizes(&[12 * MIB]), [[4; 3]]);
    assert_eq!(sizes(&[22 * MIB, 0, 2 * MIB]), [vec![8, 8, 3, 3], vec![], vec![2]]);
    assert_eq!(sizes(&[100]), [[0]]);
}

/// A place must lead to the line: by number where the lines before it were counted, by byte elsewhere.
#[test]
fn places_of_bad_rows() {
    let case = case(b"good\nb\xffad\ngood\nlonger than the limit\nb\xffad\n");
    let places = |piece_bytes, sizes| -> Vec<String> {
        let bad = case.read(8, piece_bytes, sizes).bad;
        bad.iter().map(|bad| bad.place.rsplit('/').next().unwrap().to_owned()).collect()
    };
    let small = ReadSizes { chunk: 4, seek: 2 };
    assert_eq!(places(1000, ReadSizes::DEFAULT), ["in.txt:2", "in.txt:4", "in.txt:5"]);
    assert_eq!(places(1000, small), ["in.txt:2", "in.txt:4", "in.txt:5"]);
    assert_eq!(places(12, small), ["in.txt:2", "in.txt at byte 15", "in.txt at byte 37"]);
}

/// Batches are bounded in rows, and a receiver that has enough is not given more.
#[test]
fn batches_are_bounded() {
    let case = case("\n".repeat(40_000).as_bytes());
    let sizes: Vec<_> =
        case.read(MAX, MAX as u64, ReadSizes::DEFAULT).batches.iter().map(|batch| batch.num_rows()).collect();
    assert_eq!(sizes, [line::BATCH_ROWS, line::BATCH_ROWS, 40_000 - 2 * line::BATCH_ROWS]);

    let mut collected = Collected { enough: Some(1), ..Collected::default() };
    case.piece(0..case.file.size, MAX, ReadSizes::DEFAULT).read(&mut collected).unwrap();
    assert_eq!(collected.batches.len(), 1);
}
