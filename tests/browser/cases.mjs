// What the package does, for Node.js and for a page alike: two ends in one place, with a server between them that only stamps who a stanza
// is from; and what can be done wrong.

import * as assert from './assert.mjs';

const ROMEO = 'romeo@montague.lit/orchard';
const JULIET = 'juliet@capulet.lit/balcony';

/** The cases, by their names. */
export const cases = {};

let Client, Engine, Identity, Store, xtls;

/** Has the cases use this package, which is loaded: what client.js exports, and what xtls.js does. */
export function use(client, module) {
  ({ Client, Engine, Identity, Store } = client);
  xtls = module;
}

const add = (name, run) => { cases[name] = run; };
const later = (call) => { setTimeout(call, 0); };
const seconds = () => Date.now() / 1000;

function identities() {
  return [ROMEO, JULIET].map((jid) => Identity.generate(jid, 'ecdsa-p256', seconds()));
}

/** Two clients that hear one another. */
function pair({ stores = [Store.inMemory(), Store.inMemory()], own = identities(), settings } = {}) {
  const ends = [];
  [ROMEO, JULIET].forEach((jid, at) => {
    const send = (stanza) => {
      const stamped = stanza.replace(/^<(\w+)/, `<$1 from='${jid}'`);
      later(() => assert.ok(ends[1 - at].receive(stamped), stamped));
    };
    ends[at] = new Client({ jid, identity: own[at], store: stores[at], settings, send });
    ends[at].announce({ node: 'https://example.org/' });
  });
  return { ends, own, stores };
}

/** Two that know one another's certificates. */
function acquainted(settings) {
  const made = pair({ settings });
  made.stores[0].pin(JULIET, made.own[1].fingerprint());
  made.stores[1].pin(ROMEO, made.own[0].fingerprint());
  return made;
}

async function tunnel(ends, settings) {
  const accepted = new Promise((resolve, reject) => {
    ends[1].on('incoming', (offer) => ends[1].accept(offer, { trust: 'pinned' }).then(resolve, reject));
  });
  return Promise.all([ends[0].call(JULIET, { trust: 'pinned', ...settings }), accepted]);
}

function same(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

const noise = (length, seed) => Uint8Array.from({ length }, (_, at) => (at * 2654435761 + seed) >>> 13);

function throws(call, code) {
  assert.throws(call, (error) => error instanceof Error && error.code === code && error.message.length > 5, code);
}

add('two ends talk', async () => {
  const { ends } = acquainted();
  const [here, there] = await tunnel(ends);
  assert.equal(here.security.authentication, 'pinned');
  assert.equal(here.security.tls, 'TLS 1.3');
  // docs/performance.md: AES has no instructions here.
  assert.equal(here.security.cipherSuite, 'TLS_CHACHA20_POLY1305_SHA256');
  const heard = new Promise((resolve) => { there.onstanza = resolve; });
  here.send('<message><body>Wherefore art thou?</body></message>');
  assert.match(await heard, /<body>Wherefore art thou\?<\/body>/);
  await here.close();
  const end = await there.closed;
  assert.deepEqual([end.reason, end.by, end.truncated], ['done', 'remote', false]);
});

add('bytes go both ways, and their end is told', async () => {
  const { ends } = acquainted();
  const tunnels = await tunnel(ends, { application: 'bytes' });
  const sent = [noise(3_000_000, 1), noise(2_000_000, 2)];
  const got = tunnels.map((tunnel) => new Response(tunnel.readable).arrayBuffer());
  await Promise.all(tunnels.map((tunnel, at) => new Blob([sent[at]]).stream().pipeTo(tunnel.writable)));
  for (const at of [0, 1]) assert.ok(same(new Uint8Array(await got[at]), sent[1 - at]));
  await Promise.all(tunnels.map((tunnel) => tunnel.close()));
  const end = await tunnels[0].closed;
  assert.deepEqual([end.reason, end.truncated, end.receipt], ['done', false, 'given']);
});

add('nothing is read ahead of whoever reads', async () => {
  const { ends } = acquainted();
  const [here, there] = await tunnel(ends, { application: 'bytes' });
  const writer = here.writable.getWriter();
  let written = 0;
  const writing = (async () => {
    for (; written < 200; written += 1) await writer.write(noise(65_536, written));
    await writer.close();
  })();
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  assert.ok(written < 100, `${written} blocks wait for a reader that does not read`);
  let read = 0;
  for await (const chunk of there.readable) read += chunk.length;
  await writing;
  assert.equal(read, 200 * 65_536);
});

add('a certificate that is not the known one is refused, and both are told', async () => {
  const { ends, stores } = acquainted();
  stores[0].forget(JULIET);
  stores[0].pin(JULIET, identities()[1].fingerprint());
  ends[1].on('incoming', (offer) => ends[1].accept(offer, { trust: 'pinned' }).catch(() => {}));
  const error = await ends[0].call(JULIET, { trust: 'pinned' }).then(assert.fail, (error) => error);
  const { reason, isSecurity, by } = error.cause;
  assert.deepEqual([reason, isSecurity, by], ['fault', true, 'engine']);
});

add('the user decides about a certificate, and it is kept', async () => {
  let kept;
  const keeper = { load: () => kept, save: (text) => { kept = text; } };
  const { ends, own } = pair({ stores: [Store.keptBy(keeper), Store.inMemory()] });
  ends[0].on('trust-required', (question) => {
    assert.equal(question.fingerprint, own[1].fingerprint());
    ends[0].trust(question, 'accept-and-keep');
  });
  ends[1].on('trust-required', (question) => ends[1].trust(question, 'accept'));
  ends[1].on('incoming', (offer) => ends[1].accept(offer, { trust: 'ask' }));
  const opened = await ends[0].call(JULIET, { trust: 'ask' });
  assert.equal(opened.security.fingerprint, own[1].fingerprint());
  assert.deepEqual(Store.keptBy(keeper).pins().map((pin) => pin.peer), ['juliet@capulet.lit']);
});

add('a password is asked for', async () => {
  const { ends } = pair();
  for (const end of ends) end.on('password-required', (question) => end.password(question, 'rosemary'));
  ends[1].on('incoming', (offer) => ends[1].accept(offer, { trust: 'pinned', ask_password: true }));
  const opened = await ends[0].call(JULIET, { trust: 'pinned', ask_password: true });
  assert.equal(opened.security.method, 'srp');
});

add('an offer is rejected', async () => {
  const { ends } = acquainted();
  ends[1].on('incoming', (offer) => ends[1].reject(offer, 'busy'));
  const error = await ends[0].call(JULIET, { trust: 'pinned' }).then(assert.fail, (error) => error);
  assert.deepEqual([error.cause.reason, error.cause.condition], ['terminated', 'busy']);
});

add('a store that fails ends the tunnel and its words are told', async () => {
  const { ends } = pair({
    stores: [Store.keptBy({ load: () => null, save: () => { throw new Error('the disk is full'); } }), Store.inMemory()],
  });
  const told = new Promise((resolve) => { ends[0].on('store-failed', resolve); });
  ends[0].on('trust-required', (question) => ends[0].trust(question, 'accept-and-keep'));
  ends[1].on('trust-required', (question) => ends[1].trust(question, 'accept'));
  ends[1].on('incoming', (offer) => ends[1].accept(offer, { trust: 'ask' }));
  const call = ends[0].call(JULIET, { trust: 'ask' });
  assert.match((await told).text, /the disk is full/);
  await call;
  throws(() => Store.keptBy({ load: () => { throw new Error('no such disk'); }, save() {} }), 'store');
  throws(() => Store.keptBy({ load: () => 5, save() {} }), 'store');
  throws(() => Store.keptBy({ load: () => 'not JSON', save() {} }), 'store');
  throws(() => Store.keptBy({ load: () => null }), 'setting');
  throws(() => Store.keptBy(null), 'setting');
});

add('a store that calls the engine back is told that it is busy', async () => {
  let engine;
  const seen = [];
  const keeper = {
    load() {
      if (engine) try { engine.tunnels(); } catch (error) { seen.push(error.code); }
      return null;
    },
    save() {},
  };
  engine = new Engine(ROMEO, identities()[0], Store.keptBy(keeper), undefined, seconds(), 0);
  engine.initiate(0, JULIET, { trust: 'ask' });
  assert.ok(seen.length > 0);
  assert.deepEqual([...new Set(seen)], ['busy']);
  assert.equal(engine.tunnels().length, 1, 'and it goes on');
});

add('what is wrong is named', () => {
  const [own] = identities();
  const store = Store.inMemory();
  const engine = (settings, jid = ROMEO) => new Engine(jid, own, store, settings, seconds(), 0);
  throws(() => engine(undefined, 'no address'), 'address');
  throws(() => engine(undefined, 'romeo@montague.lit'), 'address');
  throws(() => engine({ windo: 3 }), 'setting');
  throws(() => engine({ window: 'wide' }), 'setting');
  throws(() => engine({ window: [] }), 'setting');
  throws(() => engine('window'), 'setting');
  throws(() => engine({ block_size: 1 }), 'config');
  throws(() => new Engine(ROMEO, new Identity('no certificate', 'no key'), store, undefined, seconds(), 0), 'identity');
  throws(() => Identity.generate('@', 'ecdsa-p256', 0), 'address');
  throws(() => Identity.generate(ROMEO, 'dsa', 0), 'name');
  throws(() => store.pin(JULIET, 'sha-256:00'), 'fingerprint');
  throws(() => store.pin('@', own.fingerprint()), 'address');

  const one = engine({ window: 4, sole_handler: true });
  throws(() => one.initiate(0, JULIET, {}), 'setting');
  throws(() => one.initiate(0, JULIET, undefined), 'setting');
  throws(() => one.initiate(0, JULIET, { trust: 'everybody' }), 'setting');
  throws(() => one.initiate(0, 'juliet@capulet.lit', { trust: 'pinned' }), 'address');
  throws(() => one.initiate(0, JULIET, { trust: 'pinned', password: '' }), 'password-empty');
  throws(() => one.close(0, 99n), 'other-engine');
  throws(() => one.accept(0, 99n, { trust: 'pinned' }), 'other-engine');
  throws(() => one.refuse(0, 5n), 'gone');
  throws(() => one.presence(), 'nothing');
  throws(() => one.initiate(0, JULIET, { trust: 'pinned' }), 'not-pinned');
  const id = one.initiate(0, JULIET, { trust: 'ask' });
  throws(() => one.write(0, id, new Uint8Array(3)), 'not-raw');
  throws(() => one.send(0, id, '<message>'), 'xml');
  throws(() => one.abort(0, id, 'boredom'), 'name');
  throws(() => one.trust(0, id, 'accept'), 'not-asked');
  throws(() => engine().close(0, id), 'other-engine');
  one.abort(0, id, 'cancel');
  while (one.pollEvent());
  throws(() => one.close(0, id), 'ended');
  assert.throws(() => one.close(0, 5), /BigInt/);
  assert.equal(one.handleStanza(0, "<presence from='juliet@capulet.lit/balcony'/>").disposition, 'observed');
  assert.equal(one.handleStanza(0, '<message/>').disposition, 'not-ours');
  assert.equal(one.handleStanza(0, '<iq').disposition, 'malformed');
  one.free();
  assert.throws(() => one.tunnels());
});

add('events, errors and settings have the names that they have in every language', () => {
  const kinds = xtls.eventKinds();
  for (const kind of ['incoming', 'secured', 'closed', 'trust-required']) assert.ok(kinds.includes(kind), kind);
  const codes = xtls.errorCodes();
  for (const code of ['busy', 'address', 'other-engine', 'not-secured']) assert.ok(codes.includes(code), code);
  assert.ok(xtls.tunnelSettings().includes('trust'));
  assert.ok(xtls.configSettings().includes('window'));
});

add('a key does not show', () => {
  const [own] = identities();
  assert.ok(!JSON.stringify(own).includes('PRIVATE') && !String(own).includes('PRIVATE'));
});
