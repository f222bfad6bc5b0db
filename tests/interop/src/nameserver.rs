//! DNS servers: one that says what a test wants, and those that are no good.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Header, HeaderCounts, Metadata, ResponseCode};
use hickory_server::proto::rr::rdata::SRV;
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket as TokioUdpSocket};

/// How long an answer may be kept.
const TTL: u32 = 60;
/// How long a client may take over TCP, and how many answers may wait for one.
const TCP: (Duration, usize) = (Duration::from_secs(5), 16);

/// A DNS server on a port of its own.
///
/// It ends with the test process.
#[derive(Debug)]
pub struct Nameserver {
    port: u16,
    asked: Asked,
}

/// Every question, as in `SRV _xmpp-client._tcp.capulet.example.`, in the order in which they came.
type Asked = Arc<Mutex<Vec<String>>>;

impl Nameserver {
    /// One that has these records, in words such as `xmpp.capulet.example. A 127.0.0.1` and
    /// `_xmpp-client._tcp.capulet.example. SRV 0 5 5222 xmpp.capulet.example.`, and no others; what it has no record of at all does
    /// not exist.
    ///
    /// # Panics
    ///
    /// When they cannot be read, or no port can be had.
    #[must_use]
    pub fn with<T: AsRef<str>>(records: &[T]) -> Self {
        let records = records.iter().map(|record| parsed(record.as_ref())).collect();
        let asked = Asked::default();
        let zone = Zone { records, asked: Arc::clone(&asked) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (udp, tcp) = runtime.block_on(sockets());
        let port = udp.local_addr().expect("an address").port();
        thread::spawn(move || {
            runtime.block_on(async {
                let mut server = Server::new(zone);
                server.register_socket(udp);
                server.register_listener(tcp, TCP.0, TCP.1);
                // It ends with the process.
                let _ = server.block_until_done().await;
            });
        });
        Self { port, asked }
    }

    /// One that never answers.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn silent() -> Self {
        Self::raw(|_| None)
    }

    /// One whose answers are the questions, cut off in the middle and with a count of records that do not follow.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn babbling() -> Self {
        Self::raw(|question| {
            let mut answer = question.get(..question.len() - 1)?.to_vec();
            // It is an answer (RFC 6120 § 3.2 names where DNS is specified), with 9 records.
            answer[2] |= 0x80;
            answer[7] = 9;
            Some(answer)
        })
    }

    fn raw(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        let asked = Asked::default();
        let record = Arc::clone(&asked);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((count, client)) = socket.recv_from(&mut buffer) {
                record.lock().expect("nobody panics").push("a question".to_owned());
                let answer = buffer.get(..count).and_then(&answer);
                let _ = answer.map(|answer| socket.send_to(&answer, client));
            }
        });
        Self { port, asked }
    }

    /// `ADDRESS:PORT` for `--dns`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Every question so far.
    ///
    /// # Panics
    ///
    /// Never: nobody panics while holding them.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics").clone()
    }
}

/// Sockets for both transports on one port.
async fn sockets() -> (TokioUdpSocket, TcpListener) {
    loop {
        let udp = TokioUdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        // Else somebody has this port of the other transport.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")).await {
            return (udp, tcp);
        }
    }
}

struct Zone {
    records: Vec<Record>,
    asked: Asked,
}

#[async_trait::async_trait]
impl RequestHandler for Zone {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut reply: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let info = request.request_info().expect("one question");
        let (kind, name) = (info.query.query_type(), Name::from(info.query.name().clone()));
        self.asked.lock().expect("nobody panics").push(format!("{kind} {name}"));
        let of_name: Vec<&Record> = self.records.iter().filter(|record| record.name == name).collect();
        if of_name.is_empty() {
            metadata.response_code = ResponseCode::NXDomain;
        }
        let answers = of_name.into_iter().filter(|record| record.record_type() == kind);
        let builder = MessageResponseBuilder::from_message_request(request);
        let response = builder.build(metadata, answers, &[], &[], &[]);
        let header = Header { metadata, counts: HeaderCounts::default() };
        reply.send_response(response).await.unwrap_or_else(|_| header.into())
    }
}

fn parsed(record: &str) -> Record {
    let words: Vec<&str> = record.split(' ').collect();
    let name = |text: &str| Name::from_ascii(text).unwrap_or_else(|e| panic!("{record}: {e}"));
    let number = |text: &str| text.parse().unwrap_or_else(|e| panic!("{record}: {e}"));
    let (owner, data) = match words[..] {
        [owner, "A" | "AAAA", address] => {
            let address: IpAddr = address.parse().unwrap_or_else(|e| panic!("{record}: {e}"));
            (owner, RData::from(address))
        }
        [owner, "SRV", priority, weight, port, target] => {
            (owner, RData::SRV(SRV::new(number(priority), number(weight), number(port), name(target))))
        }
        _ => panic!("no record: {record}"),
    };
    let record = Record::from_rdata(name(owner), TTL, data);
    assert!(matches!(record.record_type(), RecordType::A | RecordType::AAAA | RecordType::SRV));
    record
}
