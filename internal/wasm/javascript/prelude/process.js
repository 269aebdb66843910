// process, as far as there is one: the environment, and what code commonly asks
// for. It does not pretend to be Node.js.

import { quit, write } from './host.js';
import { guard } from './timers.js';

export let environment = {};

// setEnvironment takes NAME=value, with a NUL in between, and returns what the
// platform set of it: a function may change its environment.
export function setEnvironment(environ) {
  const env = {};
  for (const variable of environ.split('\0')) {
    const at = variable.indexOf('=');
    if (at > 0) env[variable.slice(0, at)] = variable.slice(at + 1);
  }
  environment = { ...env };
  process.env = env;
  return environment;
}

const clock = performance.now.bind(performance);
const origin = clock();
const seconds = () => (clock() - origin) / 1000;

function hrtime(since = [0, 0]) {
  const now = hrtime.bigint() - (BigInt(since[0]) * 1_000_000_000n + BigInt(since[1]));
  return [Number(now / 1_000_000_000n), Number(now % 1_000_000_000n)];
}
hrtime.bigint = () => BigInt(Math.round((clock() - origin) * 1e6));

const enqueue = queueMicrotask;
const output = { isTTY: false, write(text) { write(text); return true; } };

const process = {
  env: environment,
  argv: ['millicent', 'bootstrap'],
  execArgv: [],
  pid: 1,
  platform: 'linux',
  arch: 'wasm32',
  title: 'millicent',
  version: '',
  versions: {},
  exitCode: undefined,
  stdout: output,
  stderr: output,
  cwd: () => '/var/task',
  exit(code = process.exitCode) { quit(code ?? 0); },
  hrtime,
  uptime: seconds,
  nextTick(callback, ...args) { enqueue(() => guard(callback, args)); },
  emitWarning(warning) { console.warn(String(warning?.message ?? warning)); },
};
for (const name of ['on', 'once', 'off', 'addListener', 'removeListener', 'removeAllListeners']) process[name] = () => process;

Object.defineProperty(globalThis, 'process', { value: process, writable: true, configurable: true });
Object.defineProperty(globalThis, 'global', { value: globalThis, writable: true, configurable: true });

// require is what is left of it in a bundle: nothing that is asked for by then
// is there.
Object.defineProperty(globalThis, 'require', {
  value: (name) => {
    throw Object.assign(new Error(`Cannot find module '${name}': the runtime javascript has no modules of Node.js`), { code: 'MODULE_NOT_FOUND' });
  },
  writable: true,
  configurable: true,
});
