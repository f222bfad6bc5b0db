//! The `xtls` command against real servers, on loopback.

mod accounts;
mod authorities;
mod chat;
mod chat_client;
mod connection;
mod ejabberd;
mod example;
mod federation;
mod files;
mod link;
mod link_pipe;
mod link_security;
mod login;
mod manual;
mod memory;
mod neighbours;
mod old_tls;
mod openssl;
mod pairing;
mod password;
mod pipe;
mod probe;
mod probe_server;
mod sasl_login;
mod security;
mod trace;
