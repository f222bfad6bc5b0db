// What the pages need: a Prosody with WebSockets, and a server for their files, both on loopback.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, createServer as createPort } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';

export const DOMAIN = 'localhost';
export const PASSWORD = 'only for this test';

async function freePort() {
  const probe = createPort().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}

/** A server whose accounts see one another's presence. */
export async function startProsody(accounts) {
  const directory = await mkdtemp(join(tmpdir(), 'xtls-browser-'));
  const kept = join(directory, 'data', DOMAIN, 'accounts');
  await mkdir(kept, { recursive: true });
  for (const name of accounts) await writeFile(join(kept, `${name}.dat`), `return { ["password"] = "${PASSWORD}"; };\n`);
  await writeFile(join(directory, 'groups.txt'), `[Everyone]\n${accounts.map((name) => `${name}@${DOMAIN}=${name}\n`).join('')}`);
  const port = await freePort();
  const config = join(directory, 'prosody.cfg.lua');
  await writeFile(config, `
daemonize = false
run_as_root = true
pidfile = "${directory}/prosody.pid"
data_path = "${directory}/data"
log = { debug = "${directory}/prosody.log" }
interfaces = { "127.0.0.1" }
c2s_ports = { }
s2s_ports = { }
component_ports = { }
http_ports = { ${port} }
http_interfaces = { "127.0.0.1" }
https_ports = { }
http_default_host = "${DOMAIN}"
consider_websocket_secure = true
c2s_require_encryption = false
cross_domain_websocket = true
modules_enabled = { "disco", "roster", "saslauth", "ping", "groups", "posix", "websocket" }
modules_disabled = { "s2s", "offline" }
groups_file = "${directory}/groups.txt"
authentication = "internal_plain"
storage = "internal"
VirtualHost "${DOMAIN}"
`);
  const process = spawn('prosody', ['--config', config, '-F'], { stdio: 'ignore' });
  const log = () => readFile(join(directory, 'prosody.log'), 'utf8').catch(() => '(no log)');
  for (let up = false; !up; ) {
    if (process.exitCode !== null) throw new Error(`Prosody ended:\n${await log()}`);
    up = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
      socket.on('error', () => setTimeout(resolve, 50, false));
    });
  }
  const stop = async () => {
    if (process.exitCode === null) {
      process.kill('SIGKILL');
      await once(process, 'exit');
    }
    await rm(directory, { recursive: true, force: true });
  };
  return { service: `ws://127.0.0.1:${port}/xmpp-websocket`, log, stop };
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** Serves directories under paths; a path that ends otherwise than with a slash is one file. */
export async function serve(places) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname);
    const place = Object.keys(places).filter((prefix) => path === prefix || (prefix.endsWith('/') && path.startsWith(prefix)))
      .sort((one, other) => other.length - one.length)[0];
    try {
      const file = path === place && !place.endsWith('/') ? places[place] : join(places[place], path.slice(place.length) || 'index.html');
      const content = await readFile(file);
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { origin: `http://127.0.0.1:${server.address().port}`, stop: () => { server.closeAllConnections(); server.close(); } };
}
