// The JavaScript side of the runtime: loads a handler and serves requests.
//
//   main.js       what the host calls: load, begin, settle, turn, crash and others
//   host.js       the functions of the host
//   errors.js     failures, as documents and as log entries
//   console.js    console, with inspect.js for what is no text
//   timers.js     timers, and the order in which callbacks run
//   process.js    process, as far as there is one
//   encoding.js   TextEncoder, TextDecoder
//   url.js        URL, with urlparse.js and searchparams.js
//   clone.js      structuredClone
//   crypto.js     random numbers and UUIDs
//   fetch.js      fetch, by the host
//
// This has run when an image is made, and so has the function's own module:
// what is found here at a request is what they left, and what the request
// leaves is gone after it. So all that is the same for each request is made
// before, and changed in place.

import { begin as logFor, configure, report } from './console.js';
import { HandlerNotFound, ImportModuleError, MalformedHandlerName, NodeJsExit, UserCodeSyntaxError } from './errors.js';
import { UnhandledPromiseRejection, toDocument } from './errors.js';
import { failed } from './host.js';
import { setEnvironment } from './process.js';
import { start, step } from './timers.js';
import './clone.js';
import './crypto.js';
import './encoding.js';
import './fetch.js';
import './url.js';

const NEVER_SETTLED = 'The handler has neither answered nor anything left to wait for. ' +
  'This is most commonly caused by a Promise that was never settled.';

const { parse, stringify } = JSON;
const now = Date.now;
const pending = new Promise(() => {}); // what stands for an answer by a callback

let handler;
let classic; // it takes a callback
let context; // the handler's second argument
let deadline; // of the request, in milliseconds since 1970: a text
let loading = true;
let answer; // what is returned to the host, once it is there
let drained; // what to do when there is nothing left to do

// prepare tells the environment, before the function's module runs.
export function prepare(environ) {
  context = newContext(setEnvironment(environ));
  configure();
  start(uncaught);
}

function newContext(settings) {
  return {
    functionVersion: settings.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: settings.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: settings.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: settings.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: settings.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: undefined,
    identity: undefined,
    invokedFunctionArn: undefined,
    awsRequestId: undefined,
    tenantId: undefined,
    xRayTraceId: undefined,
    getRemainingTimeInMillis() { return deadline - now(); },
  };
}

// load waits for the function's module and finds the handler in it.
export function load(namespace, name) {
  drained = () => fail('Init Error', new NodeJsExit('The module waits for a Promise that is never settled.'));
  namespace.then((app) => {
    handler = find(app, name);
    classic = handler.length >= 3;
    loading = false;
    drained = neverSettled;
    start(uncaught);
    answer = '';
  }).catch((error) => fail('Init Error', initError(error)));
}

function find(app, name) {
  const base = name.slice(name.lastIndexOf('/') + 1);
  const match = /^([^.]*)\.(.*)$/.exec(base);
  if (match === null || name.includes('..')) throw new MalformedHandlerName('Bad handler');
  const found = resolve(app, match[2]) ?? resolve(app.default, match[2]);
  if (!found) throw new HandlerNotFound(`${name} is undefined or not exported`);
  if (typeof found !== 'function') throw new HandlerNotFound(`${name} is not a function`);
  return found;
}

function resolve(object, names) {
  return names.split('.').reduce((value, name) => value?.[name], object) || undefined;
}

function initError(error) {
  if (error instanceof SyntaxError) return new UserCodeSyntaxError(String(error));
  if (error?.code === 'MODULE_NOT_FOUND') return new ImportModuleError(String(error));
  return error;
}

// begin calls the handler with an event and what is known about the request,
// and returns what it returns. What comes after the deadline is not always told;
// text is the event where it is not what it should be.
export function begin(event, requestId, arn, until, trace, client, tenant, text) {
  answer = undefined;
  deadline = until;
  context.awsRequestId = requestId;
  context.invokedFunctionArn = arn;
  logFor(requestId, tenant);
  if (trace) context.xRayTraceId = process.env._X_AMZN_TRACE_ID = trace;
  if (tenant) context.tenantId = tenant;
  try {
    if (client) context.clientContext = parse(client);
    if (text !== undefined) event = parse(text);
    return classic ? callClassic(event) : handler(event, context);
  } catch (error) {
    failInvoke(error);
  }
}

// settle answers with a value, or what a promise of one becomes. The host does
// so itself for promises that are kept already.
export function settle(value) {
  if (value === pending) return;
  if (typeof value?.then !== 'function') succeed(value);
  else value.then(succeed, failInvoke);
}

// callClassic calls a handler that takes a callback. What it calls back with is
// the answer, by default when there is nothing left to do; a promise that it
// returns counts as well, and any other value does not.
function callClassic(event) {
  let used = false;
  context.callbackWaitsForEmptyEventLoop = true;
  const returned = handler(event, context, (error, result) => {
    if (used) return;
    used = true;
    if (error) failInvoke(error);
    else if (context.callbackWaitsForEmptyEventLoop) drained = () => succeed(result);
    else succeed(result);
  });
  if (typeof returned?.then === 'function') settle(returned);
  else if (!used) drained = () => succeed(null);
  return pending;
}

function succeed(value) {
  if (answer !== undefined) return;
  let text;
  try {
    text = stringify(value) ?? 'null';
  } catch {
    unwritten();
    return;
  }
  answer = text;
}

// fail ends what runs: with an error's document, which the log gets as well.
function fail(what, error) {
  if (answer !== undefined && !loading) return;
  answer = '';
  report(what, error);
  const document = toDocument(error);
  failed(document.errorType, document.errorMessage, stringify(document));
}

// unwritten hears that the answer cannot be written.
export function unwritten() { failInvoke(new Error('Unable to stringify response body')); }

function failInvoke(error) { fail('Invoke Error', error); }
function neverSettled() { failInvoke(new NodeJsExit(NEVER_SETTLED)); }
function uncaught(error) { fail('Uncaught Exception', error); }

// turn runs the next callback that is due. It returns the answer once it is
// there, and otherwise for how many milliseconds there is nothing to do.
// rejected says that a promise was rejected which nobody cares about.
export function turn(rejected, reason) {
  if (answer === undefined && rejected) {
    const error = new UnhandledPromiseRejection(reason);
    fail('Unhandled Promise Rejection', loading ? initError(reason) : error);
  }
  if (answer !== undefined) return answer;
  const wait = step();
  if (wait >= 0) return wait;
  drained();
  return 0;
}

// crash hears of an exception that came as far as the host.
export function crash(error) {
  fail(loading ? 'Init Error' : 'Uncaught Exception', loading ? initError(error) : error);
}
