// fetch (fetch.spec.whatwg.org) with Headers, Request and Response, and signals
// to abort. The host makes a request while nothing else runs: it is over when
// fetch returns its promise. Bodies are whole, not streams.

import { toBytes } from './encoding.js';
import { exchange, fromUTF8, toUTF8 } from './host.js';

const { parse, stringify } = JSON;
const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;

class Headers {
  #fields = new Map(); // by name in lower case: what was said of it

  constructor(init = undefined) {
    if (init === undefined || init === null) return;
    const pairs = typeof init[Symbol.iterator] === 'function' ? init : Object.entries(init);
    for (const [name, value] of pairs) this.append(name, value);
  }

  append(name, value) {
    const [key, text] = field(name, value);
    this.#fields.set(key, [...this.#fields.get(key) ?? [], text]);
  }

  set(name, value) {
    const [key, text] = field(name, value);
    this.#fields.set(key, [text]);
  }

  delete(name) { this.#fields.delete(`${name}`.toLowerCase()); }
  get(name) { return this.#fields.get(`${name}`.toLowerCase())?.join(', ') ?? null; }
  getSetCookie() { return [...this.#fields.get('set-cookie') ?? []]; }
  has(name) { return this.#fields.has(`${name}`.toLowerCase()); }

  forEach(callback, self = undefined) {
    for (const [name, value] of this) callback.call(self, value, name, this);
  }

  * entries() {
    for (const name of [...this.#fields.keys()].sort()) {
      if (name !== 'set-cookie') yield [name, this.get(name)];
      else for (const cookie of this.getSetCookie()) yield [name, cookie];
    }
  }

  * keys() { for (const [name] of this.entries()) yield name; }
  * values() { for (const [, value] of this.entries()) yield value; }
  [Symbol.iterator]() { return this.entries(); }
}

function field(name, value) {
  const key = `${name}`.toLowerCase();
  const text = `${value}`.trim();
  if (!TOKEN.test(key)) throw new TypeError(`Headers: ${name} is an invalid header name.`);
  if (/[\0\r\n]|[^\0-\xff]/.test(text)) throw new TypeError(`Headers: the value of ${name} is invalid.`);
  return [key, text];
}

// extract returns the bytes of what a body may be, and what they are.
function extract(body) {
  if (body === undefined || body === null) return [null, null];
  if (body instanceof URLSearchParams) return [toUTF8(body), 'application/x-www-form-urlencoded;charset=UTF-8'];
  if (ArrayBuffer.isView(body) || body instanceof ArrayBuffer) return [toBytes(body).slice(), null];
  return [toUTF8(body), 'text/plain;charset=UTF-8'];
}

class Body {
  #bytes;
  #used = false;
  headers;

  constructor(body, headers) {
    const [bytes, type] = extract(body);
    this.#bytes = bytes;
    this.headers = new Headers(headers);
    if (type !== null && !this.headers.has('content-type')) this.headers.set('content-type', type);
  }

  get bodyUsed() { return this.#used; }

  #take() {
    if (this.#used) throw new TypeError('Body is unusable: Body has already been read');
    this.#used = this.#bytes !== null;
    return this.#bytes ?? new Uint8Array(0);
  }

  // content returns the bytes and leaves them there.
  static content(body) { return body.#bytes; }

  async bytes() { return this.#take(); }
  async arrayBuffer() { return this.#take().slice().buffer; }
  async json() { return parse(await this.text()); }
  async text() {
    const bytes = this.#take();
    return fromUTF8(bytes.buffer, bytes.byteOffset, bytes.byteLength, false).replace(/^\ufeff/, '');
  }
}

class Request extends Body {
  constructor(input, init = {}) {
    const from = input instanceof Request ? input : {};
    super(init.body ?? (input instanceof Request ? Body.content(input) : undefined), init.headers ?? from.headers);
    this.url = input instanceof Request ? input.url : new URL(input).href;
    this.method = `${init.method ?? from.method ?? 'GET'}`;
    if (/^(?:delete|get|head|options|post|put)$/i.test(this.method)) this.method = this.method.toUpperCase();
    this.redirect = init.redirect ?? from.redirect ?? 'follow';
    this.signal = init.signal ?? from.signal ?? null;
    if (Body.content(this) !== null && (this.method === 'GET' || this.method === 'HEAD')) {
      throw new TypeError('Request with GET/HEAD method cannot have body.');
    }
  }

  clone() { return new Request(this); }
}

class Response extends Body {
  constructor(body = null, { status = 200, statusText = '', headers = undefined, url = '', redirected = false } = {}) {
    super(body, headers);
    Object.assign(this, { status, statusText, url, redirected, type: 'default' });
  }

  static json(value, init = {}) {
    const response = new Response(stringify(value), init);
    if (!new Headers(init.headers).has('content-type')) response.headers.set('content-type', 'application/json');
    return response;
  }

  get ok() { return this.status >= 200 && this.status < 300; }
  clone() { return new Response(Body.content(this), this); }
}

async function fetch(input, init) {
  const request = new Request(input, init);
  request.signal?.throwIfAborted();
  const timeout = request.signal ? timeouts.get(request.signal) ?? 0 : 0;
  const head = stringify({ method: request.method, url: request.url, headers: [...request.headers], redirect: request.redirect, timeout });
  const answer = exchange(head, Body.content(request) ?? new Uint8Array(0));
  const length = new DataView(answer.buffer).getUint32(0, true);
  const { error, status, url, headers } = parse(fromUTF8(answer.buffer, 4, length, false));
  if (error !== undefined) {
    request.signal?.throwIfAborted();
    throw new TypeError('fetch failed', { cause: new Error(error) });
  }
  return new Response(answer.subarray(4 + length), { status, headers, url, redirected: url !== request.url });
}

const timeouts = new WeakMap(); // milliseconds, by signal

class AbortSignal {
  #listeners = [];
  aborted = false;
  reason = undefined;
  onabort = null;

  static abort(reason = new DOMException('This operation was aborted', 'AbortError')) {
    const signal = new AbortSignal();
    abort(signal, reason);
    return signal;
  }

  static timeout(milliseconds) {
    const signal = new AbortSignal();
    timeouts.set(signal, Math.max(Math.ceil(+milliseconds), 1));
    const end = () => abort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
    setTimeout(end, milliseconds).unref();
    return signal;
  }

  static any(signals) {
    const all = new AbortSignal();
    for (const signal of signals) {
      if (signal.aborted) abort(all, signal.reason);
      else signal.addEventListener('abort', () => abort(all, signal.reason));
    }
    return all;
  }

  addEventListener(type, listener) { if (type === 'abort') this.#listeners.push(listener); }
  removeEventListener(type, listener) { this.#listeners = this.#listeners.filter((known) => known !== listener); }

  throwIfAborted() { if (this.aborted) throw this.reason; }

  dispatchEvent(event) {
    this.onabort?.(event);
    for (const listener of [...this.#listeners]) (listener.handleEvent ?? listener).call(listener, event);
    return true;
  }
}

function abort(signal, reason) {
  if (signal.aborted) return;
  signal.aborted = true;
  signal.reason = reason;
  signal.dispatchEvent({ type: 'abort', target: signal });
}

class AbortController {
  signal = new AbortSignal();

  abort(reason = new DOMException('This operation was aborted', 'AbortError')) { abort(this.signal, reason); }
}

for (const value of [fetch, Headers, Request, Response, AbortSignal, AbortController]) {
  Object.defineProperty(globalThis, value.name, { value, writable: true, configurable: true });
}
