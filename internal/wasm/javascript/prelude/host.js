// The functions of the host, which takes parameters of the right kinds only:
// what is a string or a number here does not run anybody's toString there.

const host = globalThis.millicent;
delete globalThis.millicent;

const { log, note: entry, fail, exit, random, encode, decode, locate, domain, fetch } = host;

export const write = (text) => log(`${text}`.toWellFormed());
export const note = (text) => entry(`${text}`);
export const failed = (type, message, document) => fail(`${type}`, `${message}`, `${document}`);
export const quit = (code) => exit(+code || 0);
export const randomBytes = (n) => random(+n);
export const toUTF8 = (text) => encode(`${text}`.toWellFormed());
export const fromUTF8 = (buffer, offset, length, fatal) => decode(buffer, +offset, +length, fatal ? 1 : 0);
export const places = (stack) => locate(`${stack}`);
export const toASCII = (name) => domain(`${name}`);
export const exchange = (head, body) => fetch(`${head}`.toWellFormed(), body.buffer, +body.byteOffset, +body.byteLength);
