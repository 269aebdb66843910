// The probe of the conformance suite in JavaScript; see package launchertest.

import fs from 'node:fs';

if (process.env.PROBE_INIT === 'exit') process.exit(3);

let count = 0;
const kept = [];

const does = {
  echo: ({ value }) => value,
  log({ lines }) { process.stdout.write(lines.join('\n') + '\n'); },
  sleep: ({ ms }) => new Promise((resolve) => { setTimeout(resolve, ms); }),
  exit({ code }) { process.exit(code); },
  kill() { process.kill(process.pid, 'SIGKILL'); return new Promise(() => {}); },
  allocate({ mb }) { for (let i = 0; i < mb; i++) kept.push(Buffer.alloc(1 << 20, 1)); },
  write({ path, value }) { fs.writeFileSync(path, value); },
  read({ path }) { return fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : ''; },
  count: () => ++count,
  bytes: ({ n }) => 'x'.repeat(n - 2),
  getenv: ({ name }) => process.env[name] ?? '',
  world: async () => (await import('./world.mjs')).world(),
};

export const handler = async (event) => does[event.do](event);
