// The console and the log channel.
//
// Entries are written synchronously and completely, so that all that an
// invocation said is on its way before its response is.

const fs = require('node:fs');
const util = require('node:util');

const { stackOf, toError, toText } = require('./errors.cjs');

const LEVELS = { TRACE: 4, DEBUG: 8, INFO: 12, WARN: 16, ERROR: 20, FATAL: 24 };
const METHODS = { trace: 'TRACE', debug: 'DEBUG', log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };
const TEXT = 0xa55a0003;
const JSON_ = 0xa55a0002;

const { writeSync } = fs;
const { Promise } = globalThis;
const { format } = util;
const { stringify } = JSON;
const { allocUnsafe } = Buffer;
const bytes = Buffer.byteLength;
const now = Date.now;
const pause = new Int32Array(new SharedArrayBuffer(4));

class Output {
  #fd = 1;
  #framed = false;
  #json;
  #least; // level below which console says nothing
  #id;
  #tenant;
  #stdout = null; // process.stdout, once somebody has asked for it

  constructor(env) {
    this.#json = (env.AWS_LAMBDA_LOG_FORMAT ?? '').toUpperCase() === 'JSON';
    this.#least = this.#json ? LEVELS[(env.AWS_LAMBDA_LOG_LEVEL ?? '').toUpperCase()] ?? 0 : 0;
    const channel = env._LAMBDA_TELEMETRY_LOG_FD ?? '';
    delete env._LAMBDA_TELEMETRY_LOG_FD;
    if (/^\d+$/.test(channel) && isOpen(+channel)) {
      this.#fd = +channel;
      this.#framed = true;
    }
    this.#watchStdout();
  }

  // begin makes an invocation the one that entries belong to.
  begin(id, tenant) {
    this.#id = id;
    this.#tenant = tenant;
  }

  // patch makes the console's methods write log entries.
  patch(console) {
    for (const [method, level] of Object.entries(METHODS)) {
      const silent = LEVELS[level] < this.#least;
      console[method] = silent ? () => {} : (...values) => this.#entry(level, values);
    }
  }

  // error writes an entry about an error that ended something.
  error(what, error) {
    const cause = toError(error);
    this.#entry('ERROR', this.#json ? [what, cause] : [what, '\t' + toText(cause)]);
  }

  warn(text) {
    if (LEVELS.WARN >= this.#least) this.#entry('WARN', [text]);
  }

  // flushed resolves once what went through process.stdout is written too; it
  // is undefined when that is so already.
  flushed() {
    const stdout = this.#stdout;
    if (stdout === null || !stdout.writableLength || stdout.destroyed) return undefined;
    return new Promise((resolve) => {
      stdout.once('close', resolve);
      stdout.write('', () => { stdout.off('close', resolve); resolve(); });
    });
  }

  #entry(level, values) {
    const time = new Date(now()).toISOString();
    if (this.#json) this.#write(JSON_, level, this.#document(time, level, values));
    else this.#write(TEXT, level, `${time}\t${this.#id}\t${level}\t${format(...values)}`);
  }

  #document(timestamp, level, values) {
    const entry = { timestamp, level, requestId: this.#id, tenantId: this.#tenant };
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
    const error = values.find((value) => value instanceof Error);
    return stringify(error === undefined ? entry : { ...entry, ...describe(error) }, plain);
  }

  #write(kind, level, text) {
    try {
      if (this.#framed) writeAll(this.#fd, frame((kind | LEVELS[level]) >>> 0, text));
      else writeAll(this.#fd, Buffer.from(text.replace(/\n/g, '\r') + '\n'));
    } catch {
      // Nobody reads the log; the function goes on.
    }
  }

  // Asking for process.stdout sets it up, which most functions never need.
  #watchStdout() {
    const real = Object.getOwnPropertyDescriptor(process, 'stdout');
    if (real?.get === undefined || !real.configurable) return;
    Object.defineProperty(process, 'stdout', {
      ...real,
      get: () => (this.#stdout = real.get.call(process)),
    });
  }
}

function frame(kind, text) {
  const size = bytes(text);
  const data = allocUnsafe(16 + size);
  data.writeUInt32BE(kind, 0);
  data.writeUInt32BE(size, 4);
  data.writeBigUInt64BE(BigInt(now()) * 1000n, 8);
  data.write(text, 16);
  return data;
}

// writeAll writes all of data, also where the descriptor does not block.
function writeAll(fd, data) {
  for (let at = 0; at < data.length;) {
    try {
      at += writeSync(fd, data, at, data.length - at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

function plain(_, value) {
  return value instanceof Error ? describe(value) : value;
}

function describe(error) {
  return {
    errorType: error.constructor?.name ?? 'UnknownError',
    errorMessage: error.message,
    stackTrace: stackOf(error) ?? [],
  };
}

function isOpen(fd) {
  try {
    fs.fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

module.exports = { Output };
