// Hosts of URLs (url.spec.whatwg.org, section 3.5): domains, IPv4 and IPv6
// addresses, and opaque ones.

import { fromUTF8, toASCII, toUTF8 } from './host.js';
import { encode } from './urlparse.js';

const FORBIDDEN = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const FORBIDDEN_IN_DOMAINS = /[\0-\x20"#%/:<>?@[\\\]^`{|}\x7f]/;

// parseHost returns a host, or null. In a special URL it is a domain or an
// address.
export function parseHost(text, special) {
  if (text.startsWith('[')) {
    const ipv6 = text.endsWith(']') ? parseIPv6(text.slice(1, -1)) : null;
    return ipv6 === null ? null : { name: showIPv6(ipv6), ipv6: true };
  }
  if (!special) return FORBIDDEN.test(text) ? null : { name: encode(text, '') };
  const domain = unescape(text);
  const name = /^[\x21-\x7e]*$/.test(domain) && !/xn--/i.test(domain) ? domain.toLowerCase() : toASCII(domain);
  if (name === '' || FORBIDDEN_IN_DOMAINS.test(name)) return null;
  if (!endsInNumber(name)) return { name };
  const ipv4 = parseIPv4(name);
  return ipv4 === null ? null : { name: ipv4 };
}

function unescape(text) {
  if (!text.includes('%')) return text;
  const bytes = Array.from(toUTF8(text));
  for (let at = 0; at + 2 < bytes.length; at++) {
    const hex = String.fromCharCode(bytes[at + 1], bytes[at + 2]);
    if (bytes[at] === 0x25 && /^[0-9a-fA-F]{2}$/.test(hex)) bytes.splice(at, 3, parseInt(hex, 16));
  }
  return fromUTF8(new Uint8Array(bytes).buffer, 0, bytes.length, false);
}

function endsInNumber(name) {
  const parts = name.split('.');
  if (parts.at(-1) === '' && parts.length > 1) parts.pop();
  return /^(?:[0-9]+|0[xX][0-9a-fA-F]*)$/.test(parts.at(-1));
}

function parseIPv4(name) {
  const parts = name.split('.');
  if (parts.at(-1) === '' && parts.length > 1) parts.pop();
  if (parts.length > 4) return null;
  const numbers = parts.map(parseNumber);
  if (numbers.includes(null)) return null;
  const last = numbers.pop();
  if (numbers.some((number) => number > 255) || last >= 256 ** (4 - numbers.length)) return null;
  const address = numbers.reduce((sum, number, at) => sum + number * 256 ** (3 - at), last);
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

function parseNumber(part) {
  if (part === '') return null;
  if (/^0[xX][0-9a-fA-F]*$/.test(part)) return part.length === 2 ? 0 : parseInt(part.slice(2), 16);
  if (/^0[0-7]*$/.test(part)) return parseInt(part, 8);
  return /^[1-9][0-9]*$/.test(part) ? parseInt(part, 10) : null;
}

function parseIPv6(text) {
  const four = /^(.*:)(\d{1,3}(?:\.\d{1,3}){3})$/.exec(text);
  if (four !== null) {
    const bytes = four[2].split('.');
    if (bytes.some((byte) => Number(byte) > 255 || (byte.length > 1 && byte[0] === '0'))) return null;
    const pair = (a, b) => (Number(a) * 256 + Number(b)).toString(16);
    text = `${four[1]}${pair(bytes[0], bytes[1])}:${pair(bytes[2], bytes[3])}`;
  }
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [left, right] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const pieces = right === undefined ? left : [...left, ...new Array(Math.max(8 - left.length - right.length, 0)).fill('0'), ...right];
  if (pieces.length !== 8 || (right !== undefined && left.length + right.length > 7)) return null;
  if (pieces.some((piece) => !/^[0-9a-fA-F]{1,4}$/.test(piece))) return null;
  return pieces.map((piece) => parseInt(piece, 16));
}

// showIPv6 leaves out the first of the longest runs of zeros.
function showIPv6(pieces) {
  let [from, length] = [-1, 1];
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && pieces[end] === 0) end++;
    if (end - at > length) [from, length] = [at, end - at];
    at = Math.max(at, end - 1);
  }
  const shown = pieces.map((piece) => piece.toString(16));
  if (from < 0) return shown.join(':');
  return `${shown.slice(0, from).join(':')}::${shown.slice(from + length).join(':')}`;
}
