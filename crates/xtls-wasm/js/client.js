// The loop around an engine, and its tunnels as streams. Everything that decides anything is in the engine.

import init, { Engine, Identity, Store } from './xtls.js';

export { Engine, Identity, Store };

/** Loads the engine, once, before anything else. `module` says where it is, or has its bytes, where it cannot be fetched from here. */
export function load(module = new URL('xtls_bg.wasm', import.meta.url)) {
  return init({ module_or_path: module });
}

/** Everybody's tunnels of one full address. */
export class Client {
  #engine;
  #send;
  #listeners = new Map();
  #tunnels = new Map();
  #timer;
  #turning = false;

  /** `send` takes each stanza that is to go to the server, as text; `settings` are those of an engine. */
  constructor({ jid, identity, store, settings, send }) {
    this.#engine = new Engine(jid, identity, store, settings, Date.now() / 1000, performance.now());
    this.#send = send;
  }

  /** The engine, for what is not here. Call `turn()` after calls that change anything. */
  get engine() {
    return this.#engine;
  }

  /** Has this called with each event of this kind; with `event` for each of any kind. */
  on(kind, listener) {
    this.#listeners.set(kind, [...(this.#listeners.get(kind) ?? []), listener]);
    return this;
  }

  /** Tells others of XTLS, with features of yours besides. Gives the presence to send. */
  announce({ node, category = 'client', type = 'web', features = [] }) {
    this.#engine.setFeatures(node, category, type, features);
    return this.#engine.presence();
  }

  /** Hands in a stanza of the stream: each one, presence too. Tells whether it is done with, and nobody else's. */
  receive(stanza) {
    const { disposition, refusal, words } = this.#engine.handleStanza(performance.now(), stanza);
    if (disposition === 'unclaimed') this.#engine.refuse(performance.now(), refusal);
    this.turn();
    if (disposition === 'malformed') throw new SyntaxError(words);
    return disposition === 'consumed' || disposition === 'unclaimed';
  }

  /** Offers a tunnel to a full address; `settings` has `trust`. Gives it once it can be used. */
  call(peer, settings) {
    const id = this.#engine.initiate(performance.now(), peer, settings);
    return this.#opening(id, peer, settings.application);
  }

  /** Accepts an offer, the event `incoming`. Gives the tunnel once it can be used. */
  accept({ id, peer, application }, settings) {
    this.#engine.accept(performance.now(), id, settings);
    return this.#opening(id, peer, application);
  }

  /** Rejects an offer. */
  reject({ id }, why = 'decline') {
    this.#engine.reject(performance.now(), id, why);
    this.turn();
  }

  /** Answers `trust-required`: `accept`, `accept-and-keep` or `refuse`. */
  trust({ id }, decision) {
    this.#engine.trust(performance.now(), id, decision);
    this.turn();
  }

  /** Answers `password-required`; nothing says that there is none. */
  password({ id }, password) {
    this.#engine.password(performance.now(), id, password);
    this.turn();
  }

  /** The stream has ended for good. */
  disconnected() {
    this.#engine.handleDisconnect(performance.now());
    this.turn();
  }

  /** Sends what is to be sent, tells what has happened, and sets the timer. */
  turn() {
    // A listener's calls come here too: the loop that runs already has what they bring about.
    if (this.#turning) return;
    this.#turning = true;
    try {
      for (let moved = true; moved; ) {
        moved = false;
        for (let stanza; (stanza = this.#engine.pollTransmit(performance.now())) !== undefined; moved = true) {
          this.#send(stanza);
        }
        for (let event; (event = this.#engine.pollEvent()) !== undefined; moved = true) this.#tell(event);
      }
    } finally {
      this.#turning = false;
    }
    clearTimeout(this.#timer);
    const due = this.#engine.pollTimeout(performance.now());
    if (due === undefined) return;
    // A timer of more than 24 days is over at once.
    this.#timer = setTimeout(() => {
      this.#engine.handleTimeout(performance.now());
      this.turn();
    }, Math.min(due, 0x7fffffff));
    // In Node.js a program need not stay for it.
    this.#timer.unref?.();
  }

  #opening(id, peer, application = 'xml-stream') {
    const tunnel = new Tunnel(this, id, peer, application);
    this.#tunnels.set(id, tunnel);
    this.turn();
    return tunnel.opened;
  }

  #tell(event) {
    this.#tunnels.get(event.id)?.handle(event);
    if (event.kind === 'closed') this.#tunnels.delete(event.id);
    for (const listener of [...(this.#listeners.get(event.kind) ?? []), ...(this.#listeners.get('event') ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        // One listener's fault is not the others', nor the engine's.
        queueMicrotask(() => { throw error; });
      }
    }
  }
}

/** A tunnel: of stanzas, or of bytes, which are streams. */
export class Tunnel {
  #client;
  #opened = Promise.withResolvers?.() ?? withResolvers();
  #closed = Promise.withResolvers?.() ?? withResolvers();
  #ended;
  #finished = false;
  #wake = { readable() {}, writable() {} };

  constructor(client, id, peer, application) {
    Object.assign(this, { id, peer, application, security: undefined, onstanza: undefined });
    this.#client = client;
    // Whoever does not look at it is told by the event.
    this.#opened.promise.catch(() => {});
    if (application === 'xml-stream') return;
    this.readable = new ReadableStream({ pull: (to) => this.#pull(to), cancel: () => this.#abort() }, { highWaterMark: 0 });
    this.writable = new WritableStream({
      write: (chunk) => this.#write(chunk),
      close: () => this.#call((engine, now) => engine.finish(now, this.id)),
      abort: () => this.#abort(),
    });
  }

  /** The tunnel, once it can be used; fails with the event `closed` as its `cause` if it never can. */
  get opened() {
    return this.#opened.promise;
  }

  /** The event `closed`, once it has ended. */
  get closed() {
    return this.#closed.promise;
  }

  /** Sends a stanza inside, as text. */
  send(stanza) {
    this.#call((engine, now) => engine.send(now, this.id, stanza));
  }

  /** Ends it in order. */
  close() {
    if (!this.#ended) this.#call((engine, now) => engine.close(now, this.id));
    return this.closed;
  }

  /** The client's: what has happened to it. */
  handle(event) {
    const isXml = this.application === 'xml-stream';
    if (event.kind === 'secured') this.security = event.security;
    if (event.kind === (isXml ? 'stream-opened' : 'secured')) this.#opened.resolve(this);
    if (event.kind === 'stanza') this.onstanza?.(event.text);
    if (event.kind === 'peer-finished') this.#finished = true;
    if (event.kind === 'closed') {
      this.#ended = event;
      this.#opened.reject(new Error(event.text, { cause: event }));
      this.#closed.resolve(event);
    }
    if (['readable', 'peer-finished', 'closed'].includes(event.kind)) this.#wake.readable();
    if (['writable', 'closed'].includes(event.kind)) this.#wake.writable();
  }

  async #pull(to) {
    for (;;) {
      const woken = new Promise((resolve) => { this.#wake.readable = resolve; });
      const { bytes, done } = this.#read();
      if (bytes.length > 0) return to.enqueue(bytes);
      if (done) return to.close();
      await woken;
    }
  }

  #read() {
    const done = this.#finished || this.#ended !== undefined;
    if (this.#ended && (this.#ended.truncated || this.#ended.reason === 'fault')) throw this.#broken();
    // A tunnel that has ended gave everything before.
    const bytes = this.#ended ? new Uint8Array() : this.#call((engine, now) => engine.read(now, this.id));
    return { bytes, done };
  }

  async #write(chunk) {
    let left = chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : chunk;
    for (;;) {
      if (this.#ended) throw this.#broken();
      const woken = new Promise((resolve) => { this.#wake.writable = resolve; });
      left = left.subarray(this.#call((engine, now) => engine.write(now, this.id, left)));
      if (left.length === 0) return;
      await woken;
    }
  }

  #abort() {
    if (!this.#ended) this.#call((engine, now) => engine.abort(now, this.id, 'cancel'));
  }

  #broken() {
    return new Error(this.#ended.text, { cause: this.#ended });
  }

  #call(call) {
    try {
      return call(this.#client.engine, performance.now());
    } finally {
      this.#client.turn();
    }
  }
}

/** A store for `Store.keptBy`, in the storage of the page's origin: whoever may run a script there may change it. */
export function localStorageKeeper(key) {
  return { load: () => localStorage.getItem(key), save: (text) => localStorage.setItem(key, text) };
}

/** For what has no `Promise.withResolvers` yet. */
function withResolvers() {
  let parts;
  const promise = new Promise((resolve, reject) => { parts = { resolve, reject }; });
  return { promise, ...parts };
}
