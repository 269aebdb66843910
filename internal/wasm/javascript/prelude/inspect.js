// Values as text, much as Node.js shows them.

import { stackOf, isError } from './errors.js';

const WIDTH = 72; // of what stands on one line
const LONGEST = 10_000; // characters of a string inside of something
const MOST = 100; // elements of an array, a map, a set
const PLAIN = /^[^'\\\x00-\x1f\x7f]*$/; // text that nothing has to be done about
const IDENTIFIER = /^[a-zA-Z_$][\w$]*$/;

// format puts values together as console.log does: the first may have
// placeholders for those that follow.
export function format(first, ...values) {
  let text;
  if (typeof first === 'string') {
    let used = 0;
    text = values.length === 0 || !first.includes('%') ? first : first.replace(/%([sdifjoOc%])/g, (all, kind) => {
      if (kind === '%') return '%';
      if (used === values.length) return all;
      return placed(kind, values[used++]);
    });
    values = values.slice(used);
  } else {
    text = inspect(first);
    if (arguments.length === 0) return '';
  }
  for (const value of values) text += ' ' + (typeof value === 'string' ? value : inspect(value));
  return text;
}

function placed(kind, value) {
  switch (kind) {
    case 's':
      if (typeof value === 'bigint') return `${value}n`;
      if (Object.is(value, -0)) return '-0';
      return typeof value === 'object' && value !== null ? inspect(value, { depth: 0 }) : String(value);
    case 'd': return number(value, Number);
    case 'i': return number(value, parseInt);
    case 'f': return number(value, parseFloat);
    case 'j':
      try {
        return String(JSON.stringify(value));
      } catch {
        return '[Circular]';
      }
    case 'c': return '';
    default: return inspect(value, { depth: kind === 'o' ? 4 : 2 });
  }
}

function number(value, convert) {
  if (typeof value === 'bigint') return `${value}n`;
  return typeof value === 'symbol' || typeof value === 'object' ? 'NaN' : String(convert(value));
}

// inspect shows a value, and what is in it down to a depth.
export function inspect(value, { depth = 2 } = {}) {
  return show(value, depth ?? Infinity, '', [], true);
}

function show(value, depth, indent, above, top) {
  switch (typeof value) {
    case 'string': return quote(value);
    case 'number': return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint': return `${value}n`;
    case 'function': return showFunction(value);
    case 'object': return value === null ? 'null' : showObject(value, depth, indent, above, top);
    default: return String(value);
  }
}

function quote(text) {
  if (text.length <= LONGEST && PLAIN.test(text)) return `'${text}'`;
  const cut = text.length > LONGEST ? `... ${text.length - LONGEST} more characters` : '';
  const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes('`') ? '`' : "'";
  const escaped = text.slice(0, LONGEST).replace(/[\\\n\r\t\b\f\v]|[\x00-\x1f\x7f]/g, (c) => (
    { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f', '\v': '\\v' }[c] ??
    '\\x' + c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')));
  return mark + escaped.replaceAll(mark === "'" ? "'" : '\0', "\\'") + mark + cut;
}

function showFunction(value) {
  const isClass = /^class\b/.test(Function.prototype.toString.call(value));
  const kind = isClass ? 'class' : value.constructor?.name ?? 'Function';
  const name = value.name ? ` ${value.name}` : ' (anonymous)';
  return isClass ? `[class${name}]` : `[${kind}${value.name ? ':' : ''}${name}]`;
}

function showObject(value, depth, indent, above, top) {
  if (above.includes(value)) return '[Circular *1]';
  const plain = Object.getPrototypeOf(value) === Object.prototype && !('stack' in value);
  if (plain && depth >= 0) return enclose(value, '', '{', '}', [], depth, indent, above, top);
  if (isError(value)) return showError(value, depth, indent, above);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (value instanceof RegExp) return String(value);
  const name = typeName(value);
  if (depth < 0) return Array.isArray(value) ? '[Array]' : `[${name || 'Object: null prototype'}]`;
  const inner = (part) => show(part, depth - 1, indent + '  ', [...above, value], false);
  return enclose(value, ...contents(value, name, inner), depth, indent, above, top);
}

// enclose shows an object: its members, after parts.
function enclose(value, prefix, open, close, parts, depth, indent, above, top) {
  const inner = (part) => show(part, depth - 1, indent + '  ', [...above, value], false);
  for (const key of members(value)) parts.push(member(value, key, inner));
  const mark = top && parts.some((part) => part.includes('[Circular *1]')) ? '<ref *1> ' : '';
  return mark + together(prefix, open, close, parts, indent);
}

function showError(error, depth, indent, above) {
  const lines = stackOf(error).join('\n' + indent);
  const text = lines.includes('\n') ? lines : `[${lines}]`;
  const inner = (part) => show(part, depth - 1, indent + '  ', [...above, error], false);
  const parts = members(error).filter((key) => key !== 'stack' && key !== 'message').map((key) => member(error, key, inner));
  if (Object.hasOwn(error, 'cause') && !parts.some((part) => part.startsWith('cause:'))) parts.push(`[cause]: ${inner(error.cause)}`);
  return parts.length === 0 ? text : `${text} ${together('', '{', '}', parts, indent)}`;
}

function typeName(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null ? '' : String(prototype.constructor?.name ?? 'Object');
}

// contents returns what comes before a value's braces, these, and what is in
// it besides its members.
function contents(value, name, inner) {
  if (Array.isArray(value)) return [name === 'Array' ? '' : `${name}(${value.length}) `, '[', ']', elements(value, inner)];
  if (value instanceof Map) {
    return [`${name}(${value.size}) `, '{', '}', limited([...value], ([key, entry]) => `${inner(key)} => ${inner(entry)}`)];
  }
  if (value instanceof Set) return [`${name}(${value.size}) `, '{', '}', limited([...value], inner)];
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return [`${name}(${value.length}) `, '[', ']', limited(Array.from(value.subarray(0, MOST + 1)), inner, value.length)];
  }
  if (value instanceof ArrayBuffer) return [`${name} `, '{', '}', [`byteLength: ${value.byteLength}`]];
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) return [`${name} `, '{', '}', ['<...>']];
  for (const type of [Number, String, Boolean]) {
    if (value instanceof type) return [`[${name}: ${inner(value.valueOf())}]`, '', '', []];
  }
  if (name === '') return ['[Object: null prototype] ', '{', '}', []];
  return [name === 'Object' ? '' : `${name} `, '{', '}', []];
}

function elements(array, inner) {
  const parts = [];
  let holes = 0;
  const flush = () => {
    if (holes > 0) parts.push(`<${holes} empty item${holes > 1 ? 's' : ''}>`);
    holes = 0;
  };
  for (let n = 0; n < Math.min(array.length, MOST); n++) {
    if (!(n in array)) {
      holes++;
      continue;
    }
    flush();
    parts.push(inner(array[n]));
  }
  flush();
  return more(parts, array.length);
}

function limited(all, inner, length = all.length) {
  return more(all.slice(0, MOST).map(inner), length);
}

function more(parts, length) {
  if (length > MOST) parts.push(`... ${length - MOST} more item${length - MOST > 1 ? 's' : ''}`);
  return parts;
}

function members(value) {
  const keys = Object.keys(value);
  const symbols = Object.getOwnPropertySymbols(value);
  const indexed = Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof String;
  const names = indexed ? keys.filter((key) => !/^\d+$/.test(key)) : keys;
  if (symbols.length === 0) return names;
  return names.concat(symbols.filter((key) => Object.prototype.propertyIsEnumerable.call(value, key)));
}

function member(value, key, inner) {
  const name = typeof key === 'symbol' ? `[${String(key)}]` : IDENTIFIER.test(key) ? key : quote(key);
  const { get, set, value: content } = Object.getOwnPropertyDescriptor(value, key) ?? {};
  if (get) return `${name}: [Getter${set ? '/Setter' : ''}]`;
  return `${name}: ${set ? '[Setter]' : inner(content)}`;
}

// together puts parts on one line, if they fit.
function together(prefix, open, close, parts, indent) {
  if (parts.length === 0) return prefix + open + close;
  const length = parts.reduce((sum, part) => sum + part.length + 2, prefix.length + indent.length);
  if (length <= WIDTH && !parts.some((part) => part.includes('\n'))) return `${prefix}${open} ${parts.join(', ')} ${close}`;
  return `${prefix}${open}\n${indent}  ${parts.join(`,\n${indent}  `)}\n${indent}${close}`;
}
