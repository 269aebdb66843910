// TextEncoder and TextDecoder (encoding.spec.whatwg.org), for UTF-8 and UTF-16.

import { fromUTF8, toUTF8 } from './host.js';

const LABELS = {
  'utf-8': ['utf-8', 'utf8', 'unicode-1-1-utf-8', 'unicode11utf8', 'unicode20utf8', 'x-unicode20utf8'],
  'utf-16le': ['utf-16le', 'utf-16', 'ucs-2', 'unicode', 'csunicode', 'iso-10646-ucs-2', 'unicodefeff'],
  'utf-16be': ['utf-16be', 'unicodefffe'],
};

class TextEncoder {
  get encoding() { return 'utf-8'; }

  encode(text = '') { return toUTF8(text); }

  encodeInto(text, to) {
    let read = 0;
    let written = 0;
    for (const character of `${text}`) {
      const bytes = toUTF8(character);
      if (written + bytes.length > to.length) break;
      to.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  }
}

class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  #rest = new Uint8Array(0); // of what was decoded so far
  #began = false;

  constructor(label = 'utf-8', { fatal = false, ignoreBOM = false } = {}) {
    const name = `${label}`.trim().toLowerCase();
    this.#encoding = Object.keys(LABELS).find((key) => LABELS[key].includes(name));
    if (this.#encoding === undefined) {
      throw Object.assign(new RangeError(`The "${label}" encoding is not supported`), { code: 'ERR_ENCODING_NOT_SUPPORTED' });
    }
    this.#fatal = Boolean(fatal);
    this.#ignoreBOM = Boolean(ignoreBOM);
  }

  get encoding() { return this.#encoding; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBOM; }

  decode(input = new Uint8Array(0), { stream = false } = {}) {
    let bytes = toBytes(input);
    if (this.#rest.length > 0) bytes = concat(this.#rest, bytes);
    const rest = stream ? incomplete(bytes, this.#encoding) : 0;
    this.#rest = bytes.slice(bytes.length - rest);
    let text;
    try {
      text = this.#convert(bytes.subarray(0, bytes.length - rest));
    } catch (error) {
      this.#rest = new Uint8Array(0);
      this.#began = false;
      throw error;
    }
    if (!this.#began && !this.#ignoreBOM && text.startsWith('\ufeff')) text = text.slice(1);
    this.#began = stream && (this.#began || bytes.length > rest);
    return text;
  }

  #convert(bytes) {
    const text = this.#encoding === 'utf-8' ?
      fromUTF8(bytes.buffer, bytes.byteOffset, bytes.byteLength, this.#fatal) :
      fromUTF16(bytes, this.#encoding === 'utf-16le', this.#fatal);
    if (text === undefined) {
      throw Object.assign(new TypeError(`The encoded data was not valid for encoding ${this.#encoding}`),
        { code: 'ERR_ENCODING_INVALID_ENCODED_DATA' });
    }
    return text;
  }
}

export function toBytes(input) {
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  if (input instanceof ArrayBuffer || input instanceof SharedArrayBuffer) return new Uint8Array(input);
  throw new TypeError('The "input" argument must be an ArrayBuffer or a view of one');
}

function concat(a, b) {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

// incomplete returns how many bytes at the end begin a character that may go
// on.
function incomplete(bytes, encoding) {
  const { length } = bytes;
  if (encoding !== 'utf-8') {
    const odd = length % 2;
    const high = length - odd - (encoding === 'utf-16le' ? 1 : 2);
    return odd + (high >= 0 && (bytes[high] & 0xfc) === 0xd8 ? 2 : 0);
  }
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const wanted = byte >= 0xf0 && byte < 0xf5 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1;
    return wanted > back ? back : 0;
  }
  return 0;
}

function fromUTF16(bytes, little, fatal) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const units = [];
  for (let at = 0; at + 1 < bytes.length; at += 2) units.push(view.getUint16(at, little));
  let text = '';
  for (let at = 0; at < units.length; at += 4096) text += String.fromCharCode(...units.slice(at, at + 4096));
  const odd = bytes.length % 2 === 1;
  if (fatal && (odd || !text.isWellFormed())) return undefined;
  return text.toWellFormed() + (odd ? '\ufffd' : '');
}

for (const value of [TextEncoder, TextDecoder]) {
  Object.defineProperty(value.prototype, Symbol.toStringTag, { value: value.name, configurable: true });
  Object.defineProperty(globalThis, value.name, { value, writable: true, configurable: true });
}
