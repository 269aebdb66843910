// URL (url.spec.whatwg.org): the class. urlparse.js has the parser.

import { URLSearchParams, bind } from './searchparams.js';
import { SPECIAL, canHaveCredentials, parseURL, serialize, serializeHost, serializePath, encodeUserinfo } from './urlparse.js';

class URL {
  #url;
  #params;

  constructor(url, base = undefined) {
    const parsed = parse(url, base);
    if (parsed === null) {
      throw Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL', input: `${url}` });
    }
    this.#url = parsed;
  }

  static canParse(url, base = undefined) { return parse(url, base) !== null; }

  static parse(url, base = undefined) { return URL.canParse(url, base) ? new URL(url, base) : null; }

  get href() { return serialize(this.#url); }
  set href(value) {
    const parsed = parse(value);
    if (parsed === null) throw Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL', input: `${value}` });
    this.#url = parsed;
    this.#refresh();
  }

  get origin() {
    const { scheme, host, port, path } = this.#url;
    if (scheme === 'blob') return /^https?:/.test(path) ? URL.parse(path)?.origin ?? 'null' : 'null';
    if (!Object.hasOwn(SPECIAL, scheme) || scheme === 'file') return 'null';
    return `${scheme}://${serializeHost(host)}${port === null ? '' : `:${port}`}`;
  }

  get protocol() { return `${this.#url.scheme}:`; }
  set protocol(value) { this.#change(`${value}:`, 'scheme start'); }

  get username() { return this.#url.username; }
  set username(value) {
    if (canHaveCredentials(this.#url)) this.#url.username = encodeUserinfo(`${value}`);
  }

  get password() { return this.#url.password; }
  set password(value) {
    if (canHaveCredentials(this.#url)) this.#url.password = encodeUserinfo(`${value}`);
  }

  get host() {
    const { host, port } = this.#url;
    return host === null ? '' : serializeHost(host) + (port === null ? '' : `:${port}`);
  }
  set host(value) {
    if (typeof this.#url.path !== 'string') this.#change(value, 'host');
  }

  get hostname() { return this.#url.host === null ? '' : serializeHost(this.#url.host); }
  set hostname(value) {
    if (typeof this.#url.path !== 'string') this.#change(value, 'hostname');
  }

  get port() { return this.#url.port === null ? '' : String(this.#url.port); }
  set port(value) {
    if (!canHaveCredentials(this.#url)) return;
    if (`${value}` === '') this.#url.port = null;
    else this.#change(value, 'port');
  }

  get pathname() { return serializePath(this.#url); }
  set pathname(value) {
    if (typeof this.#url.path === 'string') return;
    this.#url.path = [];
    this.#change(value, 'path start');
  }

  get search() { return this.#url.query ? `?${this.#url.query}` : ''; }
  set search(value) {
    const query = `${value}`.replace(/^\?/, '');
    if (`${value}` === '') {
      this.#url.query = null;
    } else {
      this.#url.query = '';
      this.#change(query, 'query');
    }
    this.#refresh();
  }

  get searchParams() {
    this.#params ??= bind(new URLSearchParams(this.#url.query ?? ''), (query) => {
      this.#url.query = query === '' ? null : query;
    });
    return this.#params;
  }

  get hash() { return this.#url.fragment ? `#${this.#url.fragment}` : ''; }
  set hash(value) {
    if (`${value}` === '') {
      this.#url.fragment = null;
      return;
    }
    this.#url.fragment = '';
    this.#change(`${value}`.replace(/^#/, ''), 'fragment');
  }

  toString() { return this.href; }
  toJSON() { return this.href; }

  // #change parses value from a state on, and keeps the result if it is good.
  #change(value, state) {
    const changed = { ...this.#url, path: typeof this.#url.path === 'string' ? this.#url.path : [...this.#url.path] };
    if (parseURL(`${value}`, null, changed, state) !== null) this.#url = changed;
  }

  #refresh() {
    if (this.#params !== undefined) bind.replace(this.#params, this.#url.query ?? '');
  }
}

function parse(url, base) {
  let onto = null;
  if (base !== undefined) {
    onto = parseURL(`${base}`, null);
    if (onto === null) return null;
  }
  return parseURL(`${url}`, onto);
}

for (const name of ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search',
  'searchParams', 'hash', 'toString', 'toJSON']) {
  Object.defineProperty(URL.prototype, name, { enumerable: true });
}
for (const value of [URL, URLSearchParams]) {
  Object.defineProperty(value.prototype, Symbol.toStringTag, { value: value.name, configurable: true });
  Object.defineProperty(globalThis, value.name, { value, writable: true, configurable: true });
}
