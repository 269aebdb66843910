// The URL parser (url.spec.whatwg.org, section 4.4). A URL is its parts:
//
//   scheme, username, password, host, port, path, query, fragment
//
// host is null, or { name }, or { ipv6 } with eight numbers; path is an array
// of segments, or a string where it is opaque. Names of states are the
// standard's.

import { parseHost } from './urlhost.js';
import { toUTF8 } from './host.js';

export const SPECIAL = { ftp: 21, file: null, http: 80, https: 443, ws: 80, wss: 443 };

const LETTER = /^[a-zA-Z]$/;
const DRIVE = /^[a-zA-Z][:|]$/;
const STARTS_WITH_DRIVE = /^[a-zA-Z][:|](?:$|[/\\?#])/;

// What is encoded where, besides controls and what is not ASCII.
const FRAGMENT = ' "<>`';
const QUERY = ' "#<>';
const PATH = QUERY + '?^`{}';
const USERINFO = PATH + '/:;=@[\\]|';

export function encode(text, set) {
  let out = '';
  for (const character of text) {
    const code = character.codePointAt(0);
    if (code > 0x1f && code < 0x7f && !set.includes(character)) out += character;
    else for (const byte of toUTF8(character)) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

export const encodeUserinfo = (text) => encode(text, USERINFO);

export const isSpecial = (url) => Object.hasOwn(SPECIAL, url.scheme);

export function canHaveCredentials(url) {
  return url.host !== null && url.host.name !== '' && url.scheme !== 'file';
}

const dot = (segment) => /^(?:\.|%2e)$/i.test(segment);
const dots = (segment) => /^(?:\.|%2e){2}$/i.test(segment);

function shorten(url) {
  const { path } = url;
  if (url.scheme === 'file' && path.length === 1 && /^[a-zA-Z]:$/.test(path[0])) return;
  path.pop();
}

// parseURL returns a URL, or null. With a URL and a state of its own it changes
// that.
export function parseURL(input, base, url = null, state = null) {
  const own = url !== null;
  input = input.toWellFormed();
  if (!own) input = input.replace(/^[\0- ]+|[\0- ]+$/g, '');
  input = input.replace(/[\t\n\r]/g, '');
  url ??= { scheme: '', username: '', password: '', host: null, port: null, path: [], query: null, fragment: null };
  const parser = { input: Array.from(input), base, url, own, only: own ? state : null, at: 0, buffer: '', state: state ?? 'scheme start',
    inBrackets: false, atSeen: false, passwordSeen: false };
  for (; parser.at <= parser.input.length; parser.at++) {
    const result = STATES[parser.state](parser, parser.input[parser.at]);
    if (result === FAILED) return null;
    if (result === DONE) break;
  }
  return url;
}

const FAILED = Symbol('failed');
const DONE = Symbol('done');

// again looks at the same character in another state.
function again(p, state, back = 1) {
  p.state = state;
  p.at -= back;
}

const rest = (p, from = 1) => p.input.slice(p.at + from);
const endsAuthority = (p, c) => c === undefined || c === '/' || c === '?' || c === '#' || (isSpecial(p.url) && c === '\\');

// tail goes on to the query or the fragment, if that begins here.
function tail(p, c) {
  if (c === '?') {
    p.url.query = '';
    p.state = 'query';
  } else if (c === '#') {
    p.url.fragment = '';
    p.state = 'fragment';
  } else {
    return false;
  }
  return true;
}

function copyBase(p, ...names) {
  for (const name of names) {
    p.url[name] = Array.isArray(p.base[name]) ? [...p.base[name]] : p.base[name];
  }
}

const STATES = {
  'scheme start'(p, c) {
    if (c !== undefined && LETTER.test(c)) {
      p.buffer += c.toLowerCase();
      p.state = 'scheme';
    } else if (p.own) {
      return FAILED;
    } else {
      again(p, 'no scheme');
    }
  },

  'scheme'(p, c) {
    const { url } = p;
    if (c !== undefined && /[a-zA-Z0-9+.-]/.test(c)) {
      p.buffer += c.toLowerCase();
    } else if (c === ':') {
      if (p.own) return changeScheme(p);
      url.scheme = p.buffer;
      p.buffer = '';
      if (url.scheme === 'file') p.state = 'file';
      else if (isSpecial(url) && p.base?.scheme === url.scheme) p.state = 'special relative or authority';
      else if (isSpecial(url)) p.state = 'special authority slashes';
      else if (p.input[p.at + 1] === '/') {
        p.state = 'path or authority';
        p.at++;
      } else {
        url.path = '';
        p.state = 'opaque path';
      }
    } else if (p.own) {
      return FAILED;
    } else {
      p.buffer = '';
      p.at = -1;
      p.state = 'no scheme';
    }
  },

  'no scheme'(p, c) {
    const { base } = p;
    if (base === null || (typeof base.path === 'string' && c !== '#')) return FAILED;
    if (typeof base.path === 'string') {
      copyBase(p, 'scheme', 'path', 'query');
      p.url.fragment = '';
      p.state = 'fragment';
    } else {
      again(p, base.scheme === 'file' ? 'file' : 'relative');
    }
  },

  'special relative or authority'(p, c) {
    if (c === '/' && p.input[p.at + 1] === '/') {
      p.state = 'special authority ignore slashes';
      p.at++;
    } else {
      again(p, 'relative');
    }
  },

  'path or authority'(p, c) {
    if (c === '/') p.state = 'authority';
    else again(p, 'path');
  },

  'relative'(p, c) {
    p.url.scheme = p.base.scheme;
    if (c === '/' || (isSpecial(p.url) && c === '\\')) {
      p.state = 'relative slash';
      return;
    }
    copyBase(p, 'username', 'password', 'host', 'port', 'path', 'query');
    if (tail(p, c) || c === undefined) return;
    p.url.query = null;
    shorten(p.url);
    again(p, 'path');
  },

  'relative slash'(p, c) {
    if (isSpecial(p.url) && (c === '/' || c === '\\')) {
      p.state = 'special authority ignore slashes';
    } else if (c === '/') {
      p.state = 'authority';
    } else {
      copyBase(p, 'username', 'password', 'host', 'port');
      again(p, 'path');
    }
  },

  'special authority slashes'(p, c) {
    p.state = 'special authority ignore slashes';
    if (c === '/' && p.input[p.at + 1] === '/') p.at++;
    else p.at--;
  },

  'special authority ignore slashes'(p, c) {
    if (c !== '/' && c !== '\\') again(p, 'authority');
  },

  'authority'(p, c) {
    if (c === '@') {
      credentials(p, p.atSeen ? `%40${p.buffer}` : p.buffer);
      p.atSeen = true;
      p.buffer = '';
    } else if (endsAuthority(p, c)) {
      if (p.atSeen && p.buffer === '') return FAILED;
      const back = Array.from(p.buffer).length + 1;
      p.buffer = '';
      again(p, 'host', back);
    } else {
      p.buffer += c;
    }
  },

  'host'(p, c) { return host(p, c); },
  'hostname'(p, c) { return host(p, c); },

  'port'(p, c) {
    const { url } = p;
    if (c !== undefined && /[0-9]/.test(c)) {
      p.buffer += c;
      return;
    }
    if (!endsAuthority(p, c) && !p.own) return FAILED;
    if (p.buffer !== '') {
      const port = Number(p.buffer);
      if (port > 65_535) return FAILED;
      url.port = port === SPECIAL[url.scheme] ? null : port;
      p.buffer = '';
      if (p.own) return DONE;
    }
    if (p.own) return FAILED;
    again(p, 'path start');
  },

  'file'(p, c) {
    const { url, base } = p;
    url.scheme = 'file';
    url.host = { name: '' };
    if (c === '/' || c === '\\') {
      p.state = 'file slash';
    } else if (base?.scheme === 'file') {
      copyBase(p, 'host', 'path', 'query');
      if (tail(p, c) || c === undefined) return;
      url.query = null;
      if (STARTS_WITH_DRIVE.test(rest(p, 0).slice(0, 3).join(''))) url.path = [];
      else shorten(url);
      again(p, 'path');
    } else {
      again(p, 'path');
    }
  },

  'file slash'(p, c) {
    const { base } = p;
    if (c === '/' || c === '\\') {
      p.state = 'file host';
      return;
    }
    if (base?.scheme === 'file') {
      p.url.host = base.host;
      if (!STARTS_WITH_DRIVE.test(rest(p, 0).slice(0, 3).join('')) && /^[a-zA-Z]:$/.test(base.path[0] ?? '')) p.url.path.push(base.path[0]);
    }
    again(p, 'path');
  },

  'file host'(p, c) {
    if (c !== undefined && !'/\\?#'.includes(c)) {
      p.buffer += c;
      return;
    }
    if (!p.own && DRIVE.test(p.buffer)) {
      again(p, 'path');
      return;
    }
    if (p.buffer === '') {
      p.url.host = { name: '' };
    } else {
      const found = parseHost(p.buffer, true);
      if (found === null) return FAILED;
      p.url.host = found.name === 'localhost' ? { name: '' } : found;
    }
    p.buffer = '';
    if (p.own) return DONE;
    again(p, 'path start');
  },

  'path start'(p, c) {
    if (isSpecial(p.url)) {
      p.state = 'path';
      if (c !== '/' && c !== '\\') p.at--;
    } else if (!p.own && tail(p, c)) {
      return;
    } else if (c !== undefined) {
      p.state = 'path';
      if (c !== '/') p.at--;
    } else if (p.own && p.url.host === null) {
      p.url.path.push('');
    }
  },

  'path'(p, c) {
    const { url } = p;
    const slash = c === '/' || (isSpecial(url) && c === '\\');
    if (c !== undefined && !slash && (p.own || (c !== '?' && c !== '#'))) {
      p.buffer += encode(c, PATH);
      return;
    }
    if (dots(p.buffer)) {
      shorten(url);
      if (!slash) url.path.push('');
    } else if (dot(p.buffer)) {
      if (!slash) url.path.push('');
    } else {
      if (url.scheme === 'file' && url.path.length === 0 && DRIVE.test(p.buffer)) p.buffer = `${p.buffer[0]}:`;
      url.path.push(p.buffer);
    }
    p.buffer = '';
    tail(p, c);
  },

  'opaque path'(p, c) {
    if (tail(p, c)) return;
    if (c === ' ') p.url.path += p.input[p.at + 1] === '?' || p.input[p.at + 1] === '#' ? '%20' : ' ';
    else if (c !== undefined) p.url.path += encode(c, '');
  },

  'query'(p, c) {
    if (c === undefined) return;
    if (c === '#' && !p.own) {
      p.url.fragment = '';
      p.state = 'fragment';
    } else {
      p.url.query += encode(c, isSpecial(p.url) ? `${QUERY}'` : QUERY);
    }
  },

  'fragment'(p, c) {
    if (c !== undefined) p.url.fragment += encode(c, FRAGMENT);
  },
};

function changeScheme(p) {
  const { url, buffer } = p;
  if (isSpecial(url) !== Object.hasOwn(SPECIAL, buffer)) return DONE;
  if (buffer === 'file' && (url.username !== '' || url.password !== '' || url.port !== null)) return DONE;
  if (url.scheme === 'file' && url.host.name === '') return DONE;
  url.scheme = buffer;
  if (url.port === SPECIAL[buffer]) url.port = null;
  return DONE;
}

function credentials(p, text) {
  for (const character of text) {
    if (character === ':' && !p.passwordSeen) p.passwordSeen = true;
    else if (p.passwordSeen) p.url.password += encodeUserinfo(character);
    else p.url.username += encodeUserinfo(character);
  }
}

function host(p, c) {
  const { url } = p;
  if (p.own && url.scheme === 'file') {
    again(p, 'file host');
    return;
  }
  if (c === ':' && !p.inBrackets) {
    if (p.buffer === '' || p.only === 'hostname') return FAILED;
    const found = parseHost(p.buffer, isSpecial(url));
    if (found === null) return FAILED;
    url.host = found;
    p.buffer = '';
    p.state = 'port';
    return;
  }
  if (endsAuthority(p, c)) {
    if (isSpecial(url) && p.buffer === '') return FAILED;
    if (p.own && p.buffer === '' && (url.username !== '' || url.password !== '' || url.port !== null)) return FAILED;
    const found = parseHost(p.buffer, isSpecial(url));
    if (found === null) return FAILED;
    url.host = found;
    p.buffer = '';
    if (p.own) return DONE;
    again(p, 'path start');
    return;
  }
  if (c === '[') p.inBrackets = true;
  if (c === ']') p.inBrackets = false;
  p.buffer += c;
}

export function serializeHost(host) {
  return host.ipv6 === undefined ? host.name : `[${host.name}]`;
}

export function serializePath({ path }) {
  return typeof path === 'string' ? path : path.map((segment) => `/${segment}`).join('');
}

export function serialize(url) {
  let text = `${url.scheme}:`;
  if (url.host !== null) {
    text += '//';
    if (url.username !== '' || url.password !== '') {
      text += url.username + (url.password === '' ? '' : `:${url.password}`) + '@';
    }
    text += serializeHost(url.host) + (url.port === null ? '' : `:${url.port}`);
  } else if (typeof url.path !== 'string' && url.path.length > 1 && url.path[0] === '') {
    text += '/.';
  }
  text += serializePath(url);
  if (url.query !== null) text += `?${url.query}`;
  if (url.fragment !== null) text += `#${url.fragment}`;
  return text;
}
