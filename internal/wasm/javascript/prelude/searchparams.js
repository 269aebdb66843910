// URLSearchParams (url.spec.whatwg.org, section 6).

import { fromUTF8, toUTF8 } from './host.js';

// bind has what follows from a change of a query that belongs to a URL.
const owners = new WeakMap();

export function bind(params, changed) {
  owners.set(params, changed);
  return params;
}

export class URLSearchParams {
  #list;

  constructor(init = '') {
    if (typeof init === 'object' && init !== null || typeof init === 'function') this.#list = pairs(init);
    else this.#list = parseQuery(`${init}`.replace(/^\?/, ''));
  }

  static {
    bind.replace = (params, query) => { params.#list = parseQuery(query); };
  }

  get size() { return this.#list.length; }

  append(name, value) {
    this.#list.push([wellFormed(name), wellFormed(value)]);
    this.#changed();
  }

  delete(name, value = undefined) {
    this.#list = this.#list.filter((pair) => !matches(pair, name, value));
    this.#changed();
  }

  get(name) { return this.#list.find((pair) => pair[0] === `${name}`)?.[1] ?? null; }

  getAll(name) { return this.#list.filter((pair) => pair[0] === `${name}`).map((pair) => pair[1]); }

  has(name, value = undefined) { return this.#list.some((pair) => matches(pair, name, value)); }

  set(name, value) {
    const found = this.#list.findIndex((pair) => pair[0] === `${name}`);
    if (found < 0) {
      this.append(name, value);
      return;
    }
    this.#list[found][1] = wellFormed(value);
    this.#list = this.#list.filter((pair, at) => at <= found || pair[0] !== `${name}`);
    this.#changed();
  }

  sort() {
    this.#list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#changed();
  }

  forEach(callback, self = undefined) {
    for (const [name, value] of this) callback.call(self, value, name, this);
  }

  * entries() { for (let at = 0; at < this.#list.length; at++) yield [...this.#list[at]]; }
  * keys() { for (let at = 0; at < this.#list.length; at++) yield this.#list[at][0]; }
  * values() { for (let at = 0; at < this.#list.length; at++) yield this.#list[at][1]; }

  [Symbol.iterator]() { return this.entries(); }

  toString() { return this.#list.map(([name, value]) => `${escape(name)}=${escape(value)}`).join('&'); }

  #changed() { owners.get(this)?.(this.toString()); }
}

function wellFormed(value) { return `${value}`.toWellFormed(); }

function matches([name, value], wantedName, wantedValue) {
  return name === `${wantedName}` && (wantedValue === undefined || value === `${wantedValue}`);
}

function pairs(init) {
  if (typeof init[Symbol.iterator] !== 'function') {
    return Reflect.ownKeys(init).filter((key) => Object.prototype.propertyIsEnumerable.call(init, key))
      .map((key) => [wellFormed(key), wellFormed(init[key])]);
  }
  return Array.from(init, (pair) => {
    const both = [...pair];
    if (both.length !== 2) throw new TypeError('Each query pair must be an iterable [name, value] tuple');
    return both.map(wellFormed);
  });
}

function parseQuery(query) {
  return query.split('&').filter((part) => part !== '').map((part) => {
    const at = part.indexOf('=');
    return at < 0 ? [unescape(part), ''] : [unescape(part.slice(0, at)), unescape(part.slice(at + 1))];
  });
}

function unescape(text) {
  text = text.replaceAll('+', ' ');
  if (!text.includes('%')) return text.toWellFormed();
  const bytes = toUTF8(text);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const hex = bytes[at] === 0x25 ? String.fromCharCode(bytes[at + 1], bytes[at + 2]) : '';
    const escaped = /^[0-9a-fA-F]{2}$/.test(hex);
    bytes[length++] = escaped ? parseInt(hex, 16) : bytes[at];
    if (escaped) at += 2;
  }
  return fromUTF8(bytes.buffer, bytes.byteOffset, length, false);
}

// escape encodes as application/x-www-form-urlencoded.
function escape(text) {
  if (/^[\w*.-]*$/.test(text)) return text;
  return Array.from(toUTF8(text), (byte) => {
    const character = String.fromCharCode(byte);
    if (/[\w*.-]/.test(character)) return character;
    return byte === 0x20 ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
