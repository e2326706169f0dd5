//! The SDK's text helpers, where plugins run. Its own tests are native code, and there the helpers are other code: only
//! here do they use the vector instructions of WebAssembly.

use tidemill_tests::{Folder, plugin};

/// Everything that is promised of them is compared with the standard library inside of a plugin.
#[test]
fn the_text_helpers_keep_their_promises_in_webassembly() {
    let plugin = plugin("behaving").display();
    let folder = Folder::with(&format!(
        r#"
        name = "text"
        trigger = "once"
        bad_rows = "stop"
        limits = {{ call_timeout = "100s" }}

        [plugins.guest]
        path = "{plugin}"

        [sources.lines]
        type = "files"
        path = "in"

        [transforms.promises]
        inputs = ["lines"]
        call = "guest.promises"

        [transforms.kept]
        inputs = ["promises"]
        call = "guest.keeps_promise"

        [sinks.out]
        inputs = ["kept"]
        type = "files"
        path = "out"
        format = "text"
        "#
    ));
    folder.write("in/1.txt", "one line\n");
    let run = folder.run(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr());
    assert_eq!(folder.output("out"), ["words", "characters", "parts", "bytes", "numbers", "case"]);
}
