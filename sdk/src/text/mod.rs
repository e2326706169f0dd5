//! Fast ways through text. They give what the standard library gives; those that look for something in it look at
//! sixteen bytes at once.

mod case;
mod number;
#[cfg(test)]
mod promises;
pub(crate) mod scan;
mod split;
mod words;

pub use case::lower_ascii;
pub use number::parse_i64;
pub use split::{Split, find, split};
pub use words::{Words, words};

#[cfg(test)]
mod tests {
    use super::promises::PROMISES;

    #[test]
    fn answers_are_the_standard_librarys() {
        PROMISES.iter().for_each(|(_, compare)| compare());
    }
}
