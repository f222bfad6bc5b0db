// The cases in Node.js. `XTLS_PACKAGE` names the directory of the package.

import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { cases, use } from './cases.mjs';

const directory = pathToFileURL(`${process.env.XTLS_PACKAGE}/`);
const client = await import(new URL('client.js', directory));
await client.load(await readFile(new URL('xtls_bg.wasm', directory)));
use(client, await import(new URL('xtls.js', directory)));

for (const [name, run] of Object.entries(cases)) test(name, run);
