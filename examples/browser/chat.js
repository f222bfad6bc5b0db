// Two pages with this, and a server with WebSockets: they talk and exchange files, and the server reads nothing of it.
import { Strophe, toStanza } from './strophe.js';
import { Client, Identity, Store, load, localStorageKeeper } from './xtls/client.js';

const CLIENT = "xmlns='jabber:client'";
const form = (id) => document.getElementById(id);
const parse = (text) => new DOMParser().parseFromString(text, 'text/xml').documentElement;
const element = (name, properties) => Object.assign(document.createElement(name), properties);
let client, talk;

function log(text, ...more) {
  const line = form('log').appendChild(element('p'));
  line.append(text, ...more);
}

function button(textContent, action) {
  return element('button', { textContent, onclick(event) { event.target.closest('p').remove(); action(); } });
}

function identity(account) {
  const kept = JSON.parse(localStorage.getItem(`identity of ${account}`) ?? 'null');
  if (kept) return new Identity(kept.certificate, kept.key);
  const { certificate, key } = Identity.generate(account, 'ecdsa-p256', Date.now() / 1000);
  localStorage.setItem(`identity of ${account}`, JSON.stringify({ certificate, key }));
  return new Identity(certificate, key);
}

form('login').onsubmit = async (event) => {
  event.preventDefault();
  const { service, jid, password } = Object.fromEntries(new FormData(event.target));
  await load();
  const account = Strophe.getBareJidFromJid(jid);
  const own = identity(account);
  const store = Store.keptBy(localStorageKeeper(`peers of ${account}`));
  const connection = new Strophe.Connection(service);
  // On a WebSocket each stanza stands for itself (RFC 7395 § 3.3.3).
  const send = (stanza) => connection.send(toStanza(stanza.replace(/^<(\w+)/, `<$1 ${CLIENT}`)));
  connection.connect(jid, password, (status, reason) => {
    if (status === Strophe.Status.CONNFAIL || status === Strophe.Status.AUTHFAIL) log(`no connection: ${reason}`);
    if (status === Strophe.Status.DISCONNECTED) client?.disconnected();
    if (status !== Strophe.Status.CONNECTED) return;
    client = new Client({ jid: connection.jid, identity: own, store, send });
    client.on('incoming', incoming).on('trust-required', trust).on('closed', (end) => log(`ended: ${end.text}`));
    connection.addHandler((stanza) => { client.receive(Strophe.serialize(stanza)); return true; });
    send(client.announce({ node: 'https://example.org/page' }));
    form('own').textContent = own.fingerprint();
    [event.target.hidden, form('call').hidden] = [true, false];
  });
};

form('call').onsubmit = (event) => {
  event.preventDefault();
  const peer = event.target.elements.peer.value;
  const [full] = peer.includes('/') ? [peer] : client.engine.resources(peer);
  if (!full) return log(`${peer} is not there`);
  client.engine.allowOffers(peer, true);
  opening(client.call(full, { trust: 'ask' }));
};

function incoming(offer) {
  if (offer.application === 'bytes') return offer.peer === talk?.peer ? receive(offer) : client.reject(offer);
  const accept = () => opening(client.accept(offer, { trust: 'ask' }));
  log(`${offer.peer} is calling `, button('answer', accept), button('decline', () => client.reject(offer)));
}

function trust(question) {
  const answer = (decision) => button(decision, () => client.trust(question, decision));
  log(`Is this their certificate? ${question.fingerprint} `, answer('accept-and-keep'), answer('refuse'));
}

function opening(tunnel) {
  tunnel.then(chat, (error) => log(`no tunnel: ${error.message}`));
}

function chat(tunnel) {
  talk = tunnel;
  form('talk').hidden = false;
  log(`secured with ${tunnel.peer}: ${tunnel.security.words}`);
  tunnel.onstanza = (stanza) => log(`they: ${parse(stanza).querySelector('body')?.textContent ?? stanza}`);
}

form('talk').onsubmit = (event) => {
  event.preventDefault();
  const { line } = event.target.elements;
  const message = parse(`<message ${CLIENT}><body/></message>`);
  message.firstChild.textContent = line.value;
  talk.send(new XMLSerializer().serializeToString(message));
  log(`you: ${line.value}`);
  line.value = '';
};

form('talk').elements.file.onchange = async (event) => {
  const [file] = event.target.files;
  // By a tunnel of its own, with the peer whose certificate is known by now.
  const tunnel = await client.call(talk.peer, { trust: 'pinned', application: 'bytes' });
  await file.stream().pipeTo(tunnel.writable);
  log((await tunnel.closed).receipt === 'given' ? `${file.name} has arrived` : `${file.name} may have been lost`);
};

async function receive(offer) {
  const tunnel = await client.accept(offer, { trust: 'pinned' });
  const blob = await new Response(tunnel.readable).blob();
  tunnel.close();
  log('a file: ', element('a', { href: URL.createObjectURL(blob), download: 'file', textContent: `${blob.size} bytes` }));
}
