// Random numbers, from the host: they are no part of an image.

import { randomBytes } from './host.js';

const MOST = 65_536; // bytes that may be asked for at once

const crypto = {
  getRandomValues(array) {
    if (!ArrayBuffer.isView(array) || /^Float|DataView/.test(array.constructor.name)) {
      throw new DOMException('The data argument must be an integer-type TypedArray', 'TypeMismatchError');
    }
    if (array.byteLength > MOST) {
      throw new DOMException(`The requested length exceeds ${MOST} bytes`, 'QuotaExceededError');
    }
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(randomBytes(array.byteLength));
    return array;
  },

  // A UUID of version 4, variant 1 (RFC 9562, section 5.4).
  randomUUID() {
    const bytes = randomBytes(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  },
};

Object.defineProperty(globalThis, 'crypto', { value: crypto, writable: true, configurable: true });
