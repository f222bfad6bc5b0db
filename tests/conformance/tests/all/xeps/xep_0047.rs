//! XEP-0047, played with one end of a bytestream.

use xtls::Disposition;
use xtls_ibb::{
    Acked, Bytestream, BytestreamConfig, BytestreamFault, BytestreamRole, BytestreamState, ErrorOutcome, Handled,
    Request, Sent, Whitespace,
};
use xtls_stanza::{Element, Envelope, Ids, Iq, StanzaError};

use crate::common::{Stage, element, id, kinds, said};

const ROMEO: &str = "romeo@montague.net/orchard";
const JULIET: &str = "juliet@capulet.com/balcony";
const SID: &str = "i781hf64";

const OPEN: &str = "<iq from='romeo@montague.net/orchard' id='jn3h8g65' to='juliet@capulet.com/balcony' type='set'>
      <open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='i781hf64' stanza='iq'/>
    </iq>";
const DATA: &str = "<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='i781hf64'>
        qANQR1DBwU4DX7jmYZnncmUQB/9KuKBddzQH+tZ1ZywKK0yHKnq57kWq+RFtQdCJ
        WpdWpR0uQsuJe7+vh3NWn59/gTc5MDlX8dS9p0ovStmNcyLhxVgmqS8ZKhsblVeu
        IpQ0JgavABqibJolc3BKrVtVV1igKiX/N7Pi8RtY1K18toaMDhdEfhBRzO/XB0+P
        AQhYlRjNacGcslkhXqNjK5Va4tuOAPy2n1Q8UUrHbUd0g+xJ9Bm0G0LZXyvCWyKH
        kuNEHFQiLuCY6Iv0myq6iX6tjuHehZlFSh80b5BVV9tNLwNR5Eqz1klxMhoghJOA
      </data>";
const CLOSE: &str = "<iq from='romeo@montague.net/orchard' id='us71g45j' to='juliet@capulet.com/balcony' type='set'>
      <close xmlns='http://jabber.org/protocol/ibb' sid='i781hf64'/>
    </iq>";

/// A result as in Examples 2, 7 and 9.
fn result(id: &str) -> Element {
    crate::common::result(JULIET, ROMEO, id)
}

/// An error as in Examples 3, 4, 5 and 10.
fn error(id: &str, error_type: &str, condition: &str) -> Element {
    element(&format!(
        "<iq from='{JULIET}' id='{id}' to='{ROMEO}' type='error'><error type='{error_type}'>
        <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ))
}

/// Example 6.
fn data_iq() -> String {
    format!("<iq from='{ROMEO}' id='kr91n475' to='{JULIET}' type='set'>{DATA}</iq>")
}

/// One end, and what the other hands to it.
struct End {
    stream: Bytestream,
    ids: Ids,
    own: &'static str,
    peer: &'static str,
    received: Vec<u8>,
}

impl End {
    fn romeo() -> Self {
        Self::new(BytestreamRole::Opener, ROMEO, JULIET, 4096, BytestreamConfig::default())
    }

    fn juliet(block_size: u16) -> Self {
        Self::new(BytestreamRole::Acceptor, JULIET, ROMEO, block_size, BytestreamConfig::default())
    }

    fn new(
        role: BytestreamRole,
        own: &'static str,
        peer: &'static str,
        block_size: u16,
        config: BytestreamConfig,
    ) -> Self {
        let stream = Bytestream::new(role, SID, block_size, config);
        Self { stream, ids: Ids::new([7; 32]), own, peer, received: Vec::new() }
    }

    /// Romeo's end with an open bytestream.
    fn romeo_open() -> Self {
        let mut romeo = Self::romeo();
        romeo.stream.open();
        let (_, open) = romeo.poll().unwrap();
        assert_eq!(romeo.stream.handle_result(id(&open)), Some(Acked::Open));
        romeo
    }

    /// Juliet's end, which has taken Example 1.
    fn juliet_open(config: BytestreamConfig) -> Self {
        let mut juliet = Self::new(BytestreamRole::Acceptor, JULIET, ROMEO, 4096, config);
        assert_eq!(juliet.take(OPEN), Ok(Handled::Opened));
        assert_eq!(juliet.poll(), Some((Sent::Result, result("jn3h8g65"))));
        juliet
    }

    /// Takes a request.
    fn take(&mut self, stanza: &str) -> Result<Handled, BytestreamFault> {
        let stanza = element(stanza);
        let iq = Iq::parse(&stanza).unwrap().unwrap();
        let request = Request::parse(iq.payload.unwrap()).unwrap().unwrap();
        self.stream.handle_request(iq.id, &request, &mut self.received)
    }

    /// Takes an error to a request of ours.
    fn refused(&mut self, request: &Element, error_type: &str, condition: &str) -> Option<ErrorOutcome> {
        let error = error(id(request), error_type, condition);
        self.stream.handle_error(id(request), &StanzaError::of_stanza(&error).unwrap())
    }

    fn poll(&mut self) -> Option<(Sent, Element)> {
        let mut out = String::new();
        let cut = &mut |bytes: &[u8], _: usize| bytes.len();
        let sent = self.stream.poll(&mut self.ids, &Envelope::new(self.peer, Some(self.own)), cut, &mut out)?;
        Some((sent, element(&out)))
    }

    /// Our answer to a fault of the peer.
    fn answer(&self, id: &str, fault: BytestreamFault) -> Element {
        let mut out = String::new();
        Iq::write_error(&mut out, id, self.peer, Some(self.own), &fault.to_stanza_error());
        element(&out)
    }
}

/// An example with another id: ours are random.
fn with_id(example: &str, printed: &str, id: &str) -> Element {
    crate::common::compact(&example.replace(printed, id))
}

#[test]
fn xep_0047_example_1_is_what_is_sent_and_example_2_opens() {
    let mut romeo = End::romeo();
    romeo.stream.open();
    let (sent, open) = romeo.poll().unwrap();
    assert_eq!((sent, &open), (Sent::Open, &with_id(OPEN, "jn3h8g65", id(&open))));
    assert_eq!(romeo.stream.handle_result("jn3h8g65"), None, "the answer to something else");
    assert_eq!(romeo.stream.handle_result(id(&open)), Some(Acked::Open));
    assert_eq!(romeo.stream.state(), BytestreamState::Open);
}

#[test]
fn xep_0047_example_2_is_the_answer_to_example_1() {
    let juliet = End::juliet_open(BytestreamConfig::default());
    assert_eq!((juliet.stream.state(), juliet.stream.block_size()), (BytestreamState::Open, 4096));
}

#[test]
fn xep_0047_example_3_without_support_there_is_no_bytestream() {
    let mut romeo = End::romeo();
    romeo.stream.open();
    let (_, open) = romeo.poll().unwrap();
    assert_eq!(romeo.refused(&open, "cancel", "service-unavailable"), Some(ErrorOutcome::OpenRefused));
    assert_eq!((romeo.stream.state(), romeo.poll()), (BytestreamState::Closed, None));
}

#[test]
fn xep_0047_example_4_smaller_chunks_are_asked_for_and_offered() {
    let mut romeo = End::romeo();
    romeo.stream.open();
    let (_, open) = romeo.poll().unwrap();
    assert_eq!(romeo.refused(&open, "modify", "resource-constraint"), Some(ErrorOutcome::Retrying));
    let (sent, again) = romeo.poll().unwrap();
    assert_eq!((sent, &again), (Sent::Open, &with_id(&OPEN.replace("4096", "2048"), "jn3h8g65", id(&again))));
    assert_ne!(id(&again), id(&open));

    let mut juliet = End::juliet(2048);
    let fault = juliet.take(OPEN).unwrap_err();
    assert_eq!(said(&juliet.answer("jn3h8g65", fault)), said(&error("jn3h8g65", "modify", "resource-constraint")));
    assert_eq!(juliet.stream.state(), BytestreamState::AwaitingOpen, "she may try again");
}

#[test]
fn xep_0047_example_5_a_refusal_is_final() {
    let mut romeo = End::romeo();
    romeo.stream.open();
    let (_, open) = romeo.poll().unwrap();
    assert_eq!(romeo.refused(&open, "cancel", "not-acceptable"), Some(ErrorOutcome::OpenRefused));
    assert_eq!((romeo.stream.state(), romeo.poll()), (BytestreamState::Closed, None));
}

#[test]
fn xep_0047_example_6_is_taken_with_its_white_space_and_example_7_is_the_answer() {
    let mut juliet = End::juliet_open(BytestreamConfig::default());
    assert_eq!(juliet.take(&data_iq()), Ok(Handled::Data { bytes: 240 }));
    let run: String = element(DATA).text().split_whitespace().collect();
    assert_eq!(crate::common::base64(&juliet.received), run);
    assert_eq!(juliet.poll(), None, "withheld until it is dealt with");
    juliet.stream.release_acks(u64::MAX);
    assert_eq!(juliet.poll(), Some((Sent::Result, result("kr91n475"))));
}

#[test]
fn xep_0047_example_6_is_not_base64_for_who_is_strict() {
    let mut config = BytestreamConfig::default();
    config.whitespace = Whitespace::Strict;
    let mut juliet = End::juliet_open(config);
    let fault = juliet.take(&data_iq()).unwrap_err();
    assert_eq!(said(&juliet.answer("kr91n475", fault)), said(&error("kr91n475", "cancel", "bad-request")));
    assert_eq!(juliet.received, b"");
}

#[test]
fn xep_0047_example_6_is_what_is_sent_but_for_the_white_space_and_example_7_acknowledges() {
    let mut juliet = End::juliet_open(BytestreamConfig::default());
    juliet.take(&data_iq()).unwrap();
    let mut romeo = End::romeo_open();
    romeo.stream.outgoing().extend_from_slice(&juliet.received);
    let (sent, data) = romeo.poll().unwrap();
    let run: String =
        data_iq().split("'>").map(|part| part.split("\n        ").collect::<String>()).collect::<Vec<_>>().join("'>");
    assert_eq!((sent, &data), (Sent::Data { bytes: 240 }, &with_id(&run, "kr91n475", id(&data))));
    assert_eq!(
        (romeo.stream.unacked(), romeo.stream.handle_result(id(&data))),
        (240, Some(Acked::Data { bytes: 240 }))
    );
    assert_eq!(romeo.stream.unacked(), 0);
}

#[test]
fn xep_0047_example_8_is_what_is_sent_and_example_9_closes() {
    let mut romeo = End::romeo_open();
    romeo.stream.close();
    let (sent, close) = romeo.poll().unwrap();
    assert_eq!((sent, &close), (Sent::Close, &with_id(CLOSE, "us71g45j", id(&close))));
    assert_eq!(romeo.stream.state(), BytestreamState::Closing);
    assert_eq!(romeo.stream.handle_result(id(&close)), Some(Acked::Close));
    assert_eq!(romeo.stream.state(), BytestreamState::Closed);
}

#[test]
fn xep_0047_example_9_is_the_answer_to_example_8() {
    let mut juliet = End::juliet_open(BytestreamConfig::default());
    assert_eq!(juliet.take(CLOSE), Ok(Handled::Closed));
    assert_eq!(
        (juliet.poll(), juliet.stream.state()),
        (Some((Sent::Result, result("us71g45j"))), BytestreamState::Closed)
    );
}

#[test]
fn xep_0047_example_10_an_unknown_bytestream_cannot_be_closed_and_is_closed_all_the_same() {
    let mut romeo = End::romeo_open();
    romeo.stream.close();
    let (_, close) = romeo.poll().unwrap();
    assert_eq!(romeo.refused(&close, "cancel", "item-not-found"), Some(ErrorOutcome::Closed));
    assert_eq!(romeo.stream.state(), BytestreamState::Closed);

    let mut juliet = End::juliet_open(BytestreamConfig::default());
    juliet.take(CLOSE).unwrap();
    let fault = juliet.take(CLOSE).unwrap_err();
    assert_eq!(said(&juliet.answer("us71g45j", fault)), said(&error("us71g45j", "cancel", "item-not-found")));
}

#[test]
fn xep_0047_example_11_data_in_a_message_goes_nowhere() {
    let (mut stage, _) = Stage::responder_with_stream();
    let data = DATA.replace(SID, &stage.ibb_sid).replace("seq='0'", &format!("seq='{}'", stage.seq_out));
    let message = format!("<message from='{}' id='dsw71gj3' to='{}'>{data}</message>", stage.peer, stage.own);
    assert!(matches!(stage.deliver(&message), Disposition::Consumed));
    stage.sent_nothing();
    // Its seq is not used up.
    stage.write("<presence/>");
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Stanza"]);
}
