// Bytes through a tunnel between two engines of one process, in writes of 64 KiB: how many megabytes a second. `node --cpu-prof` shows
// where the time goes, for a package that was built with XTLS_WASM_NAMES.

import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

const directory = pathToFileURL(`${process.env.XTLS_PACKAGE}/`);
const { Engine, Identity, Store, load } = await import(new URL('client.js', directory));
await load(await readFile(new URL('xtls_bg.wasm', directory)));

const JIDS = ['romeo@montague.lit/orchard', 'juliet@capulet.lit/balcony'];
const TOTAL = 32 << 20;
const now = () => performance.now();

function engines() {
  const own = JIDS.map((jid) => Identity.generate(jid, 'ecdsa-p256', Date.now() / 1000));
  return JIDS.map((jid, at) => {
    const store = Store.inMemory();
    store.pin(JIDS[1 - at], own[1 - at].fingerprint());
    const engine = new Engine(jid, own[at], store, undefined, Date.now() / 1000, now());
    engine.setFeatures('https://example.org/', 'client', 'web', []);
    return engine;
  });
}

/** Carries stanzas until there are none. */
function carry(ends) {
  for (let moved = true; moved; ) {
    moved = false;
    for (const at of [0, 1]) {
      for (let stanza; (stanza = ends[at].pollTransmit(now())) !== undefined; moved = true) {
        ends[1 - at].handleStanza(now(), stanza.replace(' ', ` from='${JIDS[at]}' `));
      }
    }
  }
}

function drain(end, act) {
  for (let event; (event = end.pollEvent()) !== undefined; ) act(event);
}

function round() {
  const ends = engines();
  const here = ends[0].initiate(now(), JIDS[1], { trust: 'pinned', application: 'bytes' });
  let there;
  carry(ends);
  drain(ends[1], (event) => {
    if (event.kind === 'incoming') there = event.id;
  });
  ends[1].accept(now(), there, { trust: 'pinned' });
  carry(ends);
  const block = new Uint8Array(65_536).fill(7);
  const began = now();
  let [sent, got] = [0, 0];
  while (got < TOTAL) {
    if (sent < TOTAL) sent += ends[0].write(now(), here, block);
    carry(ends);
    got += ends[1].read(now(), there).length;
    for (const end of ends) drain(end, () => {});
  }
  return got / (now() - began) / 1000;
}

round();
const rounds = Array.from({ length: 7 }, round).sort((one, other) => one - other);
console.log(`${rounds[3].toFixed(1)} MB/s (${rounds[0].toFixed(1)} to ${rounds[6].toFixed(1)})`);
