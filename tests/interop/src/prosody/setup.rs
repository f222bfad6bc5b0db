//! What a Prosody is started with: its configuration, modules and accounts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{ACCOUNTS, LONER, Prosody, Site, Transport};

/// A module that plays a client of Carol's that knows of no tunnels: `carol@DOMAIN/phone`.
const PHONE: &str = r#"
local st = require "util.stanza";
local info = "http://jabber.org/protocol/disco#info";
module:hook("iq/full", function (event)
    local stanza = event.stanza;
    if stanza.attr.to ~= "carol@" .. module.host .. "/phone" or stanza.attr.type ~= "get" then return; end
    if stanza:get_child("query", info) then
        event.origin.send(st.reply(stanza):tag("query", { xmlns = info })
            :tag("identity", { category = "client", type = "phone" }):up():tag("feature", { var = info }));
    else
        event.origin.send(st.error_reply(stanza, "cancel", "service-unavailable"));
    end
    return true;
end, 10);
"#;

/// A module that sends clients elsewhere that have begun TLS.
const ELSEWHERE: &str = r#"
local st = require "util.stanza";
local place = module:get_option_string("elsewhere");
module:hook("stream-features", function (event)
    if not (place and event.origin.secure) then return; end
    local errors = { xmlns = "urn:ietf:params:xml:ns:xmpp-streams" };
    event.origin:close(st.stanza("stream:error"):text_tag("see-other-host", place, errors));
end, 1000);
"#;

/// A module that delivers the stanza in a file, for [`Prosody::post`].
const POST: &str = r#"
local xml = require "util.xml";
local path = module:get_option_string("post_file");
module:add_timer(0.05, function ()
    local file = io.open(path);
    if file then
        local stanza = xml.parse(file:read("*a"));
        file:close();
        os.remove(path);
        module:send(stanza);
    end
    return 0.05;
end);
"#;

/// A module that asks a client for signs of life, for [`Prosody::ping`].
const PINGS: &str = r#"
local st = require "util.stanza";
local now = require "util.time".now;
local path = module:get_option_string("ping_file");
local waits = false;
module:add_timer(0.3, function ()
    local file = not waits and io.open(path);
    if not file then return 0.3; end
    local jid, took = file:read("*a"):match("^(%S+) (%S+)$");
    file:close();
    waits = true;
    local began = now();
    local function answered ()
        local out = io.open(took, "a");
        out:write(string.format("%.6f\n", now() - began));
        out:close();
        waits = false;
    end
    local ping = st.iq({ type = "get", from = module.host, to = jid, id = string.format("ping-%f", began) });
    module:send_iq(ping:tag("ping", { xmlns = "urn:xmpp:ping" }), nil, 60):next(answered, answered);
    return 0.3;
end);
"#;

/// A module that says how large stanzas may be (XEP-0478).
const ANNOUNCES: &str = r#"
local bytes = module:get_option_number("announced");
module:hook("stream-features", function (event)
    if not bytes then return; end
    event.features:tag("limits", { xmlns = "urn:xmpp:stream-limits:0" }):text_tag("max-bytes", tostring(bytes)):up();
end);
"#;

/// Writes the modules: the above, and one that says where the servers of other domains are, in place of DNS.
pub(super) fn write_modules(dir: &Path, site: &Site) {
    let mut servers = String::new();
    for (domain, port) in &site.federation {
        writeln!(servers, "    [\"{domain}\"] = {port};").expect("writing to a string");
    }
    let module = format!(
        r#"
module:set_global();
local service, manual = require "net.resolvers.service", require "net.resolvers.manual";
local servers = {{
{servers}}};
local new = service.new;
function service.new(host, name, kind, extra)
    local port = servers[host];
    if not port then return new(host, name, kind, extra); end
    local targets = {{}};
    if name == "xmpp-server" then targets[1] = {{ "tcp4", "127.0.0.1", port, extra }}; end
    return manual.new(targets, kind);
end
"#
    );
    fs::create_dir_all(dir.join("plugins")).expect("the directory of modules is created");
    fs::write(dir.join("plugins/mod_neighbours.lua"), module).expect("the module is written");
    fs::write(dir.join("plugins/mod_phone.lua"), PHONE).expect("the module is written");
    fs::write(dir.join("plugins/mod_elsewhere.lua"), ELSEWHERE).expect("the module is written");
    fs::write(dir.join("plugins/mod_post.lua"), POST).expect("the module is written");
    fs::write(dir.join("plugins/mod_pings.lua"), PINGS).expect("the module is written");
    fs::write(dir.join("plugins/mod_announces.lua"), ANNOUNCES).expect("the module is written");
}

pub(super) fn configuration(dir: &Path, port: u16, transport: Transport, site: &Site) -> String {
    let dir = dir.display();
    let domain = &site.domain;
    let super::Place { address, proxy, .. } = site.place;
    let smacks = if site.resumes { r#""smacks", "# } else { "" };
    let limits = if site.throttles { r#""limits", "# } else { "" };
    let mut text = format!(
        r#"
daemonize = false
run_as_root = true
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
log = {{ debug = "{dir}/prosody.log" }}
interfaces = {{ "{address}" }}
c2s_ports = {{ {port} }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "ping", "groups", "posix", "dialback", "neighbours", "phone", {smacks}{limits}"elsewhere", "post", "pings", "announces" }}
ping_file = "{dir}/ping"
post_file = "{dir}/post.xml"
plugin_paths = {{ "{dir}/plugins" }}
authentication = "internal_plain"
storage = "internal"
groups_file = "{dir}/groups.txt"
"#
    );
    if let Some(port) = site.direct {
        writeln!(text, "c2s_direct_tls_ports = {{ {port} }}").expect("writing to a string");
    }
    if let Some(place) = &site.elsewhere {
        writeln!(text, "elsewhere = {place:?}").expect("writing to a string");
    }
    if site.keeps_resources {
        text.push_str("conflict_resolve = \"kick_new\"\n");
    }
    if site.throttles {
        // As in the package's prosody.cfg.lua.
        text.push_str("limits = { c2s = { rate = \"10kb/s\"; }; s2sin = { rate = \"30kb/s\"; }; }\n");
    }
    if let Some(bytes) = site.announced {
        writeln!(text, "announced = {bytes}").expect("writing to a string");
    }
    match transport {
        Transport::Plain => text.push_str("c2s_require_encryption = false\nallow_unencrypted_plain_auth = false\n"),
        Transport::StartTls => {
            text.push_str("c2s_require_encryption = true\n");
            let options: String = site.tls.iter().map(|option| format!("{option:?}, ")).collect();
            writeln!(
                text,
                r#"ssl = {{ key = "{dir}/server.key"; certificate = "{dir}/server.pem"; options = {{ {options}}} }}"#
            )
            .expect("writing to a string");
        }
    }
    match site.federation.iter().find(|(federated, _)| federated == domain) {
        Some((_, port)) => {
            writeln!(text, "s2s_ports = {{ {port} }}").expect("writing to a string");
            text.push_str("modules_disabled = { \"offline\" }\n");
        }
        None => text.push_str("s2s_ports = { }\nmodules_disabled = { \"s2s\", \"dialback\", \"offline\" }\n"),
    }
    if let Some(port) = site.proxy {
        writeln!(text, "proxy65_ports = {{ {port} }}\nproxy65_interfaces = {{ \"{proxy}\" }}")
            .expect("writing to a string");
    }
    writeln!(text, "VirtualHost \"{domain}\"").expect("writing to a string");
    if site.proxy.is_some() {
        writeln!(text, "Component \"proxy.{domain}\" \"proxy65\"\n    proxy65_address = \"{proxy}\"")
            .expect("writing to a string");
    }
    text
}

/// Writes the accounts where `internal_plain` looks for them, and one group of all.
pub(super) fn write_accounts(dir: &Path, site: &Site) {
    // Prosody escapes what is neither a letter nor a digit in names of hosts.
    let escaped =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    let host: String = site.domain.bytes().map(escaped).collect();
    let accounts = dir.join("data").join(host).join("accounts");
    fs::create_dir_all(&accounts).expect("the data directory is created");
    let mut groups = String::from("[Everyone]\n");
    for account in ACCOUNTS.into_iter().chain([LONER]) {
        let password = Prosody::password(account);
        fs::write(accounts.join(format!("{account}.dat")), format!("return {{ [\"password\"] = \"{password}\"; }};\n"))
            .expect("an account is written");
        if account == LONER {
            continue;
        }
        let neighbours = site.federation.iter().map(|(domain, _)| domain).filter(|domain| **domain != site.domain);
        for domain in neighbours.chain([&site.domain]) {
            writeln!(groups, "{account}@{domain}={account}").expect("writing to a string");
        }
    }
    fs::write(dir.join("groups.txt"), groups).expect("the group is written");
}
