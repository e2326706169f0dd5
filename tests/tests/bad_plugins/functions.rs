//! Functions that do wrong.

use serde_json::json;
use tidemill_tests::{Finished, Folder, Running};

use super::misbehaving::misbehaving;

/// An epoch of good rows, and one with a bad row among them.
fn fill(folder: &Folder) {
    folder.write("in/1.txt", "one\ntwo\n");
    folder.write("in/2.txt", "three\nbad\nfour\n");
}

/// A transform that carries its input along, so that it has to say which row came from which.
fn transform(function: &str) -> Folder {
    let folder = misbehaving(&format!("call = \"guest.{function}\"\nkeep = [\"value\"]"));
    fill(&folder);
    folder
}

/// One error, which names the function and says this.
fn assert_one_error(run: &Finished, function: &str, phrase: &str) {
    let error = run.stderr();
    let lines: Vec<&str> = error.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((run.code, lines.len()), (Some(1), 1), "{function}: {error}");
    assert!(lines[0].contains(&format!("guest.{function}")), "{function}: {error}");
    assert!(lines[0].contains(phrase), "{function}, no `{phrase}` in: {error}");
    assert!(!error.contains("panicked at host"), "{function}: {error}");
}

/// A function that stumbles over one row costs that row and no other. It is set aside with the reason and the module,
/// and the pipeline runs on.
#[test]
fn a_row_that_a_function_stumbles_over_is_set_aside() {
    let cases = [
        ("panics", "this row is beyond me"),
        ("loops", "did not come back within 500ms; raise limits.call_timeout"),
        ("hoards", "of memory where limits.memory allows 32 MiB"),
        ("overflows", "call stack exhausted"),
        ("exits", "exit status 1"),
        ("refuses", "this row is not for me"),
        ("gives_up", "no row is good enough for me"),
        ("blames_nobody", "it was the row behind the last"),
        ("writes_to_an_outlet", "only a batch handler may write to an outlet"),
    ];
    for (function, phrase) in cases {
        let folder = transform(function);
        let run = folder.run(&[]);
        assert_eq!(run.code, Some(0), "{function}: {}", run.stderr());
        assert_eq!(folder.column("out", "value"), ["one", "two", "three", "four"], "{function}");
        let [letter] = &folder.rows("aside")[..] else { panic!("{function}: {:?}", folder.rows("aside")) };
        let error = letter["error"].as_str().expect("it is text");
        assert!(error.starts_with(&format!("guest.{function}")) && error.contains(phrase), "{function}: {error}");
        assert_eq!(
            (&letter["row"], &letter["part"], &letter["epoch"]),
            (&json!(r#"{"value":"bad"}"#), &json!("stage"), &json!(1))
        );
        assert_eq!(letter["module"].as_str().map(str::len), Some(64), "{function}: {letter}");
    }
}

/// Input can be bad through and through. Whichever rows are refused, the others come out in their order, each with the
/// column that was carried along with it.
#[test]
fn any_number_of_rows_may_be_refused() {
    let bad_lines: [(&str, &dyn Fn(usize) -> bool); 3] = [
        ("all", &|_| true),
        ("every third", &|line| line % 3 == 0),
        ("one part", &|line| (10_000..30_000).contains(&line)),
    ];
    for (which, is_bad) in bad_lines {
        let folder = misbehaving("call = \"guest.refuses\"\nkeep = [\"value\"]");
        let line = |line: usize| format!("{}{line}", if is_bad(line) { "bad" } else { "good" });
        let lines: Vec<String> = (0..40_000).map(line).collect();
        folder.write("in/1.txt", lines.join("\n"));
        let run = folder.run(&[]);
        assert_eq!(run.code, Some(0), "{which}: {}", run.stderr());
        let good: Vec<String> = lines.iter().filter(|line| line.starts_with("good")).cloned().collect();
        assert!(folder.column("out", "out") == good && folder.column("out", "value") == good, "{which}");
        let bad = lines.iter().filter(|line| line.starts_with("bad"));
        let bad: Vec<String> = bad.map(|line| format!("{{\"value\":\"{line}\"}}")).collect();
        assert!(folder.column("aside", "row") == bad, "{which}: {} rows set aside", folder.rows("aside").len());
    }
}

/// Whoever would rather stop than go on without a row gets the row shown, and nothing of its epoch.
#[test]
fn a_bad_row_stops_the_pipeline_when_asked_to() {
    for (function, phrase) in [("panics", "this row is beyond me"), ("refuses", "this row is not for me")] {
        let folder = transform(function);
        let run = folder.run(&["bad_rows=stop"]);
        assert_one_error(&run, function, phrase);
        assert_eq!(folder.column("out", "value"), ["one", "two"], "{function}");
        assert!(folder.rows("aside").is_empty(), "{function}");
    }
    // A refusal names the row, so it can be shown.
    assert!(transform("refuses").run(&["bad_rows=stop"]).stderr().contains(r#"the row is {"value":"bad"}"#));
}

/// What a function returns is checked before it is believed. A plugin that breaks its word is at fault, not a row: the
/// epoch is not committed, those before stay, and a repaired plugin goes on where it stopped with no row lost or
/// doubled.
#[test]
fn what_a_function_returns_is_checked() {
    let cases = [
        ("offsets_descend", "column `out` that has offsets that do not ascend"),
        ("offset_negative", "column `out` that has offsets that do not ascend from 0: -1"),
        ("offset_beyond", "column `out` that has the offset 2147483647 beyond its 12 bytes of data"),
        ("offset_missing", "column `out` that has 3 offsets for 3 rows"),
        ("offsets_missing", "column `out` that has 0 offsets for 3 rows"),
        ("parents_descend", "parents that descend at row 1: 2 then 1"),
        ("parent_beyond", "the parent 3 for a batch of 3 rows"),
        ("parent_missing", "returned 3 rows but 2 parents"),
        ("parents_missing", "returned 2 rows for 3 without saying where they came from"),
        ("column_short", "column `out` that has 2 values for 3 rows"),
        ("column_missing", "returned 0 columns where it describes 1"),
        ("column_extra", "returned 2 columns where it describes 1"),
        ("column_of_another_type", "column `out` that is of type int64, though it is described as utf8"),
        ("text_not_utf8", "column `out` that has text that is not UTF-8 at byte 0"),
        ("text_cut_in_a_character", "column `out` that has a value that starts or ends in the middle of a character"),
        ("null_unexpected", "column `out` that has a row without a value, though it is described as never null"),
        ("validity_short", "column `out` that has a bitmap of 0 bytes for 3 rows"),
    ];
    for (function, phrase) in cases {
        let folder = transform(function);
        let run = folder.run(&[]);
        assert_one_error(&run, function, phrase);
        assert!(
            run.stderr().contains("in `stage`: ") && run.stderr().contains("the plugin is at fault"),
            "{}",
            run.stderr()
        );
        assert_eq!(folder.column("out", "value"), ["one", "two"], "{function}");

        let repaired = folder.run(&["transforms.stage.call=guest.echoes"]);
        assert_eq!(repaired.code, Some(0), "{function}: {}", repaired.stderr());
        assert_eq!(folder.column("out", "value"), ["one", "two", "three", "bad", "four"], "{function}");
        assert!(folder.rows("aside").is_empty(), "{function}");
    }
}

/// The same holds for filters: their bad rows are found one by one, and a selection that is too short is refused.
#[test]
fn filters() {
    let filter = |function: &str| {
        let folder = misbehaving(&format!("call = \"guest.{function}\""));
        fill(&folder);
        folder
    };
    for function in ["filter_panics", "filter_loops"] {
        let stumbling = filter(function);
        assert_eq!(stumbling.run(&[]).code, Some(0), "{function}");
        assert_eq!(stumbling.column("out", "value"), ["one", "two", "three", "four"], "{function}");
        assert_eq!(stumbling.column("aside", "row"), [r#"{"value":"bad"}"#], "{function}");
    }

    assert_one_error(
        &filter("filter_mask_short").run(&[]),
        "filter_mask_short",
        "a selection that has a bitmap of 0 bytes for 2 rows",
    );
}

/// And for reducers. A row that cannot be folded is left out of its group; a fault where no row is at hand stops the
/// run.
#[test]
fn reducers() {
    let reducer = |function: &str| {
        let folder = misbehaving(&format!(
            "group_by = [\"character_length(value) as size\"]\nreduce = \"guest.{function}\"\nover = \"batch\""
        ));
        fill(&folder);
        folder
    };
    let counted = |folder: &Folder| {
        let mut rows: Vec<String> =
            folder.rows("out").iter().map(|row| format!("{}: {}", row["size"], row["out"])).collect();
        rows.sort();
        rows
    };
    let sound = reducer("counts");
    assert_eq!(sound.run(&[]).code, Some(0));
    assert_eq!(counted(&sound), [r#"3: "1""#, r#"3: "2""#, r#"4: "1""#, r#"5: "1""#]);

    for function in ["reducer_panics", "reducer_loops"] {
        let stumbling = reducer(function);
        assert_eq!(stumbling.run(&[]).code, Some(0), "{function}");
        assert_eq!(counted(&stumbling), [r#"3: "2""#, r#"4: "1""#, r#"5: "1""#], "{function}");
        assert_eq!(stumbling.column("aside", "row"), [r#"{"value":"bad"}"#], "{function}");
    }

    let cases = [
        ("states_missing", "column `states` that has 1 offsets for 1 rows"),
        ("states_of_text", "column `states` that is of type utf8, though it is described as binary"),
        ("merge_loses_one", "column `states` that has 1 offsets for 1 rows"),
        ("finish_loses_one", "finished 1 states into 0 rows"),
        ("finish_panics", "no end is good enough for me"),
    ];
    for (function, phrase) in cases {
        let folder = reducer(function);
        assert_one_error(&folder.run(&[]), function, phrase);
        assert!(folder.rows("out").is_empty(), "{function}");
        assert_eq!(folder.run(&["transforms.stage.reduce=guest.counts"]).code, Some(0));
        assert_eq!(counted(&folder), counted(&sound), "{function}");
    }
}

/// And for functions with a state per key, where the bad key is found.
#[test]
fn keyed_states() {
    for (function, phrase) in
        [("keyed_panics", "this row is beyond me"), ("keyed_loops", "did not come back within 500ms")]
    {
        let folder = misbehaving(&format!("group_by = [\"value as key\"]\nupdate = \"guest.{function}\""));
        fill(&folder);
        let run = folder.run(&[]);
        assert_eq!(run.code, Some(0), "{function}: {}", run.stderr());
        assert_eq!(folder.rows("out").len(), 4, "{function}: {:?}", folder.rows("out"));
        let [letter] = &folder.rows("aside")[..] else { panic!("{function}: {:?}", folder.rows("aside")) };
        let (row, error) = (letter["row"].as_str().expect("it is text"), letter["error"].as_str().expect("it is text"));
        assert!(row.contains(r#""bad""#) && error.contains(phrase), "{function}: {letter}");
    }
}

/// And for batch handlers, whose effects are not known when they fail, so they always stop the run. What they write to
/// an outlet is the host's memory: it is limited like their own.
#[test]
fn batch_handlers() {
    let cases = [
        ("handler_panics", "this batch is beyond me"),
        ("handler_loops", "did not come back within 500ms"),
        ("handler_unknown_outlet", "there is no outlet `nowhere`; the function describes: out"),
        ("handler_misfit", "the batch for outlet `out` does not fit: returned a column `out` that is of type int64"),
        ("handler_hoards", "limits.memory"),
    ];
    for (function, phrase) in cases {
        let folder =
            misbehaving(&format!("call = \"guest.{function}\"\n[transforms.behind]\ninputs = [\"stage.out\"]"));
        fill(&folder);
        let run = folder.run(&["sinks.out.inputs=[\"behind\"]"]);
        assert_one_error(&run, function, phrase);
        assert!(folder.rows("out").is_empty(), "{function}");
    }
}

/// A sleeping plugin would hold up the epoch where no deadline can reach: its clock stands still, so sleep is over at
/// once.
#[test]
fn sleep_takes_no_time() {
    let folder = transform("sleeps");
    let run = folder.run(&["limits.call_timeout=10s"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    assert_eq!(folder.column("out", "value"), ["one", "two", "three", "bad", "four"]);
}

/// The sandbox has no files, network, environment or input, and its clock shows the batch time: what a function returns
/// can depend on its rows and the epoch only.
#[test]
fn a_function_sees_nothing_of_the_machine() {
    let folder = misbehaving("call = \"guest.looks_around\"\nselect = [\"out\", \"cast(now() as bigint) as now\"]");
    folder.write("in/1.txt", "one\n");
    let mut command = folder.command(["run", "pipeline.toml"]);
    let run = Running::start(command.env("SECRET", "told to nobody")).finish();
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    let [row] = &folder.rows("out")[..] else { panic!("{:?}", folder.rows("out")) };
    let micros = row["now"].as_i64().expect("it is a number") / 1000;
    assert_eq!(row["out"], json!(format!("found [] at {micros}, told {micros}")));
}

/// An epoch that is run again must give the same rows, or exactly-once is not. So the random numbers of a function, and
/// the order of Rust's hash tables, which comes from them, are those of the epoch.
#[test]
fn chance_is_the_same_when_an_epoch_is_run_again() {
    let folder = misbehaving(
        "call = \"guest.rolls_dice\"
        [transforms.behind]
        inputs = [\"stage\"]
        columns = { value = \"out\" }
        call = \"guest.panics\"",
    );
    fill(&folder);
    let inputs = "sinks.out.inputs=[\"behind\"]";
    let rolled = |run: &Finished| -> Vec<String> {
        run.stderr.iter().filter_map(|line| Some(line.split_once("rolled ")?.1.to_owned())).collect()
    };
    let first = folder.run(&[inputs, "bad_rows=stop"]);
    assert_eq!(first.code, Some(1), "{}", first.stderr());
    let first = rolled(&first);
    assert_eq!(first.len(), 5, "{first:?}");

    let again = folder.run(&[inputs]);
    assert_eq!(again.code, Some(0), "{}", again.stderr());
    assert_eq!(rolled(&again), first[2..]);
    assert_eq!(folder.column("out", "out"), [0, 1, 2, 4].map(|row| first[row].clone()));
    assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "chance it is: {first:?}");
}

/// Which worker gets which file is chance as well, and must not show: the epoch is run by four workers, fails after
/// they are done, and is run again by one.
#[test]
fn chance_does_not_depend_on_the_workers() {
    let folder = misbehaving(
        "call = \"guest.rolls_dice\"
        [transforms.behind]
        inputs = [\"stage\"]
        columns = { value = \"out\" }
        call = \"guest.handler_panics\"
        [sinks.rest]
        inputs = [\"behind.out\"]
        type = \"memory\"",
    );
    for file in 0..8 {
        let lines: String = (0..50).map(|line| format!("{file}.{line}\n")).collect();
        folder.write(&format!("in/{file}.txt"), lines);
    }
    let first = folder.run(&["workers=4", "sources.lines.max_files_per_trigger=8"]);
    assert_one_error(&first, "handler_panics", "this batch is beyond me");
    let rolled = first.stderr.iter().filter_map(|line| Some(line.split_once("rolled ")?.1.to_owned()));
    let mut rolled: Vec<String> = rolled.collect();
    let again = folder.run(&["workers=1", "transforms.behind.call=guest.echoes", "sinks.rest.inputs=[\"behind\"]"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr());
    let mut out = folder.column("out", "out");
    rolled.sort();
    out.sort();
    assert_eq!((rolled.len(), out), (400, rolled));
}

/// What a plugin says is looked for under its name, among what others say; what it prints is no exception.
#[test]
fn what_a_function_prints_is_in_the_log_under_its_name() {
    let folder = misbehaving("call = \"guest.speaks\"");
    folder.write("in/1.txt", "one\n");
    let run = folder.run(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    let mut said = run.stderr;
    said.sort();
    assert_eq!(said, ["ERROR guest.speaks: said on standard error", "INFO guest.speaks: said on standard output",]);
}

/// A plugin that writes without end to the log must not fill the memory or bury what others say.
#[test]
fn a_flood_of_log_lines_is_cut() {
    let folder = transform("shouts");
    let run = folder.run(&["limits.call_timeout=10s"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    assert_eq!(folder.column("out", "value"), ["one", "two", "three", "bad", "four"]);
    assert!(run.stderr().len() < 1 << 20, "{} bytes", run.stderr().len());
    assert!(run.stderr().contains("more than 1000 lines in one call"), "{}", &run.stderr()[..500]);
    assert!(run.stderr().contains("INFO guest.shouts: aaa"), "{}", &run.stderr()[..500]);
}
