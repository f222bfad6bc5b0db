//! Connecting without Nagle's algorithm.

use std::borrow::Cow;

use sasl::common::ChannelBinding;
use tokio::{io::BufStream, net::TcpStream};
use tokio_xmpp::{
    Error,
    connect::{DnsConfig, ServerConnector, starttls::starttls, tls_common::TlsStream},
    error::ProtocolError,
    jid::Jid,
    xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, initiate_stream},
};

/// Connects by STARTTLS, as tokio-xmpp's own connector does, and sends every stanza at once (`TCP_NODELAY`): with Nagle's
/// algorithm each round trip of a tunnel waits for acknowledgements that the other end delays, 40 ms each.
#[derive(Debug, Clone)]
pub struct NoDelayStartTls(DnsConfig);

impl From<DnsConfig> for NoDelayStartTls {
    fn from(dns: DnsConfig) -> Self {
        Self(dns)
    }
}

impl ServerConnector for NoDelayStartTls {
    type Stream = BufStream<TlsStream<TcpStream>>;

    async fn connect(
        &self,
        jid: &Jid,
        ns: &'static str,
        timeouts: Timeouts,
    ) -> Result<(PendingFeaturesRecv<Self::Stream>, ChannelBinding), Error> {
        let domain = jid.domain().as_str();
        let header = || StreamHeader { to: Some(Cow::Borrowed(domain)), from: None, id: None };
        let socket = self.0.resolve().await?;
        socket.set_nodelay(true)?;
        let clear = initiate_stream(BufStream::new(socket), ns, header(), timeouts).await?;
        let (features, clear) = clear.recv_features().await?;
        if !features.can_starttls() {
            return Err(Error::Protocol(ProtocolError::NoTls));
        }
        let (secured, binding) = starttls(clear, domain).await?;
        Ok((initiate_stream(BufStream::new(secured), ns, header(), timeouts).await?, binding))
    }
}
