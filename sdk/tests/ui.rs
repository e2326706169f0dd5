//! A wrong use of a macro is met by people on their first day, so each error must say what to write instead. The whole text
//! of every one is kept beside its case; `TRYBUILD=overwrite cargo test -p tidemill-sdk --test ui` renews them, to be read
//! again before they are kept.

#[test]
fn wrong_uses_say_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
