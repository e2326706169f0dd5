//! What a host must not send. The SDK reads columns without a check for each row, so whatever would lead it outside of
//! them has to be found before the first.

use crate::{
    function::Prepared,
    prelude::*,
    tests::{batch, prepared, utf8},
    wire::{Batch, Column, Failure, Values},
};

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row)]
struct Number {
    n: i64,
}

#[filter]
fn lines(_line: Line) -> bool {
    true
}

#[filter]
fn numbers(_number: Number) -> bool {
    true
}

fn failure(function: Prepared, input: Batch) -> Failure {
    let Prepared::Filter(apply) = function else { panic!("not a filter") };
    apply(&input).unwrap_err()
}

fn message(function: Prepared, rows: u32, column: Column) -> String {
    failure(function, batch(rows, vec![column])).message
}

#[test]
fn offsets_are_checked_before_they_are_used() {
    let bad = "column `value`: offsets that do not ascend within 3 bytes of data";
    for offsets in [[0, 2, 1], [-1, 2, 3], [0, 3, 4], [0, -1, 3], [0, i32::MAX, 3], [2, 1, 0]] {
        assert_eq!(message(prepared::<lines>(), 2, utf8(&offsets, "abc")), bad, "{offsets:?}");
    }
    assert_eq!(message(prepared::<lines>(), 2, utf8(&[0, 3], "abc")), "column `value`: 2 offsets for 2 rows");
    assert_eq!(message(prepared::<lines>(), 0, utf8(&[], "")), "column `value`: 0 offsets for 0 rows");
}

#[test]
fn a_batch_that_is_a_part_of_a_larger_one_is_read_where_it_lies() {
    let Prepared::Filter(apply) = prepared::<lines>() else { panic!("not a filter") };
    assert_eq!(apply(&batch(2, vec![utf8(&[1, 2, 3], "abcd")])), Ok(vec![0b11]));
}

#[test]
fn columns_of_another_type_length_or_number_are_refused() {
    let int64 = |values: &[i64]| Column { values: Values::Int64(values.to_vec()), validity: None };
    assert_eq!(message(prepared::<lines>(), 1, int64(&[1])), "column `value`: another type than described");
    assert_eq!(message(prepared::<numbers>(), 1, utf8(&[0, 1], "1")), "column `n`: another type than described");
    assert_eq!(message(prepared::<numbers>(), 2, int64(&[1])), "column `n`: 1 values for 2 rows");
    assert_eq!(failure(prepared::<lines>(), batch(1, Vec::new())).message, "no column `value` in the batch");
}

#[test]
fn a_null_where_none_is_expected_names_its_row() {
    let column = |validity: &[u8]| Column { validity: Some(validity.to_vec()), ..utf8(&[0, 1, 2], "ab") };
    let failure_of = |validity| failure(prepared::<lines>(), batch(2, vec![column(validity)]));
    assert_eq!(failure_of(&[0b01]).row, Some(1));
    assert_eq!(failure_of(&[0b01]).message, "column `value`: no value, and the field is no `Option`");
    assert_eq!(failure_of(&[]).message, "column `value`: a bitmap of 0 bytes for 2 rows");
    let Prepared::Filter(apply) = prepared::<lines>() else { panic!("not a filter") };
    assert_eq!(apply(&batch(2, vec![column(&[0b11])])), Ok(vec![0b11]));
}
