//! Where a listing goes on, as clients see it: a text that is good for the listing that gave it out, and for no other.
//!
//! It is no secret and needs no key: all that it can lead to is the caller's own anyway. But a cursor of one listing
//! that is handed to another would skip or repeat entries without a word.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::task::hex_of_sha256;

/// The cursor that leads to this place in the listing that `listing` names.
#[must_use]
pub fn seal(listing: &str, place: impl Display) -> String {
    URL_SAFE_NO_PAD.encode(format!("{place}/{}", hex_of_sha256(listing)))
}

/// The place that a cursor of the listing leads to; `None` if it is no cursor of this listing.
#[must_use]
pub fn open<T: FromStr>(listing: &str, cursor: &str) -> Option<T> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (place, of) = text.rsplit_once('/')?;
    place.parse().ok().filter(|_| of == hex_of_sha256(listing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_on_in_its_own_listing_and_in_no_other() {
        let cursor = seal("items of one", 17);
        assert_eq!(open("items of one", &cursor), Some(17));
        assert_eq!(open::<u64>("items of another", &cursor), None);
        for wrong in ["", "17", "!", "MTc", &cursor[1..], &format!("{cursor}A")] {
            assert_eq!(open::<u64>("items of one", wrong), None, "{wrong}");
        }
    }
}
