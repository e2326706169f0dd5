//! A well-behaved plugin with a function of each role, to be used wrongly.

mod text;

use std::time::Duration;

use tidemill_sdk::prelude::*;

/// A line of text.
#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

/// A word.
#[derive(Row)]
struct Word<'a> {
    word: &'a str,
}

/// How long a word is.
#[derive(Row)]
struct Length {
    length: i64,
}

/// Splits a line into words.
#[transform]
fn tokenize<'a>(line: Line<'a>) -> impl Iterator<Item = Word<'a>> {
    words(line.value).map(|word| Word { word })
}

/// Measures a word.
#[transform]
fn measure(word: Word<'_>) -> Length {
    Length { length: word.word.len() as i64 }
}

/// Doubles a length.
#[transform]
fn double(length: Length) -> Length {
    Length { length: length.length * 2 }
}

/// What `longer` is set to.
#[config]
struct Than {
    than: usize,
}

/// Keeps words of more than so many bytes.
#[filter]
fn longer(word: Word<'_>, settings: &Than) -> bool {
    word.word.len() > settings.than
}

/// The longest word of a group.
struct Longest;

#[reducer]
impl Reducer for Longest {
    type Input<'a> = Word<'a>;
    type State = String;
    type Output<'a> = Word<'a>;

    fn add(&self, longest: &mut String, word: Word<'_>) {
        if word.word.len() > longest.len() {
            *longest = word.word.to_owned();
        }
    }

    fn merge(&self, longest: &mut String, other: String) {
        self.add(longest, Word { word: &other });
    }

    fn finish<'a>(&self, longest: &'a String) -> Word<'a> {
        Word { word: longest }
    }
}

/// Sends short words one way and long words another.
#[batch_handler]
fn route(rows: Rows<Word<'_>>, short: Outlet<Word<'_>>, long: Outlet<Word<'_>>) {
    for word in rows {
        if word.word.len() < 5 { short.write(word) } else { long.write(word) }
    }
}

/// Tells each word with the number of its epoch.
#[batch_handler]
fn stamp(epoch: Epoch, rows: Rows<Word<'_>>, stamped: Outlet<Stamped<'_>>) {
    for Word { word } in rows {
        stamped.write(Stamped { epoch: epoch.number() as i64, word });
    }
}

/// A word and the number of an epoch.
#[derive(Row)]
struct Stamped<'a> {
    epoch: i64,
    word: &'a str,
}

/// What is known of a word.
#[state]
#[derive(Default)]
struct Known {
    length: i64,
    over: Timestamp,
}

/// Adds up the lengths of a word. Tells the sum a second after each change, and once more when the word is over: when
/// it has not been there for a minute of event time. Unless that comes about within a day, the word is forgotten.
#[keyed_state(version = 2, migrate = sum_alone)]
fn add_up(_: Word<'_>, known: Option<Known>, lengths: Rows<Length>, ctx: &mut KeyContext<Length>) -> Option<Known> {
    let known = known.unwrap_or_default();
    if !ctx.expired().is_empty() {
        ctx.emit(Length { length: known.length });
    }
    if ctx.expired().contains(&Timer::EventTime(known.over)) {
        return None;
    }
    ctx.expire_after(Duration::from_secs(24 * 60 * 60));
    if lengths.is_empty() {
        return Some(known);
    }
    ctx.cancel(Timer::EventTime(known.over));
    let over = ctx.watermark().unwrap_or_default() + Duration::from_secs(60);
    ctx.set(Timer::EventTime(over));
    ctx.set(Timer::ProcessingTime(context::batch_time() + Duration::from_secs(1)));
    Some(Known { length: known.length + lengths.iter().map(|row| row.length).sum::<i64>(), over })
}

/// Version 1 of the state was the sum alone.
fn sum_alone(_from_version: u32, state: &[u8]) -> Result<Known, String> {
    Ok(Known { length: tidemill_sdk::decode_state(state)?, over: Timestamp::default() })
}

/// A sum and the word it is of.
#[derive(Row)]
struct Sum<'a> {
    word: &'a str,
    sum: i64,
}

/// Adds up the lengths of a word, as `add_up` does, by event time alone: what comes out depends on the rows and not on
/// when they are read. Tells the sum after each change, and once more when the word is over.
#[keyed_state]
fn sum_until_over(
    word: Word<'_>,
    known: Option<Known>,
    lengths: Rows<Length>,
    ctx: &mut KeyContext<Sum<'_>>,
) -> Option<Known> {
    let known = known.unwrap_or_default();
    let sum = known.length + lengths.iter().map(|row| row.length).sum::<i64>();
    ctx.emit(Sum { word: word.word, sum });
    if lengths.is_empty() {
        return None;
    }
    ctx.cancel(Timer::EventTime(known.over));
    let over = ctx.watermark().unwrap_or_default() + Duration::from_secs(60);
    ctx.set(Timer::EventTime(over));
    Some(Known { length: sum, over })
}

/// Adds up the lengths of a word, and tells the sum whenever it is called.
#[keyed_state]
fn sum_so_far(word: Word<'_>, known: Option<i64>, lengths: Rows<Length>, ctx: &mut KeyContext<Sum<'_>>) -> Option<i64> {
    let sum = known.unwrap_or_default() + lengths.iter().map(|row| row.length).sum::<i64>();
    ctx.emit(Sum { word: word.word, sum });
    Some(sum)
}

/// How long a word was at a time.
#[derive(Row)]
struct Moment {
    at: Timestamp,
    length: i64,
}

/// The sum of a word at a time.
#[derive(Row)]
struct SumAt<'a> {
    word: &'a str,
    at: Timestamp,
    sum: i64,
}

/// Adds up the lengths of a word, and tells the sum at the time of each row.
#[keyed_state]
fn sum_at(word: Word<'_>, known: Option<i64>, rows: Rows<Moment>, ctx: &mut KeyContext<SumAt<'_>>) -> Option<i64> {
    let mut sum = known.unwrap_or_default();
    for row in rows.iter() {
        sum += row.length;
        ctx.emit(SumAt { word: word.word, at: row.at, sum });
    }
    Some(sum)
}

/// Tells how often it was called for a word. With rows it sets timers for times that are over.
#[keyed_state]
fn calls(word: Word<'_>, known: Option<i64>, lengths: Rows<Length>, ctx: &mut KeyContext<Sum<'_>>) -> Option<i64> {
    let sum = known.unwrap_or_default() + 1;
    ctx.emit(Sum { word: word.word, sum });
    if !lengths.is_empty() {
        ctx.set(Timer::ProcessingTime(context::batch_time()));
        ctx.set(Timer::EventTime(Timestamp::default()));
    }
    Some(sum)
}

/// Keeps a promise of the SDK's text helpers, called by its name, or panics.
#[filter]
fn keeps_promise(promise: Word<'_>) -> bool {
    let known = text::promises::PROMISES.iter().find(|(name, _)| *name == promise.word);
    known.expect("a promise of this name").1();
    true
}

/// The names of all promises.
#[transform]
fn promises<'a>(_: Line<'a>) -> impl Iterator<Item = Word<'a>> {
    text::promises::PROMISES.iter().map(|(name, _)| Word { word: name })
}

/// Counts the rows of a word by the clock alone, and yet does the same however fast it goes: its timers and times to
/// live are over when they are set, so they act in the next epoch. Tells the count, and how many timers have expired in
/// thousands.
#[keyed_state]
fn count_by_clock(
    word: Word<'_>,
    count: Option<i64>,
    lengths: Rows<Length>,
    ctx: &mut KeyContext<Sum<'_>>,
) -> Option<i64> {
    let count = count.unwrap_or_default() + lengths.len() as i64;
    ctx.emit(Sum { word: word.word, sum: count + 1000 * ctx.expired().len() as i64 });
    match (lengths.is_empty(), count % 3) {
        (false, 0) => ctx.expire_after(Duration::ZERO),
        (false, _) => ctx.set(Timer::ProcessingTime(Timestamp::default())),
        (true, _) => {}
    }
    Some(count)
}

/// Adds numbers up.
#[reducer(inverse = take_out)]
fn add(sum: i64, value: i64) -> i64 {
    sum + value
}

fn take_out(sum: i64, leaving: i64) -> i64 {
    sum - leaving
}

plugin!(
    tokenize,
    measure,
    double,
    longer,
    Longest,
    route,
    stamp,
    add_up,
    sum_until_over,
    sum_so_far,
    sum_at,
    calls,
    promises,
    keeps_promise,
    count_by_clock,
    add
);
