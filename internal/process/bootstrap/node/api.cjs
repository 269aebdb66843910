// The Runtime API over one keep-alive connection.
//
// A bare socket starts faster than node:http, is seen by no library that
// patches http, and can be told not to keep the process alive: while a handler
// runs, the connection must not count, for "nothing left to do" has a meaning
// in the protocol.

const net = require('node:net');

// What is known about an invocation, by the names that the link uses.
const ABOUT = [
  ['lambda-runtime-aws-request-id', 'requestId'],
  ['lambda-runtime-deadline-ms', 'deadlineMs'],
  ['lambda-runtime-invoked-function-arn', 'arn'],
  ['lambda-runtime-trace-id', 'traceId'],
  ['lambda-runtime-client-context', 'clientContext'],
  ['lambda-runtime-cognito-identity', 'identity'],
  ['lambda-runtime-aws-tenant-id', 'tenantId'],
];

const BASE = '/2018-06-01/runtime/';
const { connect } = net;
const { byteLength, concat, from } = Buffer;
const { Promise } = globalThis;

class Client {
  #host;
  #peer;
  #socket = null;
  #waiting = null; // the exchange that awaits its answer

  constructor(address) {
    const at = address.lastIndexOf(':');
    this.#host = address;
    this.#peer = { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: +address.slice(at + 1), noDelay: true };
    this.#open();
    this.#socket.unref();
  }

  // next waits for an invocation: what is known about it, and its body.
  async next() {
    const { status, headers, body } = await this.#exchange('GET', 'invocation/next', '', '');
    if (status !== 200) throw new Error(`next invocation: status ${status}: ${body}`);
    const about = {};
    for (const [header, name] of ABOUT) about[name] = headers[header];
    return { about, body };
  }

  respond(id, body) {
    return this.#post(`invocation/${id}/response`, body, '');
  }

  fail(id, errorType, body) {
    return this.#post(`invocation/${id}/error`, body, errorHeader(errorType));
  }

  failInit(errorType, body) {
    return this.#post('init/error', body, errorHeader(errorType));
  }

  // stream begins a response of unknown length. The result's write takes
  // Buffers; its end takes what broke it off, if anything did.
  stream(id, contentType) {
    const head = `POST ${BASE}invocation/${id}/response HTTP/1.1\r\nHost: ${this.#host}\r\n` +
      `Content-Type: ${contentType.replace(/[^\x20-\x7e]/g, '')}\r\n` +
      'Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n' +
      'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n';
    if (this.#socket === null) this.#open();
    const socket = this.#socket;
    const answer = this.#expect(socket);
    answer.catch(() => {}); // whoever ends the stream looks at it
    socket.unref(); // writes in flight count by themselves
    socket.write(head, 'latin1');
    return {
      write(chunk, done) {
        socket.cork();
        socket.write(chunk.length.toString(16) + '\r\n', 'latin1');
        socket.write(chunk);
        socket.write('\r\n', 'latin1', done);
        socket.uncork();
      },
      end({ type = '', document = '' } = {}) {
        socket.ref();
        const trailers = type === '' ? '' : errorHeader(type) +
          `Lambda-Runtime-Function-Error-Body: ${from(document).toString('base64')}\r\n`;
        socket.write(`0\r\n${trailers}\r\n`, 'latin1');
        return answer;
      },
    };
  }

  #post(path, body, headers) {
    const type = 'Content-Type: application/json\r\n';
    return this.#exchange('POST', path, type + headers + `Content-Length: ${byteLength(body)}\r\n`, body);
  }

  // #exchange sends a request and waits for its answer. A connection may have
  // died while nobody looked, so it tries twice: a repeated post is refused by
  // its id and does no harm.
  async #exchange(method, path, headers, body) {
    const head = `${method} ${BASE}${path} HTTP/1.1\r\nHost: ${this.#host}\r\n${headers}\r\n`;
    for (let attempt = 1; ; attempt++) {
      if (this.#socket === null) this.#open();
      const answer = this.#expect(this.#socket);
      this.#socket.write(head + body);
      try {
        return await answer;
      } catch (error) {
        if (error.code === 'ECONNREFUSED' || (attempt === 2 && method === 'GET')) throw error;
        // The platform has made up its mind about a body that it does not
        // want to the end; the next invocation is not affected.
        if (attempt === 2) return { status: 0, headers: {}, body: '' };
      }
    }
  }

  #open() {
    const socket = connect(this.#peer);
    this.#socket = socket;
    let cause;
    socket.on('data', (data) => this.#waiting?.socket === socket && this.#waiting.take(data));
    socket.on('error', (error) => { cause = error; });
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null;
      if (this.#waiting?.socket === socket) this.#finish('reject', cause ?? new Error('connection closed'));
    });
  }

  #expect(socket) {
    socket.ref();
    return new Promise((resolve, reject) => {
      const reader = new Reader((answer) => this.#finish('resolve', answer));
      this.#waiting = { socket, resolve, reject, take: (data) => reader.take(data) };
    });
  }

  #finish(how, value) {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting.socket.unref();
    if (how === 'resolve' && value.headers.connection === 'close') {
      this.#socket = null;
      waiting.socket.destroy();
    }
    waiting[how](value);
  }
}

// A Reader puts one answer together from what arrives.
class Reader {
  #parts = [];
  #size = 0;
  #done;
  #answer = null;
  #need = 0; // bytes of body; -1 for one in chunks

  constructor(done) {
    this.#done = done;
  }

  take(data) {
    this.#parts.push(data);
    this.#size += data.length;
    while (this.#answer === null) if (!this.#head()) return;
    if (this.#need < 0) {
      const body = dechunk(this.#join());
      if (body !== null) this.#end(body);
    } else if (this.#size >= this.#need) {
      this.#end(this.#join().subarray(0, this.#need));
    }
  }

  #join() {
    if (this.#parts.length !== 1) this.#parts = [concat(this.#parts)];
    return this.#parts[0];
  }

  #end(body) {
    this.#answer.body = body.toString();
    this.#done(this.#answer);
  }

  #head() {
    const data = this.#join();
    const end = data.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const lines = data.toString('utf8', 0, end).split('\r\n');
    this.#parts = [data.subarray(end + 4)];
    this.#size -= end + 4;
    const status = +lines[0].slice(9, 12);
    if (status < 200) return true; // an interim answer; another head follows
    const headers = Object.create(null);
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    this.#need = headers['transfer-encoding'] === 'chunked' ? -1 : +(headers['content-length'] ?? 0);
    this.#answer = { status, headers, body: '' };
    return true;
  }
}

// dechunk returns the body of data in chunks, or null when the end is missing.
function dechunk(data) {
  const parts = [];
  for (let at = 0; ;) {
    const line = data.indexOf('\r\n', at);
    if (line < 0) return null;
    const size = parseInt(data.toString('latin1', at, line), 16);
    at = line + 2;
    if (size === 0) return data.indexOf('\r\n', at) < 0 ? null : concat(parts);
    if (data.length < at + size + 2) return null;
    parts.push(data.subarray(at, at + size));
    at += size + 2;
  }
}

function errorHeader(type) {
  return `Lambda-Runtime-Function-Error-Type: ${type}\r\n`;
}


module.exports = { Client };
