//! Plugins of more than one memory or table. Compilers make one, but others can be composed into a component, or
//! written by hand to get around the limits.

use std::iter;

use super::{
    files::{call, with_plugin},
    tiny,
};

const MIB: u32 = 16;

/// `limits.memory` is what an instance may have, and not what each of its memories may: a plugin would otherwise help
/// itself to as many times the limit as it has memories, when it starts or in a call.
#[test]
fn all_memories_together_have_the_limit() {
    // 1 MiB and two more memories: of 10 MiB, then of 20 MiB each.
    let folder = with_plugin(&tiny::of_three_memories(10 * MIB));
    let run = |memory: &str| call(&folder, ["run", "pipeline.toml", "--set", memory, "--set", "bad_rows=stop"]);
    let cases = [
        ("limits.memory=20MiB", "does not start: it asks for 21 MiB of memory where limits.memory allows 20 MiB"),
        ("limits.memory=40MiB", "tiny.all asked for 41 MiB of memory where limits.memory allows 40 MiB"),
    ];
    for (memory, phrase) in cases {
        let refused = run(memory);
        assert_eq!(refused.code, Some(1), "{memory}: {}", refused.stderr());
        assert!(refused.stderr().contains(phrase), "{memory}: {}", refused.stderr());
    }
    let enough = run("limits.memory=41MiB");
    assert_eq!(enough.code, Some(0), "{}", enough.stderr());
    assert_eq!(folder.column("out", "value"), ["one", "two", "three"]);
}

/// Tables are the host's memory, so they have a limit too, and it is as little for each of them.
#[test]
fn all_tables_together_have_a_limit() {
    let inspect = |entries| call(&with_plugin(&tiny::of_two_tables(entries)), ["inspect", "plugin.wasm"]);
    assert_eq!(inspect(500_000).code, Some(0));
    let refused = inspect(600_000);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr());
    assert!(refused.stderr().contains("does not start: table minimum size of 600000"), "{}", refused.stderr());
}

/// The pool of memories is everybody's, so one plugin may not have them all. It is no damaged file, and the error does
/// not say so.
#[test]
fn a_plugin_of_many_memories_is_refused() {
    let repeat = |text: &str, times| iter::repeat_n(text, times).collect::<String>();
    let module = format!("(core module $many {})", repeat("(memory 0)", 6));
    let many = |instances| format!("(component {module} {})", repeat("(core instance (instantiate $many))", instances));
    let inspect = |component: String| {
        let file = wat::parse_str(component).expect("the text is WebAssembly");
        call(&with_plugin(&file), ["inspect", "plugin.wasm"]).stderr()
    };
    assert!(inspect(many(2)).contains("is a component, but no plugin"), "{}", inspect(many(2)));
    let refused = inspect(many(3));
    assert!(refused.contains("plugin.wasm is larger than a plugin may be") && refused.contains("18"), "{refused}");
}
