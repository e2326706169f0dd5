//! Upper and lower case.

use std::borrow::Cow;

/// The text with the letters A to Z in lower case; the text itself, uncopied, when it holds none of them.
///
/// ```
/// # use tidemill_sdk::text::lower_ascii;
/// assert_eq!(lower_ascii("Tide"), "tide");
/// ```
#[inline]
pub fn lower_ascii(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}
