//! Every example runs with the one command it names, and shows what it says it shows.
//!
//! What comes out is compared with the same computed here, in plain Rust, from the same input.

mod run;
mod table;

mod every_pipeline;
mod logs;
mod sensors;
mod word_count;
mod words;
