//! Connecting without waiting.

use std::borrow::Cow;

use sasl::common::ChannelBinding;
use tokio::io::BufStream;
use tokio_xmpp::{
    Error,
    connect::{DnsConfig, ServerConnector, starttls::starttls, tls_common::TlsStream},
    error::ProtocolError,
    jid::Jid,
    xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, initiate_stream},
};

use crate::PromptTcp;

/// Connects by STARTTLS, as tokio-xmpp's own connector does, over TCP that waits for nothing: see [`PromptTcp`].
#[derive(Debug, Clone)]
pub struct NoDelayStartTls(DnsConfig);

impl From<DnsConfig> for NoDelayStartTls {
    fn from(dns: DnsConfig) -> Self {
        Self(dns)
    }
}

impl ServerConnector for NoDelayStartTls {
    type Stream = BufStream<TlsStream<PromptTcp>>;

    async fn connect(
        &self,
        jid: &Jid,
        ns: &'static str,
        timeouts: Timeouts,
    ) -> Result<(PendingFeaturesRecv<Self::Stream>, ChannelBinding), Error> {
        let domain = jid.domain().as_str();
        let header = || StreamHeader { to: Some(Cow::Borrowed(domain)), from: None, id: None };
        let socket = PromptTcp::from(self.0.resolve().await?);
        let clear = initiate_stream(BufStream::new(socket), ns, header(), timeouts).await?;
        let (features, clear) = clear.recv_features().await?;
        if !features.can_starttls() {
            return Err(Error::Protocol(ProtocolError::NoTls));
        }
        let (secured, binding) = starttls(clear, domain).await?;
        Ok((initiate_stream(BufStream::new(secured), ns, header(), timeouts).await?, binding))
    }
}
