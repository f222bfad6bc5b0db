//! Every event, error and reason has one short name, made from one table, and every table of the bindings has all of it. The tables of
//! `xtls` have an arm for each variant and none for the rest, so what is new there and not here fails here.

use std::collections::BTreeSet;

use xtls::error::{
    AcceptError, FinishError, InitiateError, NotAsked, ProbeError, ReceiptError, RejectError, RequestCertificatesError,
    SendError, SetupError, StreamStateError, TermsError, WriteError,
};
use xtls::trust::PasswordError;
use xtls_bindings::{Code, Disposition, EventKind, names};

/// The errors of commands, all of which have a code. `InitiateError` has four of its own, and those of its terms.
const ERRORS: &[&[&str]] = &[
    ProbeError::NAMES,
    AcceptError::NAMES,
    RejectError::NAMES,
    StreamStateError::NAMES,
    WriteError::NAMES,
    FinishError::NAMES,
    ReceiptError::NAMES,
    RequestCertificatesError::NAMES,
    SendError::NAMES,
    SetupError::NAMES,
    TermsError::NAMES,
    NotAsked::NAMES,
    PasswordError::NAMES,
];

#[test]
fn each_event_has_a_number_and_each_number_an_event() {
    let kinds: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(kinds, xtls::Event::NAMES);
    let dispositions: Vec<_> = Disposition::ALL.iter().map(|one| one.as_str()).collect();
    assert_eq!(dispositions, xtls::Disposition::NAMES);
}

#[test]
fn each_error_has_a_code() {
    for name in ERRORS.iter().copied().flatten() {
        assert!(Code::named(name).is_some(), "no code is called {name}");
    }
    let own = [InitiateError::OwnAddress, InitiateError::TooMany, InitiateError::TooManyWithPeer, InitiateError::Sid];
    for error in own {
        assert!(Code::named(error.as_str()).is_some(), "no code is called {}", error.as_str());
    }
}

#[test]
fn no_name_and_no_number_is_given_twice() {
    fn unique(all: impl Iterator<Item = (i32, &'static str)> + Clone) {
        let count = all.clone().count();
        assert_eq!(all.clone().map(|(number, _)| number).collect::<BTreeSet<_>>().len(), count);
        assert_eq!(all.clone().map(|(_, name)| name).collect::<BTreeSet<_>>().len(), count);
        assert!(all.clone().map(|(number, _)| number).is_sorted(), "in the order of the numbers");
        let is_short =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        assert!(all.clone().all(|(_, name)| is_short(name)));
    }
    unique(Code::ALL.iter().map(|one| (one.number(), one.as_str())));
    unique(EventKind::ALL.iter().map(|one| (one.number(), one.as_str())));
    unique(Disposition::ALL.iter().map(|one| (one.number(), one.as_str())));
    for code in Code::ALL {
        assert_eq!((code.c_str().to_str(), code.c_words().to_str()), (Ok(code.as_str()), Ok(code.words())));
        assert_eq!(Code::numbered(code.number()), Some(*code));
        assert!(!code.words().is_empty() && !code.words().ends_with('.') && Code::named(code.as_str()) == Some(*code));
    }
}

#[test]
fn the_tables_of_the_library_have_no_name_twice() {
    let tables: [&[&str]; 12] = [
        xtls::Fault::NAMES,
        xtls::error::Blame::NAMES,
        xtls::CloseReason::NAMES,
        xtls::EndedBy::NAMES,
        xtls::Receipt::NAMES,
        xtls::event::Side::NAMES,
        xtls::event::ProbeFault::NAMES,
        xtls::event::CertificatesFault::NAMES,
        xtls::trust::Authentication::NAMES,
        xtls::TrustPolicy::NAMES,
        xtls::TrustDecision::NAMES,
        xtls::Event::NAMES,
    ];
    for table in tables.into_iter().chain(ERRORS.iter().copied()) {
        assert_eq!(table.iter().collect::<BTreeSet<_>>().len(), table.len(), "{table:?}");
    }
}

#[test]
fn all_names_can_be_had_at_once_by_what_they_name() {
    let all = names();
    assert!(all.is_sorted_by_key(|(of, _)| *of));
    for (of, names) in &all {
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{of}");
    }
    let of = |wanted| all.iter().find(|(of, _)| *of == wanted).map(|(_, names)| names.as_slice());
    assert_eq!(of("fault"), Some(xtls::Fault::NAMES));
    assert_eq!(of("event"), Some(xtls::Event::NAMES));
}
