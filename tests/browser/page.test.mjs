// The cases in a headless Chromium; and the page of examples/browser in two contexts of it, through Prosody's WebSocket: they talk and
// exchange a file, and nothing of it passes the server in clear. `XTLS_PACKAGE` names the directory of the package.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

import { cases } from './cases.mjs';
import { DOMAIN, PASSWORD, serve, startProsody } from './stage.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
let prosody, files, browser;

before(async () => {
  prosody = await startProsody(['romeo', 'juliet']);
  files = await serve({
    '/': here('../../examples/browser/'),
    '/xtls/': `${process.env.XTLS_PACKAGE}/`,
    '/cases.mjs': here('cases.mjs'),
    '/assert.mjs': here('assert.mjs'),
    '/strophe.js': here('node_modules/strophe.js/dist/strophe.esm.js'),
  });
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
});

after(async () => {
  await browser?.close();
  files?.stop();
  await prosody?.stop();
});

/** A user who has logged in. */
async function user(name) {
  const page = await (await browser.newContext()).newPage();
  const [errors, frames] = [[], []];
  page.on('websocket', (socket) => {
    for (const direction of ['framesent', 'framereceived']) socket.on(direction, ({ payload }) => frames.push(String(payload)));
  });
  page.on('pageerror', (error) => errors.push(error));
  page.on('console', (message) => { if (message.type() === 'error') errors.push(new Error(message.text())); });
  await page.goto(`${files.origin}/`);
  await page.fill('[name=service]', prosody.service);
  await page.fill('[name=jid]', `${name}@${DOMAIN}/page`);
  await page.fill('[name=password]', PASSWORD);
  await page.click('#login button');
  await page.waitForSelector('#call:not([hidden])');
  const fingerprint = await page.textContent('#own');
  assert.match(fingerprint, /^sha-256:[0-9a-f]{64}$/);
  const told = (text) => page.locator('#log p', { hasText: text }).first();
  return { page, errors, frames, fingerprint, told };
}

async function trusts(one, other) {
  const question = one.told('Is this their certificate?');
  assert.ok((await question.textContent()).includes(other.fingerprint), 'the certificate that the other has');
  await question.locator('button', { hasText: 'accept-and-keep' }).click();
}

test('what holds in Node.js holds in a page', { timeout: 120_000 }, async (context) => {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${files.origin}/`);
  await page.evaluate(async () => {
    const [client, xtls, cases] = await Promise.all(['./xtls/client.js', './xtls/xtls.js', './cases.mjs'].map((path) => import(path)));
    await client.load();
    cases.use(client, xtls);
  });
  for (const name of Object.keys(cases)) {
    await context.test(name, () => page.evaluate(async (wanted) => {
      const { cases: all } = await import('./cases.mjs');
      await all[wanted]();
    }, name));
  }
});

test('two pages talk and exchange a file, end to end', { timeout: 60_000 }, async () => {
  const [romeo, juliet] = [await user('romeo'), await user('juliet')];
  await romeo.page.fill('[name=peer]', `juliet@${DOMAIN}`);
  await romeo.page.click('#call button');
  await juliet.told('is calling').locator('button', { hasText: 'answer' }).click();
  await Promise.all([trusts(romeo, juliet), trusts(juliet, romeo)]);
  for (const { told } of [romeo, juliet]) await told('secured with').waitFor();

  const lines = ['But soft, what <light> & "shade"', 'О Ромео, Ромео ❤'];
  for (const [from, to, line] of [[romeo, juliet, lines[0]], [juliet, romeo, lines[1]]]) {
    await from.page.fill('[name=line]', line);
    await from.page.click('#talk button');
    await to.told(`they: ${line}`).waitFor();
  }

  const file = Buffer.from(Uint8Array.from({ length: 1_000_000 }, (_, at) => (at * 2654435761) >>> 13));
  await juliet.page.setInputFiles('[name=file]', { name: 'portrait.png', mimeType: 'image/png', buffer: file });
  const [download] = await Promise.all([
    romeo.page.waitForEvent('download'),
    romeo.told('a file:').locator('a').click(),
  ]);
  assert.ok((await readFile(await download.path())).equals(file));
  await juliet.told('portrait.png has arrived').waitFor();

  // What the server saw: blocks, and nothing of what is in them.
  for (const { frames } of [romeo, juliet]) {
    assert.ok(frames.some((frame) => frame.includes('http://jabber.org/protocol/ibb')));
    for (const secret of ['But soft', 'Ромео', 'portrait.png']) assert.ok(!frames.some((frame) => frame.includes(secret)), secret);
  }
  for (const { errors } of [romeo, juliet]) assert.deepEqual(errors, []);
});

test('what the page knows outlives it, and a certificate that is another one is refused', { timeout: 60_000 }, async () => {
  const [romeo, juliet] = [await user('romeo'), await user('juliet')];
  await romeo.page.evaluate((pin) => import('./xtls/client.js').then(({ Store, localStorageKeeper }) => {
    Store.keptBy(localStorageKeeper('peers of romeo@localhost')).pin('juliet@localhost', pin);
  }), romeo.fingerprint);
  await romeo.page.fill('[name=peer]', `juliet@${DOMAIN}/page`);
  await romeo.page.click('#call button');
  await juliet.told('is calling').locator('button', { hasText: 'answer' }).click();
  const question = romeo.told('Is this their certificate?');
  assert.ok((await question.textContent()).includes(juliet.fingerprint));
  await question.locator('button', { hasText: 'refuse' }).click();
  await romeo.told('no tunnel:').waitFor();
  await juliet.told('no tunnel:').waitFor();
});
