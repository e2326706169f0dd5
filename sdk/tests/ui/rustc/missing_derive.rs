use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Number {
    n: i64,
}

struct Word {
    word: String,
}

#[transform]
fn words_of(_number: Number) -> Option<Word> {
    Some(Word { word: String::new() })
}

plugin!(words_of);

fn main() {}
