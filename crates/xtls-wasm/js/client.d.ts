import { Engine, Identity, InitInput, Store, Security, XtlsEvent } from './xtls.js';
export { Engine, Identity, Store, Security, XtlsEvent };

export function load(module?: InitInput): Promise<unknown>;

export type Settings = Record<string, string | number | boolean>;

export interface Keeper {
  load(): string | null | undefined;
  save(text: string): void;
}

export class Client {
  constructor(options: {
    jid: string;
    identity: Identity;
    store: Store;
    settings?: Settings;
    send: (stanza: string) => void;
  });
  readonly engine: Engine;
  on(kind: string, listener: (event: XtlsEvent) => void): this;
  announce(options: { node: string; category?: string; type?: string; features?: string[] }): string;
  receive(stanza: string): boolean;
  call(peer: string, settings: Settings): Promise<Tunnel>;
  accept(offer: XtlsEvent, settings: Settings): Promise<Tunnel>;
  reject(offer: XtlsEvent, why?: string): void;
  trust(question: XtlsEvent, decision: 'accept' | 'accept-and-keep' | 'refuse'): void;
  password(question: XtlsEvent, password?: string): void;
  disconnected(): void;
  turn(): void;
}

export class Tunnel {
  readonly id: bigint;
  readonly peer: string;
  readonly application: string;
  readonly security?: Security;
  readonly opened: Promise<Tunnel>;
  readonly closed: Promise<XtlsEvent>;
  /** Of a tunnel of bytes. */
  readonly readable?: ReadableStream<Uint8Array>;
  /** Of a tunnel of bytes. To close it is to say that there is no more. */
  readonly writable?: WritableStream<Uint8Array>;
  /** Of a tunnel of stanzas: is called with each one, as text. */
  onstanza?: (stanza: string) => void;
  send(stanza: string): void;
  close(): Promise<XtlsEvent>;
}

export function localStorageKeeper(key: string): Keeper;
