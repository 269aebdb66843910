// The console. An entry is one write to the log, made when it is called.

import { isError, stackOf, toError, toText } from './errors.js';
import { note, write } from './host.js';
import { format, inspect } from './inspect.js';
import { environment } from './process.js';

const LEVELS = { TRACE: 4, DEBUG: 8, INFO: 12, WARN: 16, ERROR: 20, FATAL: 24 };
const METHODS = { trace: 'TRACE', debug: 'DEBUG', log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };

const { stringify } = JSON;
const now = Date.now;

let id; // of the request
let tenant;
let json = false;
let least = 0; // level below which the console says nothing
let indent = '';

const counts = new Map();
const timers = new Map();

// begin makes a request the one that entries belong to.
export function begin(requestId, tenantId) {
  id = requestId;
  tenant = tenantId;
}

// configure does what the environment says.
export function configure() {
  const { AWS_LAMBDA_LOG_FORMAT: form = '', AWS_LAMBDA_LOG_LEVEL: level = '' } = environment;
  json = form.toUpperCase() === 'JSON';
  least = json ? LEVELS[level.toUpperCase()] ?? 0 : 0;
}

// report writes an entry about an error that ended something.
export function report(what, error) {
  const cause = toError(error);
  entry('ERROR', json ? [what, cause] : [what, '\t' + toText(cause)]);
}

function entry(level, values) {
  if (LEVELS[level] < least) return;
  if (json) write(document(new Date(now()).toISOString(), level, values) + '\n');
  else if (values.length === 1 && typeof values[0] === 'string') note(`${level}\t${indent}${values[0]}`);
  else note(`${level}\t${indent}${format(...values)}`);
}

function document(timestamp, level, values) {
  const entry = { timestamp, level, requestId: id, tenantId: tenant };
  if (values.length === 1) {
    entry.message = values[0];
    try {
      return stringify(entry, plain);
    } catch {
      entry.message = format(values[0]); // a circle, a BigInt
      return stringify(entry);
    }
  }
  entry.message = format(...values);
  const error = values.find(isError);
  return stringify(error === undefined ? entry : { ...entry, ...describe(error) }, plain);
}

function plain(_, value) {
  return value instanceof Error ? describe(value) : value;
}

function describe(error) {
  return { errorType: error.constructor?.name ?? 'UnknownError', errorMessage: error.message, stackTrace: stackOf(error) };
}

const console = {
  assert(condition, ...values) {
    if (!condition) console.warn('Assertion failed' + (values.length > 0 ? ':' : ''), ...values);
  },
  count(label = 'default') {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    console.log(`${label}: ${counts.get(label)}`);
  },
  countReset(label = 'default') { counts.delete(label); },
  dir(value, options) { console.log(inspect(value, options)); },
  dirxml(...values) { console.log(...values); },
  table(value) { console.log(value); },
  group(...values) {
    if (values.length > 0) console.log(...values);
    indent += '  ';
  },
  groupEnd() { indent = indent.slice(2); },
  time(label = 'default') { timers.set(label, now()); },
  timeLog(label = 'default', ...values) {
    if (timers.has(label)) console.log(`${label}: ${now() - timers.get(label)}ms`, ...values);
  },
  timeEnd(label = 'default') {
    console.timeLog(label);
    timers.delete(label);
  },
};
console.groupCollapsed = console.group;
for (const [method, level] of Object.entries(METHODS)) {
  console[method] = { [method](...values) { entry(level, values); } }[method];
}

Object.defineProperty(globalThis, 'console', { value: console, writable: true, configurable: true });
