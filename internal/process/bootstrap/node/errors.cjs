// Failures: the protocol's own, and any as a document for the caller and as
// text for the log.

const { stringify } = JSON;

const PROGRAM = '/var/runtime/node/program.js:';

class RuntimeError extends Error {}

// named returns a class whose instances, and their stacks, bear a type of the
// protocol.
function named(name) {
  const type = class extends RuntimeError {};
  Object.defineProperty(type, 'name', { value: name });
  Object.defineProperty(type.prototype, 'name', { value: name, configurable: true, writable: true });
  return type;
}

const ImportModuleError = named('Runtime.ImportModuleError');
const HandlerNotFound = named('Runtime.HandlerNotFound');
const MalformedHandlerName = named('Runtime.MalformedHandlerName');
const UserCodeSyntaxError = named('Runtime.UserCodeSyntaxError');
const CallbackHandlerDeprecated = named('Runtime.CallbackHandlerDeprecated');
const InvalidStreamingOperation = named('Runtime.InvalidStreamingOperation');
const NodeJsExit = named('Runtime.NodeJsExit');

class UnhandledPromiseRejection extends named('Runtime.UnhandledPromiseRejection') {
  constructor(reason, promise) {
    super(String(reason));
    this.reason = reason;
    this.promise = promise;
  }
}

// isError also knows errors of another realm and of libraries that make
// their own.
function isError(value) {
  return value instanceof Error ||
    (value !== null && typeof value === 'object' && 'name' in value && 'message' in value && 'stack' in value);
}

// toDocument returns what the caller gets; its keys' order is the protocol's.
function toDocument(error) {
  try {
    if (isError(error)) {
      return {
        errorType: error.name,
        errorMessage: error.message,
        trace: stackOf(error) ?? [],
      };
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

// errorType returns a document's type, fit for a header.
function errorType(document) {
  return String(document.errorType).replace(/[^\x20-\x7e]/g, '');
}

// toText returns an error as JSON for a log entry in the text format.
function toText(error) {
  try {
    return stringify(error, (_, value) => (isError(value) ? open(value) : value));
  } catch {
    return stringify(toDocument(error));
  }
}

// open shows the members of an error that JSON passes over.
function open(error) {
  const members = { errorType: error.name, errorMessage: error.message, code: error.code, ...error };
  const stack = stackOf(error);
  if (stack !== undefined) members.stack = stack;
  return members;
}

// stackOf returns the lines of an error's stack without those of this program
// below the function's, if it has a stack.
function stackOf({ stack }) {
  if (typeof stack !== 'string') return undefined;
  const lines = stack.split('\n');
  let end = lines.length;
  while (end > 1 && (lines[end - 1].includes(PROGRAM) || lines[end - 1].includes('(node:async_hooks:'))) end--;
  return lines.slice(0, end);
}

// toError returns value, as an Error if it is none.
function toError(value) {
  return value instanceof Error ? value : new Error(value);
}

module.exports = { CallbackHandlerDeprecated, errorType, HandlerNotFound, ImportModuleError, InvalidStreamingOperation, MalformedHandlerName, NodeJsExit, stackOf, toDocument, toError, toText, UnhandledPromiseRejection, UserCodeSyntaxError };
