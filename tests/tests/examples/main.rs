//! Every example runs with the one command it names, and shows what it says it shows.
//!
//! What comes out is compared with the same computed here, in plain Rust, from the same input.

mod run;
mod table;

mod event_time;
mod every_pipeline;
mod logs;
mod random_lines;
mod sensors;
mod word_count;
mod words;
