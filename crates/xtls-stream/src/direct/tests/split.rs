//! How the bytes are cut makes no difference.

use proptest::prelude::*;

use super::*;

const PIECES: &[&str] = &[
    CLIENT_HEADER,
    SERVER_HEADER,
    END,
    TLS_REQUIRED,
    NO_FEATURES,
    STARTTLS,
    PROCEED,
    FAILURE,
    "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'><offer xmlns='urn:xmpp:tmp:c2ctls'><srp/></offer></proceed>",
    "<tls:starttls xmlns:tls='http://www.ietf.org/rfc/rfc2595.txt'/>",
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' \
     xmlns:tls='http://www.ietf.org/rfc/rfc2595.txt' to='im.example.com'>",
    "<message from='juliet@im.example.com'><body>€𝄞</body></message>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AA==</auth>",
    "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    "<iq><![CDATA[</iq>]]></iq>",
    "<presence",
    "/>",
    "<!--",
    " \n",
    "x",
];

/// One end at one of the stages where input of any kind may come.
fn side(stage: usize) -> Side {
    let client = |features: &str, change: fn(&mut StreamOptions)| Side::opened_client(features, change);
    match stage {
        0 => Side::server(|_| {}),
        1 => Side::server(xep_0035),
        2 => Side::opened_server(|_| {}),
        3 => Side::opened_server(unlocked),
        4 => Side::opened_server(secured),
        5 => {
            let mut client = Side::client(|_| {});
            client.does(DirectStream::start);
            client
        }
        6 => {
            let mut client = Side::client(xep_0035);
            client.does(DirectStream::start);
            client.handle(PIECES[10]);
            client.does(|stream, out| stream.start_tls(None, out));
            client
        }
        7 => {
            let mut client = client(TLS_REQUIRED, |_| {});
            client.does(|stream, out| stream.start_tls(None, out));
            client
        }
        8 => client(NO_FEATURES, secured),
        9 => {
            let mut client = client(NO_FEATURES, secured);
            client.does(DirectStream::close);
            client
        }
        _ => client(TLS_REQUIRED, unlocked),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Events are polled in the end: what was polled cannot be withdrawn when bytes follow where TLS has to begin.
    #[test]
    fn every_split_gives_the_same_events_and_the_same_answers(
        stage in 0_usize..11,
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
    ) {
        let text = pieces.concat();
        let bytes = text.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();

        let mut whole = side(stage);
        let expected = whole.handle(bytes);
        let mut cut_up = side(stage);
        let mut begin = 0;
        for end in cuts {
            let piece = &bytes[begin..end];
            prop_assert_eq!(cut_up.stream.handle_bytes(piece, &mut cut_up.ids, &mut cut_up.out), piece.len());
            begin = end;
        }
        prop_assert_eq!(cut_up.events(), expected);
        prop_assert_eq!(cut_up.written(), whole.written());
        prop_assert_eq!(cut_up.stream.stage(), whole.stream.stage());
    }

    #[test]
    fn bytes_of_any_kind_neither_panic_nor_pile_up(
        stage in 0_usize..11,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut side = side(stage);
        let _ = side.stream.handle_bytes(&bytes, &mut side.ids, &mut side.out);
        prop_assert!(side.stream.reader.buffered() <= bytes.len());
    }
}

/// Every single cut of a whole negotiation, polled at once.
#[test]
fn a_negotiation_is_the_same_at_every_cut() {
    let text = format!("{SERVER_HEADER}\n{TLS_REQUIRED}");
    for cut in 0..=text.len() {
        let mut client = Side::client(|_| {});
        client.does(DirectStream::start);
        let mut events = client.handle(&text[..cut]);
        events.extend(client.handle(&text[cut..]));
        assert_eq!(events, ["header", TLS_REQUIRED]);
        client.does(|stream, out| stream.start_tls(None, out));
        let cut = cut % PROCEED.len();
        assert!(client.handle(&PROCEED[..cut]).is_empty());
        assert_eq!(client.handle(&PROCEED[cut..]), ["tls "]);
    }
}
