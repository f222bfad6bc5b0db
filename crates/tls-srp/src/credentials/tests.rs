#![allow(clippy::unwrap_used)]

use super::{Credentials, CredentialsError, MAX_PASSWORD, MAX_USERNAME};

fn prepared(text: &str) -> Result<String, CredentialsError> {
    let as_password = Credentials::new("romeo", text).map(|c| c.password().to_owned());
    let as_username = Credentials::new(text, "word").map(|c| c.username().to_owned());
    assert_eq!(Credentials::is_username(text), as_username.is_ok());
    match (&as_password, &as_username) {
        (Ok(password), Ok(username)) => assert_eq!(password, username),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("one of the two was not prepared"),
    }
    as_password
}

/// RFC 4013 § 3, examples 1 to 7.
#[test]
fn rfc_4013_3_the_examples() {
    assert_eq!(prepared("I\u{AD}X").unwrap(), "IX");
    assert_eq!(prepared("user").unwrap(), "user");
    assert_eq!(prepared("USER").unwrap(), "USER");
    assert_eq!(prepared("\u{AA}").unwrap(), "a");
    assert_eq!(prepared("\u{2168}").unwrap(), "IX");
    assert_eq!(prepared("\u{7}"), Err(CredentialsError::PasswordProhibited));
    assert_eq!(prepared("\u{627}\u{31}"), Err(CredentialsError::PasswordProhibited));
}

#[test]
fn non_ascii_space_becomes_space() {
    assert_eq!(prepared("two\u{A0}words").unwrap(), "two words");
    assert_eq!(prepared("two\u{3000}words").unwrap(), "two words");
}

#[test]
fn code_points_that_unicode_3_2_had_not_assigned_are_refused() {
    for text in ["\u{221}", "\u{1F600}"] {
        assert_eq!(prepared(text), Err(CredentialsError::PasswordProhibited));
    }
}

#[test]
fn bidirectional_text_is_checked() {
    assert_eq!(prepared("\u{627}\u{628}").unwrap(), "\u{627}\u{628}");
    assert_eq!(prepared("\u{627}a\u{628}"), Err(CredentialsError::PasswordProhibited));
}

#[test]
fn what_is_empty_after_preparation_is_refused() {
    for empty in ["", "\u{AD}", "\u{200C}\u{FEFF}"] {
        assert_eq!(Credentials::new("romeo", empty), Err(CredentialsError::PasswordEmpty));
        assert_eq!(Credentials::new(empty, "word"), Err(CredentialsError::UsernameEmpty));
    }
}

#[test]
fn lengths_at_the_limit_and_one_past_it() {
    let name = "n".repeat(MAX_USERNAME);
    assert!(Credentials::new(&name, "word").is_ok());
    assert_eq!(Credentials::new(&format!("{name}n"), "word"), Err(CredentialsError::UsernameTooLong));
    let word = "w".repeat(MAX_PASSWORD);
    assert!(Credentials::new("romeo", &word).is_ok());
    assert_eq!(Credentials::new("romeo", &format!("{word}w")), Err(CredentialsError::PasswordTooLong));
}

/// The bound holds after preparation, which can make text longer and shorter.
#[test]
fn lengths_are_counted_after_preparation() {
    let grows = "\u{2168}".repeat(MAX_USERNAME / 2); // 3 bytes become 2
    assert_eq!(Credentials::new(&grows, "word").unwrap().username().len(), 254);
    let grows = "\u{FDFA}".repeat(10); // one ligature becomes 33 bytes
    assert_eq!(Credentials::new(&grows, "word"), Err(CredentialsError::UsernameTooLong));
}

#[test]
fn a_colon_is_fine_in_both() {
    assert_eq!(prepared("a:b").unwrap(), "a:b");
}

#[test]
fn debug_and_errors_do_not_show_the_password() {
    let credentials = Credentials::new("romeo", "canary-word").unwrap();
    assert!(!format!("{credentials:?} {credentials:#?}").contains("canary"));
    let error = Credentials::new("romeo", "canary\u{7}").unwrap_err();
    assert!(!format!("{error:?} {error}").contains("canary"));
}
