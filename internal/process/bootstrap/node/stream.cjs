// Invocations whose handler writes its response as a stream.
//
// The response begins with the first byte. A failure before that is an
// ordinary error; one after it goes into the trailers of what was begun.

const stream = require('node:stream');

const { preludes } = require('./awslambda.cjs');
const { InvalidStreamingOperation } = require('./errors.cjs');
const { isPromise } = require('./invocation.cjs');

const { isBuffer } = Buffer;
const { stringify } = JSON;

class ResponseStream extends stream.Writable {
  #begin;
  #contentType = 'application/octet-stream';
  #response = null;

  constructor(begin, options) {
    super(options);
    this.#begin = begin;
  }

  setContentType(contentType) {
    if (this.#response !== null) throw new InvalidStreamingOperation('Cannot set content-type, too late.');
    this.#contentType = String(contentType);
  }

  // write also takes objects, as JSON.
  write(chunk, ...rest) {
    return super.write(bytesOf(chunk), ...rest);
  }

  _write(chunk, _encoding, done) {
    this.#start();
    if (chunk.length === 0) done(); // an empty chunk would be the last
    else this.#response.write(chunk, done);
  }

  _final(done) {
    this.#start();
    done();
  }

  #start() {
    if (this.#response !== null) return;
    this.#response = this.#begin(this.#contentType);
    const prelude = preludes.get(this);
    if (prelude !== undefined) this.#response.write(prelude, () => {});
  }

  // response is what was begun, or null.
  get response() { return this.#response; }
}

// serveStream calls a streaming handler and posts what it writes. The promise
// outcome is the invocation's.
async function serveStream(invocation, handler, options, outcome) {
  const response = new ResponseStream((type) => invocation.client.stream(invocation.id, type), options);
  response.on('error', (error) => invocation.fail(error));
  invocation.enter(() => {
    call(invocation, handler, response).catch((error) => invocation.fail(error));
  });
  const decided = await outcome;
  await finish(invocation, response, decided);
}

async function call(invocation, handler, response) {
  const result = handler(invocation.event(), response, invocation.context());
  if (!isPromise(result)) throw failure(invocation, 'Streaming does not support non-async handlers.');
  if ((await result) !== undefined) invocation.output.warn('Streaming handlers ignore return values.');
  // What was piped into the stream may go on after the handler.
  if (response.writableFinished) {
    invocation.succeed();
    return;
  }
  invocation.onDrained(() => invocation.fail(failure(invocation, 'Response stream is not finished.')));
  response.once('finish', () => invocation.succeed());
  response.once('close', () => invocation.fail(failure(invocation, 'Response stream is not finished.')));
}

async function finish(invocation, response, outcome) {
  if (!outcome.failed) {
    await invocation.output.flushed();
    await response.response.end().catch(() => {});
    return;
  }
  const [type, document] = invocation.report(outcome);
  await invocation.output.flushed();
  const begun = response.response;
  response.destroy();
  if (begun === null) {
    await invocation.client.fail(invocation.id, type, document, invocation.last);
    return;
  }
  await begun.end({ type, document }).catch(() => {});
}

// failure is a failure of the stream's own; the older runtimes throw the bare
// text.
function failure(invocation, message) {
  return invocation.modern ? new Error(message) : message;
}

function bytesOf(chunk) {
  if (typeof chunk === 'string' || isBuffer(chunk) || chunk instanceof Uint8Array) return chunk;
  return stringify(chunk);
}

module.exports = { serveStream };
