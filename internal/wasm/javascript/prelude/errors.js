// Failures: the protocol's own, and any as a document for the caller and as
// text for the log.

import { places } from './host.js';

const { stringify } = JSON;

// named returns a class whose instances bear a type of the protocol.
function named(name) {
  const type = class extends Error {};
  Object.defineProperty(type, 'name', { value: name });
  Object.defineProperty(type.prototype, 'name', { value: name, configurable: true, writable: true });
  return type;
}

export const ImportModuleError = named('Runtime.ImportModuleError');
export const HandlerNotFound = named('Runtime.HandlerNotFound');
export const MalformedHandlerName = named('Runtime.MalformedHandlerName');
export const UserCodeSyntaxError = named('Runtime.UserCodeSyntaxError');
export const NodeJsExit = named('Runtime.NodeJsExit');

export class UnhandledPromiseRejection extends named('Runtime.UnhandledPromiseRejection') {
  constructor(reason) {
    super(String(reason));
    if (isError(reason)) this.stack = reason.stack;
    this.reason = reason;
  }
}

// isError also knows errors of libraries that make their own.
export function isError(value) {
  return value instanceof Error ||
    (value !== null && typeof value === 'object' && 'name' in value && 'message' in value && 'stack' in value);
}

// toDocument returns what the caller gets; its keys' order is the protocol's.
export function toDocument(error) {
  try {
    if (isError(error)) {
      return { errorType: String(error.name), errorMessage: String(error.message), trace: stackOf(error) };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage: 'callback called with Error argument, but there was a problem while retrieving one or more ' +
        'of its message, name, and stack',
    };
  }
}

// toText returns an error as JSON for a log entry in the text format.
export function toText(error) {
  try {
    return stringify(error, (_, value) => (isError(value) ? open(value) : value));
  } catch {
    return stringify(toDocument(error));
  }
}

// open shows the members of an error that JSON passes over.
function open(error) {
  const { name, message, code } = error;
  return { errorType: name, errorMessage: message, code, ...error, stack: stackOf(error) };
}

// stackOf returns the lines of an error's stack: what it says, and then the
// places of the function's files.
export function stackOf(error) {
  const { name, message, stack } = error;
  const lines = (message ? `${name}: ${message}` : `${name}`).split('\n');
  if (typeof stack !== 'string') return lines;
  for (const line of places(stack).split('\n')) {
    if (line.startsWith('    at ') && !line.includes('(millicent:')) lines.push(line);
  }
  return lines;
}

// toError returns value, as an Error if it is none.
export function toError(value) {
  return value instanceof Error ? value : new Error(String(value));
}
