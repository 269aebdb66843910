// One invocation: how a handler's call comes to an outcome.
//
// An outcome is decided once: by a return, a throw, a promise, a callback, or
// by the event loop having nothing left to do. It is posted after everything
// that the function wrote.

const async_hooks = require('node:async_hooks');

const { storeContext, streaming } = require('./awslambda.cjs');
const { newContext } = require('./context.cjs');
const { errorType, NodeJsExit, toDocument } = require('./errors.cjs');

const { AsyncResource } = async_hooks;
const { Promise } = globalThis;
const { parse, stringify } = JSON;
const immediately = setImmediate;

// No function's code ever runs in root itself, so what it enters into its
// asynchronous context ends with the invocation.
const root = new AsyncResource('Runtime');

const NEVER_SETTLED = 'The Lambda runtime client detected an unexpected Node.js exit code. ' +
  'This is most commonly caused by a Promise that was never settled. ' +
  'For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes';

class Invocation {
  last = false; // the process ends after it
  #settings;
  #client;
  #output;
  #store;
  #next;
  #decide; // takes the outcome; null once it is decided
  #onDrained = () => this.fail(new NodeJsExit(NEVER_SETTLED));

  constructor(settings, client, output, store, next) {
    this.#settings = settings;
    this.#client = client;
    this.#output = output;
    this.#store = store;
    this.#next = next;
    this.id = next.about.requestId;
    this.tenant = next.about.tenantId;
  }

  // run calls the handler and posts the outcome.
  async run(handler) {
    trace(this.#next.about.traceId);
    const options = streaming(handler);
    const outcome = new Promise((decide) => { this.#decide = decide; });
    if (options !== null) {
      const { serveStream } = require('./stream.cjs');
      return serveStream(this, handler, options, outcome);
    }
    this.#enter(() => this.#call(handler));
    const posted = this.#post(await outcome);
    if (posted !== undefined) await posted;
  }

  succeed(result) { this.#settle({ result }); }

  // fail decides that the invocation failed; logged says that the log has it.
  fail(error, { logged = false } = {}) { this.#settle({ failed: true, error, logged }); }

  drained() { this.#onDrained(); }

  // Used by stream.cjs.
  get client() { return this.#client; }
  get output() { return this.#output; }
  enter(fn) { this.#enter(fn); }
  onDrained(fn) { this.#onDrained = fn; }
  event() { return parse(this.#next.body); }
  context() { return newContext(this.#settings, this.#next.about, this.#settings.modern ? {} : this.#completion().completion); }
  get modern() { return this.#settings.modern; }

  // report logs a failed outcome and returns its type and its document.
  report({ error, logged }) {
    if (!logged) this.#output.error('Invoke Error', error);
    const document = toDocument(error);
    return [errorType(document), stringify(document)];
  }

  #settle(outcome) {
    const decide = this.#decide;
    this.#decide = null;
    this.#onDrained = () => {};
    decide?.(outcome);
  }

  // #post posts an outcome. It is done when it returns, or what it returns
  // resolves.
  #post(outcome) {
    let body;
    if (!outcome.failed) {
      try {
        body = stringify(outcome.result) ?? 'null';
      } catch {
        outcome = { failed: true, error: new Error('Unable to stringify response body') };
      }
    }
    const post = outcome.failed ? this.#failure(outcome) : () => this.#client.respond(this.id, body, this.last);
    const written = this.#output.flushed(); // mostly there is nothing to wait for
    return written === undefined ? post() : written.then(post);
  }

  // #failure logs a failed outcome and returns what posts it.
  #failure(outcome) {
    const [type, document] = this.report(outcome);
    return () => this.#client.fail(this.id, type, document, this.last);
  }

  // #enter calls fn in an asynchronous context of its own.
  #enter(fn) {
    const traceID = this.#next.about.traceId;
    root.runInAsyncScope(() => new AsyncResource('Invocation').runInAsyncScope(() => {
      this.#store.run(storeContext(this.id, traceID, this.tenant), fn);
    }));
  }

  #call(handler) {
    try {
      if (this.#settings.modern) this.#callModern(handler);
      else this.#callClassic(handler);
    } catch (error) {
      this.fail(error);
    }
  }

  // From nodejs24.x on a handler returns a value or a promise.
  #callModern(handler) {
    const result = handler(this.event(), this.context());
    if (isPromise(result)) result.then((value) => this.succeed(value), (error) => this.fail(error));
    else this.succeed(result);
  }

  // Up to nodejs22.x a handler returns a promise or completes by its callback
  // or its context; another return value means nothing.
  #callClassic(handler) {
    const { completion, callback, unless } = this.#completion();
    const context = newContext(this.#settings, this.#next.about, completion);
    const result = handler(this.event(), context, callback);
    if (isPromise(result)) result.then(completion.succeed, completion.fail);
    else unless(() => this.succeed(null));
  }

  // #completion makes what a classic handler may complete with. The first use
  // of any of them counts.
  #completion() {
    let used = false;
    const once = (fn) => {
      if (used) return;
      used = true;
      fn();
    };
    const succeed = (result) => once(() => this.succeed(result));
    const fail = (error) => once(() => this.fail(error ?? 'handled'));
    const done = (error, result) => (error ? fail(error) : succeed(result));
    const callback = (error, result) => {
      if (error) {
        fail(error);
        return;
      }
      once(() => {
        if (completion.callbackWaitsForEmptyEventLoop) this.#onDrained = () => this.succeed(result);
        else immediately(() => this.succeed(result));
      });
    };
    const completion = { callbackWaitsForEmptyEventLoop: true, succeed, fail, done };
    return { completion, callback, unless: (fn) => { if (!used) this.#onDrained = fn; } };
  }
}

let traced = true; // a stem may have been started with anything

// trace gives the function the trace header of its invocation, or none: a
// variable costs as much as a handler.
function trace(traceID) {
  if (traceID) process.env._X_AMZN_TRACE_ID = traceID;
  else if (traced) delete process.env._X_AMZN_TRACE_ID;
  traced = Boolean(traceID);
}

// drained tells an invocation that the event loop has nothing left to do.
function drained(invocation) {
  invocation?.drained();
}

function isPromise(value) {
  return typeof value?.then === 'function';
}

module.exports = { drained, Invocation, isPromise };
