//! Rows through an identity transform and a filter: across the boundary, and natively over Arrow.

mod support;

use std::{fs, sync::Arc, time::Duration};

use arrow::{
    array::{
        Array, AsArray, BooleanArray, Float64Array, Float64Builder, Int64Array, Int64Builder, RecordBatch, StringArray,
        StringBuilder,
    },
    buffer::BooleanBuffer,
    compute::filter_record_batch,
    datatypes::{Float64Type, Int64Type},
};
use support::{medians, now, pipeline::loader, random::Random, root};
use tidemill::{
    manifest::Limits,
    model::{Epoch, ProcessingTime},
    ports::{CallScope, FunctionUse, Instance, Plugin, PluginLoader, UseIndex},
    toolchain,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCHES: usize = 200;
const ROWS: usize = 10_000;

fn main() {
    let plugin = plugin();
    let uses = ["identity", "warm"].map(|name| FunctionUse {
        label: name.to_owned(),
        function: name.to_owned(),
        config: None,
    });
    let mut instance = plugin.instantiate(&uses, Limits::default()).expect("the plugin starts");
    instance.enter(&CallScope { epoch: Epoch::FIRST, batch_time: ProcessingTime::from_micros(0), seed: 0 });
    let batches = batches(plugin.as_ref());
    check(&batches[0], instance.as_mut());

    let bytes: usize = batches.iter().map(|batch| batch.get_array_memory_size()).sum();
    let (rows, megabytes) = ((BATCHES * ROWS) as f64, bytes as f64 / 1e6);
    let instance = std::cell::RefCell::new(instance);
    let mut ways: [(&str, &mut dyn FnMut() -> Duration); 4] = [
        ("identity, native", &mut || timed(&batches, |batch| drop(native_identity(batch)))),
        ("identity, plugin", &mut || timed(&batches, |batch| drop(identity(instance.borrow_mut().as_mut(), batch)))),
        ("filter, native", &mut || timed(&batches, |batch| drop(native_filter(batch)))),
        ("filter, plugin", &mut || timed(&batches, |batch| drop(filter(instance.borrow_mut().as_mut(), batch)))),
    ];
    let times = medians(7, &mut ways);
    println!("boundary, {BATCHES} batches of {ROWS} rows, {megabytes:.0} MB");
    for (at, ((name, _), time)) in ways.iter().zip(&times).enumerate() {
        let (seconds, native) = (time.as_secs_f64(), times[at & !1].as_secs_f64());
        println!(
            "  {name:<18} {:>6.1} M rows/s {:>7.0} MB/s   {:>5.2} of native",
            rows / seconds / 1e6,
            megabytes / seconds,
            native / seconds
        );
    }
    let both = |from: usize| times[from].as_secs_f64() + times[from + 2].as_secs_f64();
    println!("  both together: {:.2} of native", both(0) / both(1));
}

fn plugin() -> Arc<dyn Plugin> {
    let file = toolchain::build(&root().join("host/benches/boundary-plugin"), &mut |line| eprintln!("{line}"));
    let file = file.unwrap_or_else(|error| panic!("{error}"));
    let bytes = fs::read(&file).expect("it was just built");
    loader().load(&file.display().to_string(), &bytes).unwrap_or_else(|error| panic!("{error}"))
}

fn batches(plugin: &dyn Plugin) -> Vec<RecordBatch> {
    let schema = &plugin.description().function("identity").expect("it has one").input;
    let mut random = Random::new(7);
    let batch = |_| {
        let ids: Int64Array = (0..ROWS as i64).collect::<Vec<_>>().into();
        let sensors: StringArray =
            (0..ROWS).map(|_| Some(format!("sensor-{:08}", random.below(100_000_000)))).collect();
        let values: Float64Array = (0..ROWS).map(|_| random.below(10_000) as f64 / 100.0).collect::<Vec<_>>().into();
        RecordBatch::try_new(Arc::clone(schema), vec![Arc::new(ids), Arc::new(sensors), Arc::new(values)])
            .expect("columns of the described types")
    };
    (0..BATCHES).map(batch).collect()
}

fn timed(batches: &[RecordBatch], mut each: impl FnMut(&RecordBatch)) -> Duration {
    let started = now();
    batches.iter().for_each(|batch| each(std::hint::black_box(batch)));
    started.elapsed()
}

fn identity(instance: &mut dyn Instance, batch: &RecordBatch) -> RecordBatch {
    instance.transform(UseIndex(0), batch, false).expect("the function takes every row").rows
}

fn filter(instance: &mut dyn Instance, batch: &RecordBatch) -> RecordBatch {
    let mask = instance.filter(UseIndex(1), batch).expect("the function takes every row");
    filter_record_batch(batch, &BooleanArray::new(mask, None)).expect("a bit for each row")
}

/// The same by hand: a loop over rows that builds the columns of the result.
fn native_identity(batch: &RecordBatch) -> RecordBatch {
    let (ids, sensors, values) = columns(batch);
    let mut out_ids = Int64Builder::with_capacity(batch.num_rows());
    let mut out_sensors = StringBuilder::with_capacity(batch.num_rows(), sensors.values().len());
    let mut out_values = Float64Builder::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        out_ids.append_value(ids.value(row));
        out_sensors.append_value(sensors.value(row));
        out_values.append_value(values.value(row));
    }
    let columns: Vec<Arc<dyn Array>> =
        vec![Arc::new(out_ids.finish()), Arc::new(out_sensors.finish()), Arc::new(out_values.finish())];
    RecordBatch::try_new(batch.schema(), columns).expect("the same columns")
}

fn native_filter(batch: &RecordBatch) -> RecordBatch {
    let (ids, sensors, values) = columns(batch);
    let keep = |row: usize| values.value(row) > 50.0 && ids.value(row) >= 0 && !sensors.value(row).is_empty();
    let mask = BooleanBuffer::collect_bool(batch.num_rows(), keep);
    filter_record_batch(batch, &BooleanArray::new(mask, None)).expect("a bit for each row")
}

fn columns(batch: &RecordBatch) -> (&Int64Array, &StringArray, &Float64Array) {
    (
        batch.column(0).as_primitive::<Int64Type>(),
        batch.column(1).as_string::<i32>(),
        batch.column(2).as_primitive::<Float64Type>(),
    )
}

/// Both give the same rows, or the figures mean nothing.
fn check(batch: &RecordBatch, instance: &mut dyn Instance) {
    assert_eq!(identity(instance, batch), native_identity(batch));
    assert_eq!(filter(instance, batch), native_filter(batch));
}
