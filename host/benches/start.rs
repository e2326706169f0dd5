//! From starting the process to the first row on standard output, with compiled plugins in the cache, against starting
//! the process for nothing.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use support::{empty_folder, medians, now, pipeline, root, scratch};
use tidemill::toolchain;

fn main() {
    let folder = scratch().join("start");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    fs::write(folder.join("input.txt"), "to be or not to be\n").expect("there is room");
    let plugin = toolchain::build(&root().join("guest-examples/word-count"), &mut |line| eprintln!("{line}"));
    let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
    let settings = [
        format!("plugins.words={{path={plugin:?}}}"),
        format!("sources.lines.path={}", folder.join("input.txt").display()),
        "sinks.out.type=console".to_owned(),
    ];

    let mut ways: [(&str, &mut dyn FnMut() -> Duration); 2] =
        [("process start", &mut process_start), ("first row", &mut || first_row(&settings))];
    let times = medians(15, &mut ways);
    println!("start, compiled plugins in the cache");
    for ((name, _), time) in ways.iter().zip(&times) {
        println!("  {name:<14} {:>6.1} ms", time.as_secs_f64() * 1000.0);
    }
    println!(
        "  first row, {:.1} ms more than process start",
        (times[1].saturating_sub(times[0])).as_secs_f64() * 1000.0
    );
}

fn process_start() -> Duration {
    let started = now();
    let done = Command::new(env!("CARGO_BIN_EXE_tidemill")).arg("--version").stdout(Stdio::null()).status();
    assert!(done.expect("the binary was built with this benchmark").success());
    started.elapsed()
}

fn first_row(settings: &[String]) -> Duration {
    let checkpoint = empty_folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.arg("run").arg(pipeline::file("word-count")).arg("--checkpoint").arg(checkpoint.path());
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let started = now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary was built with this benchmark");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let row = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("| be"));
    let time = started.elapsed();
    assert!(row.is_some(), "the row came");
    lines.for_each(drop);
    assert!(child.wait().expect("it ends").success());
    time
}
