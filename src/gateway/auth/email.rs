//! What counts as an email address.
//!
//! The rule of browsers for `<input type=email>`, which is also that of Supabase Auth. Whether anybody reads mail there
//! is another question that this service cannot ask.

use super::error::Refusal;

/// The column's size.
const LONGEST: usize = 255;

/// The address as it is kept: in small letters.
pub(super) fn checked(email: &str) -> Result<String, Refusal> {
    if email.is_empty() {
        return Err(Refusal::invalid("An email address is required"));
    }
    if email.len() > LONGEST {
        return Err(Refusal::invalid("An email address is too long"));
    }
    if !is_address(email) {
        return Err(Refusal::invalid(
            "Unable to validate email address: invalid format",
        ));
    }
    Ok(email.to_ascii_lowercase())
}

fn is_address(email: &str) -> bool {
    let Some((local, domain)) = email.split_once('@') else {
        return false;
    };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    !local.is_empty() && local.bytes().all(atom) && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        for good in [
            "a@b",
            "ann@example.com",
            "o'neil+tag/x=1@sub.example.co",
            "1@2.3",
        ] {
            assert!(is_address(good), "{good}");
        }
        let long = format!("a@{}.com", "x".repeat(64));
        for bad in [
            "", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b..c", "a@-b", "a@b-", "a@b.", "a@.b",
            "a\n@b", "ä@b", "a@ä", "a@b;--", "a\"@b", "<a@b>", "a@[::1]", &long,
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_are_kept_in_small_letters_and_bounded() {
        assert_eq!(checked("Ann@Example.COM").unwrap(), "ann@example.com");
        assert!(checked(&format!("{}@b", "a".repeat(253))).is_ok());
        assert!(checked(&format!("{}@b", "a".repeat(254))).is_err());
    }
}
