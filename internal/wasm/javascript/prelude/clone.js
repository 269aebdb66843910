// structuredClone (html.spec.whatwg.org, "Safe passing of structured data").

const WRAPPERS = [Boolean, Number, String, BigInt];
const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

function structuredClone(value, { transfer = [] } = {}) {
  if (arguments.length === 0) throw new TypeError("The 'value' argument must be specified");
  const known = new Map();
  for (const buffer of transfer) {
    if (!(buffer instanceof ArrayBuffer)) throw refused(buffer);
    known.set(buffer, buffer.transfer());
  }
  return clone(value, known);
}

function refused(value) {
  const shown = typeof value === 'symbol' ? value.toString() : typeof value === 'function' ? String(value) : '#<Object>';
  return new DOMException(`${shown} could not be cloned.`, 'DataCloneError');
}

function clone(value, known) {
  if (typeof value === 'symbol' || typeof value === 'function') throw refused(value);
  if (typeof value !== 'object' || value === null) return value;
  if (known.has(value)) return known.get(value);
  const copy = empty(value, known);
  known.set(value, copy);
  fill(value, copy, known);
  return copy;
}

// empty returns what a copy begins as: without its members.
function empty(value, known) {
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) {
    const buffer = clone(value.buffer, known);
    return new value.constructor(buffer, value.byteOffset, value instanceof DataView ? value.byteLength : value.length);
  }
  if (value instanceof Error) return new (ERRORS[value.name] ?? Error)();
  for (const type of WRAPPERS) if (value instanceof type) return Object(value.valueOf());
  if (value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef || value instanceof Promise) throw refused(value);
  return {};
}

function fill(value, copy, known) {
  if (copy instanceof Map) {
    for (const [key, entry] of [...value]) copy.set(clone(key, known), clone(entry, known));
  } else if (copy instanceof Set) {
    for (const entry of [...value]) copy.add(clone(entry, known));
  } else if (copy instanceof Error) {
    for (const name of ['message', 'stack', 'cause']) {
      if (!Object.hasOwn(value, name)) continue;
      Object.defineProperty(copy, name, { value: clone(value[name], known), writable: true, configurable: true });
    }
  } else if (Array.isArray(copy) || Object.getPrototypeOf(copy) === Object.prototype) {
    for (const key of Object.keys(value)) copy[key] = clone(value[key], known);
  }
}

Object.defineProperty(globalThis, 'structuredClone', { value: structuredClone, writable: true, configurable: true });
