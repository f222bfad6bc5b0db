#![allow(clippy::unwrap_used)]

use super::*;

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn keyboard(recipient: Recipient) -> Keyboard {
    Keyboard::new(Output::silent(), Lines::none(), recipient, &Nicknames::default(), true)
}

fn type_line(keyboard: &mut Keyboard, text: &str, there: &[Jid]) -> Option<(usize, String)> {
    keyboard.take(Input::Line(text.to_owned()), there).unwrap();
    keyboard.line_for(there).map(|(at, line)| (at, line.text))
}

#[test]
fn a_line_may_choose_by_a_nickname() {
    let mut keyboard = keyboard(Recipient::First);
    keyboard.nicknames = Nicknames::of(&[("romeo", "romeo@montague.lit")]);
    let there = [jid("tybalt@capulet.lit/sword"), jid("romeo@montague.lit/orchard")];
    assert_eq!(type_line(&mut keyboard, "/to Romeo", &there), None);
    assert_eq!(type_line(&mut keyboard, "wherefore art thou", &there), Some((1, "wherefore art thou".to_owned())));
}

#[test]
fn a_line_goes_to_whom_it_was_typed_for_or_to_nobody() {
    let mut keyboard = keyboard(Recipient::First);
    let (romeo, tybalt) = (jid("romeo@montague.lit/orchard"), jid("tybalt@capulet.lit/sword"));
    // The first one waits for whoever comes.
    assert_eq!(type_line(&mut keyboard, "who's there?", &[]), None);
    let there = [romeo.clone(), tybalt.clone()];
    keyboard.came(&romeo, &there[..1]).unwrap();
    assert_eq!(keyboard.line_for(&there[..1]).map(|(at, line)| (at, line.number)), Some((0, 1)));
    keyboard.came(&tybalt, &there).unwrap();
    assert_eq!(type_line(&mut keyboard, "my only love", &there), Some((0, "my only love".to_owned())));
    // What waited for room goes to nobody else either.
    keyboard.take(Input::Line("sprung".to_owned()), &there).unwrap();
    keyboard.gone(&romeo, &there[1..]).unwrap();
    assert_eq!(keyboard.line_for(&there[1..]), None);
    assert_eq!(type_line(&mut keyboard, "from my only hate", &there[1..]), None);
    assert_eq!(keyboard.unsent.lines, 2);
    // The same peer is who it was, from wherever it comes.
    let back = [tybalt, jid("romeo@montague.lit/mantua")];
    keyboard.came(&back[1], &back).unwrap();
    assert_eq!(type_line(&mut keyboard, "it is the east", &back), Some((1, "it is the east".to_owned())));
    assert_eq!(keyboard.finish().unwrap_err().code, Code::Connection);
}

#[test]
fn the_user_chooses_by_bare_or_full_address() {
    let mut keyboard = keyboard(Recipient::First);
    let there = ["romeo@montague.lit/a", "tybalt@capulet.lit/b", "tybalt@capulet.lit/c"].map(jid);
    keyboard.came(&there[0], &there).unwrap();
    assert_eq!(type_line(&mut keyboard, "/to tybalt@capulet.lit", &there), None);
    assert_eq!(type_line(&mut keyboard, "peace", &there), Some((1, "peace".to_owned())));
    assert_eq!(type_line(&mut keyboard, "/to  tybalt@capulet.lit/c ", &there), None);
    assert_eq!(type_line(&mut keyboard, "peace", &there), Some((2, "peace".to_owned())));
    // A full address is that tunnel only.
    keyboard.gone(&there[2], &there[..2]).unwrap();
    assert_eq!(type_line(&mut keyboard, "peace", &there[..2]), None);
    assert_eq!(type_line(&mut keyboard, "/to", &there), None);
    assert_eq!(keyboard.unsent.lines, 1, "a question is no line");
}

#[test]
fn a_choice_that_fails_leaves_nobody_and_not_the_one_before() {
    let there = [jid("romeo@montague.lit/a")];
    for choice in ["/to tybalt@capulet.lit", "/to @", "/to romeo@montague.lit/b"] {
        let mut keyboard = keyboard(Recipient::First);
        keyboard.came(&there[0], &there).unwrap();
        assert_eq!(type_line(&mut keyboard, choice, &there), None);
        assert_eq!(type_line(&mut keyboard, "I hate the word", &there), None, "{choice}");
        assert_eq!(keyboard.unsent.lines, 1);
    }
}

#[test]
fn what_was_not_sent_is_counted_and_not_done() {
    let mut nothing = keyboard(Recipient::First);
    assert!(nothing.finish().is_ok());
    // A line that nobody came for.
    let mut held = keyboard(Recipient::First);
    assert_eq!(type_line(&mut held, "hello", &[]), None);
    let failure = held.finish().unwrap_err();
    assert_eq!((failure.code, failure.message.as_str()), (Code::Connection, "a line of standard input was not sent"));
    // Lines that cannot be sent: the first one decides on the code.
    let mut unusable = keyboard(Recipient::Only(jid("a@b")));
    unusable.take(Input::Unusable("it is not UTF-8"), &[]).unwrap();
    unusable.not_sent(2, None, "it is not there any more", Code::Connection);
    let failure = unusable.finish().unwrap_err();
    assert_eq!((failure.code, failure.message.as_str()), (Code::Other, "2 lines of standard input were not sent"));
    let mut unacked = keyboard(Recipient::Only(jid("a@b")));
    unacked.not_acknowledged();
    assert_eq!(unacked.finish().unwrap_err().code, Code::Connection);
}
