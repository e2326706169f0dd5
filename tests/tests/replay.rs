//! An epoch that is run again gives the same rows, also where a plugin asks for chance or the time: what one sink has
//! committed before the process was killed, the others commit after the restart.

use std::os::unix::process::ExitStatusExt;

use tidemill_tests::{Folder, repository};

/// Lines drawn at random, with the time at which that was, to two places.
const PIPELINE: &str = r#"
name = "drawn"
trigger = "available-now"

[plugins.lines]
crate = "PLUGIN"

[sources.lines]
type = "files"
path = "in"

[transforms.drawn]
inputs = ["lines"]
call = "lines.drawn"
config = { probability = 0.5 }

[transforms.stamped]
inputs = ["drawn"]
select = ["value", "now() as drawn_at"]

[sinks.one]
inputs = ["stamped"]
type = "files"
path = "one"
format = "json"

[sinks.other]
inputs = ["stamped"]
type = "files"
path = "other"
format = "json"
"#;

#[test]
fn chance_and_time_are_the_same_when_an_epoch_is_run_again() {
    let plugin = repository().join("guest-examples/random-lines");
    let folder = Folder::with(&PIPELINE.replace("PLUGIN", &plugin.display().to_string()));
    folder.write("in/lines.txt", (0..1000).map(|line| format!("line {line}\n")).collect::<String>());
    let mut command = folder.command(["run", "pipeline.toml"]);
    let status = command.env("TIDEMILL_CRASH_AT", "between-sink-commits:0").status().expect("it runs");
    assert_eq!(status.signal(), Some(9), "it should have killed itself");
    let one = folder.output("one");
    assert!((300..700).contains(&one.len()), "about half of the lines: {}", one.len());
    assert_eq!(folder.output("other"), [""; 0]);
    // Another number of workers, and a later time.
    let finished = folder.run(&["workers=3"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr());
    assert_eq!(folder.output("one"), one);
    assert_eq!(folder.output("other"), one);
}
