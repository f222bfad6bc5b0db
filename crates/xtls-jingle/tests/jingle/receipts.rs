//! Receipts: announced by both, given once (docs/wire.md § 9).

use xtls_jingle::{
    Acceptance, Action, JingleFault, MalformedKind, PingError, RECEIPT_NS, Reason, ReasonCondition, Receipt,
    ReceiptError, Session, SessionEvent,
};
use xtls_stanza::{Condition, StanzaError};

use super::{BOTH, JULIET, ROMEO, SID, jid, jingle, next, offer, picture, read, security, write};

const PROOF: [u8; 32] = [0x5a; 32];

fn digits(proof: [u8; 32]) -> String {
    proof.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn given(proof: &str) -> String {
    format!("<receipt xmlns='{RECEIPT_NS}' proof='{proof}'/>")
}

/// Two ends of a session that is offered, and accepted unless it is `pending`; each says, or does not say, that it has receipts.
fn sessions(said: [bool; 2], pending: bool) -> [Session; 2] {
    let mut with_receipts = offer();
    with_receipts.receipts = said[0];
    let mut initiator = Session::initiate(SID, &jid(ROMEO), with_receipts).unwrap();
    let initiate = next(&mut initiator).1;
    assert_eq!(initiate.receipt, said[0].then_some(Receipt::Announced));
    let mut responder = Session::incoming(&initiate).unwrap();
    if !pending {
        let mut answer = Acceptance::new(jid(JULIET), 4096, security(BOTH));
        answer.receipts = said[1];
        responder.accept(answer).unwrap();
        let accept = next(&mut responder).1;
        // Who did not say it has no use for it.
        assert_eq!(accept.receipt, (said == [true, true]).then_some(Receipt::Announced));
        initiator.handle_request(&accept).unwrap();
    }
    [initiator, responder]
}

#[test]
fn a_receipt_is_64_hexadecimal_digits_or_none() {
    let with = |receipt: &str| {
        read(&format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'>{receipt}</jingle>"))
    };
    assert_eq!(with(&format!("<receipt xmlns='{RECEIPT_NS}'/>")).unwrap().receipt, Some(Receipt::Announced));
    for proof in [digits(PROOF), digits(PROOF).to_uppercase()] {
        let read = with(&given(&proof)).unwrap();
        assert_eq!((read.receipt, &read.payload), (Some(Receipt::Given(PROOF)), &None));
        assert!(write(&read).contains(&given(&digits(PROOF))));
    }
    for wrong in ["", "5a", &digits(PROOF)[1..], &format!("{}0", digits(PROOF)), &"5g".repeat(32), &"é".repeat(32)] {
        let malformed = with(&given(wrong)).unwrap_err();
        assert_eq!(
            (malformed.kind, malformed.stanza_error().condition),
            (MalformedKind::Receipt, Condition::BadRequest)
        );
    }
    // In another namespace it is something else, which nobody knows.
    let other = with("<receipt xmlns='urn:example'/>").unwrap();
    assert!(other.receipt.is_none() && other.payload.is_some());
}

#[test]
fn a_proof_does_not_show_before_its_time() {
    let [mut initiator, _] = sessions([true, true], false);
    initiator.give_receipt(PROOF).unwrap();
    assert!(!format!("{initiator:?}").contains("90"), "0x5a");
}

/// Rows: who said that it has receipts. Columns: initiator and responder, pending and active.
#[test]
fn both_have_to_say_it_and_the_session_has_to_be_active() {
    for said in [[false, false], [true, false], [false, true], [true, true]] {
        for pending in [true, false] {
            for mut session in sessions(said, pending) {
                let label = format!("{said:?} {pending} {:?}", session.role());
                let agreed = said == [true, true] && !pending;
                assert_eq!(session.has_receipts(), agreed, "{label}");
                let before = picture(&session);
                let taken = session.handle_request(&jingle(Action::SessionInfo, &given(&digits(PROOF))));
                let expected =
                    if agreed { Ok(Some(SessionEvent::Receipt(PROOF))) } else { Err(JingleFault::UnsupportedInfo) };
                assert_eq!(taken, expected, "{label}");
                let bare =
                    session.handle_request(&jingle(Action::SessionInfo, &format!("<receipt xmlns='{RECEIPT_NS}'/>")));
                assert_eq!(bare, Err(JingleFault::UnsupportedInfo), "{label}: it is no question for life");
                assert_eq!(picture(&session), before, "{label}");
                let refused = if pending { ReceiptError::NotActive } else { ReceiptError::NotAgreed };
                assert_eq!(session.give_receipt(PROOF), if agreed { Ok(()) } else { Err(refused) }, "{label}");
                assert_eq!(session.has_given_receipt(), agreed, "{label}");
                session.terminate(Reason::new(ReasonCondition::Success));
                assert_eq!(session.give_receipt(PROOF), Err(ReceiptError::NotActive), "{label}");
            }
        }
    }
}

#[test]
fn a_receipt_is_given_once_and_is_no_ping() {
    for is_error in [false, true] {
        let [mut initiator, mut responder] = sessions([true, true], false);
        initiator.ping().unwrap();
        initiator.give_receipt(PROOF).unwrap();
        assert_eq!(initiator.give_receipt(PROOF), Err(ReceiptError::Given));
        assert!(initiator.is_receipt_open());
        let (ping, receipt) = (next(&mut initiator), next(&mut initiator));
        assert_eq!(receipt.1.receipt, Some(Receipt::Given(PROOF)));
        assert_eq!(responder.handle_request(&receipt.1), Ok(Some(SessionEvent::Receipt(PROOF))));
        let id = receipt.0.id.as_str();
        assert!(initiator.is_receipt(id) && !initiator.is_receipt(ping.0.id.as_str()));
        assert_eq!(
            initiator.unanswered_action(),
            Some(Action::SessionInitiate),
            "a receipt may take as long as a ping"
        );
        // The answer to the one is none to the other.
        assert_eq!(initiator.handle_result(ping.0.id.as_str()), Some(Action::SessionInfo));
        assert!(!initiator.is_pinging() && initiator.is_receipt_open());
        initiator.ping().unwrap();
        if is_error {
            let refused = initiator.handle_error(id, &StanzaError::new(Condition::BadRequest)).unwrap();
            assert_eq!(refused.verdict, xtls_jingle::Verdict::Tolerated);
        } else {
            assert_eq!(initiator.handle_result(id), Some(Action::SessionInfo));
        }
        assert!(!initiator.is_receipt_open() && initiator.has_given_receipt());
        assert_eq!(initiator.ping(), Err(PingError::Unanswered));
        assert_eq!(initiator.give_receipt(PROOF), Err(ReceiptError::Given));
    }
}
