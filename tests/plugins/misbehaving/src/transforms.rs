//! Transforms that stumble over a row, that fail as a whole, and that return what they must not.

use std::hint::black_box;

use crate::{
    Misbehaving,
    bindings::{
        exports::tidemill::plugin::transform::{Guest, Output},
        tidemill::plugin::outlets,
    },
    catalog, sightseers,
    wire::{BAD, Batch, Column, Failure, Values, Variable, batch, failure, lines, spin, text, text_batch},
};

impl Guest for Misbehaving {
    fn apply(handle: u32, input: Batch, _: bool) -> Result<Output, Failure> {
        let lines = lines(&input);
        let bad = lines.iter().position(|line| line.starts_with(BAD));
        match (catalog::name(handle), bad) {
            ("panics", Some(_)) => panic!("this row is beyond me"),
            ("loops", Some(_)) => spin(),
            ("hoards", Some(_)) => hoard(),
            ("overflows", Some(_)) => return Err(failure(format!("came back from {}", descend(0)))),
            ("exits", Some(_)) => std::process::exit(7),
            ("refuses", Some(row)) => {
                return Err(Failure { message: "this row is not for me".to_owned(), row: Some(row as u32) });
            }
            ("gives_up", Some(_)) => return Err(failure("no row is good enough for me")),
            ("blames_nobody", Some(_)) => {
                return Err(Failure { message: "it was the row behind the last".to_owned(), row: Some(input.rows) });
            }
            ("writes_to_an_outlet", Some(_)) => outlets::write("out", &text_batch(&lines)).map_err(failure)?,
            ("sleeps" | "looks_around" | "rolls_dice" | "shouts" | "speaks", _) => {
                let seen = sightseers::visit(catalog::name(handle), &lines);
                return Ok(output(text_batch(&seen)));
            }
            ("column_short", None) => return Ok(output(batch(lines.len(), Values::Int64(vec![0; lines.len()])))),
            (_, None) => {}
            (name, Some(_)) => return Ok(spoilt(name, &lines)),
        }
        Ok(output(text_batch(&lines)))
    }
}

fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "that is the fault")]
fn descend(depth: u64) -> u64 {
    black_box(descend(black_box(depth + 1))) + 1
}

/// The lines as they came, but for one fault.
fn spoilt(name: &str, lines: &[&str]) -> Output {
    let mut rows = lines.len();
    let mut column = text(lines);
    let mut parents: Option<Vec<u32>> = None;
    let mut validity = None;
    let all = || (0..lines.len() as u32).collect::<Vec<u32>>();
    match name {
        "offsets_descend" => column.offsets.reverse(),
        "offset_negative" => column.offsets[0] = -1,
        "offset_beyond" => column.offsets[rows] = i32::MAX,
        "offset_missing" => drop(column.offsets.pop()),
        "offsets_missing" => column.offsets.clear(),
        "parents_descend" => parents = Some(all().into_iter().rev().collect()),
        "parent_beyond" => parents = Some(vec![lines.len() as u32; lines.len()]),
        "parent_missing" => parents = Some(all().split_off(1)),
        "parents_missing" => {
            column = text(&lines[1..]);
            rows -= 1;
        }
        "column_short" => return output(batch(rows, Values::Int64(vec![0; rows - 1]))),
        "column_missing" => return output(Batch { rows: rows as u32, columns: Vec::new() }),
        "column_extra" => {
            let column = || Column { values: Values::Utf8(text(lines)), validity: None };
            return output(Batch { rows: rows as u32, columns: vec![column(), column()] });
        }
        "column_of_another_type" => return output(batch(rows, Values::Int64(vec![0; rows]))),
        "text_not_utf8" => column.data[0] = 0xff,
        "text_cut_in_a_character" => {
            column = Variable { offsets: vec![0, 1, 2], data: "é".as_bytes().to_vec() };
            rows = 2;
        }
        "null_unexpected" => validity = Some(vec![0; rows.div_ceil(8)]),
        "validity_short" => validity = Some(Vec::new()),
        _ => {}
    }
    let mut out = batch(rows, Values::Utf8(column));
    out.columns[0].validity = validity;
    Output { rows: out, parents }
}

fn output(rows: Batch) -> Output {
    Output { rows, parents: None }
}
