// The global object awslambda: what marks a handler as streaming, and
// InvokeStore, which tells libraries about the running invocation.

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

const KEYS = {
  REQUEST_ID: Symbol.for('_AWS_LAMBDA_REQUEST_ID'),
  X_RAY_TRACE_ID: Symbol.for('_AWS_LAMBDA_X_RAY_TRACE_ID'),
  TENANT_ID: Symbol.for('_AWS_LAMBDA_TENANT_ID'),
};
const PROTECTED = new Set(Object.values(KEYS));

// What a response stream does before its first byte, by stream.
const preludes = new WeakMap();

const INTEGRATION = 'application/vnd.awslambda.http-integration-response';

class HttpResponseStream {
  // from makes stream an HTTP response: status, headers and cookies go ahead
  // of the body, eight NUL bytes in between.
  static from(stream, prelude) {
    stream.setContentType(INTEGRATION);
    preludes.set(stream, Buffer.from(JSON.stringify(prelude) + '\0'.repeat(8)));
    return stream;
  }
}

function streamifyResponse(handler, options) {
  handler[STREAMING] = 'response';
  if (options?.highWaterMark !== undefined) {
    handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark, 10);
  }
  return handler;
}

// streaming returns null for a handler that answers at once, else the options
// of its stream.
function streaming(handler) {
  if (handler[STREAMING] !== 'response') return null;
  const mark = handler[HIGH_WATER_MARK];
  return mark > 0 ? { highWaterMark: mark } : {};
}

// An InvokeStore serves one invocation at a time.
class InvokeStore {
  static PROTECTED_KEYS = KEYS;
  #context;

  run(context, fn) {
    this.#context = context;
    return fn();
  }

  getContext() { return this.#context; }
  hasContext() { return this.#context !== undefined; }
  get(key) { return this.#context?.[key]; }

  set(key, value) {
    if (PROTECTED.has(key)) throw new Error(`Cannot modify protected Lambda context field: ${String(key)}`);
    this.#context ??= {};
    this.#context[key] = value;
  }

  getRequestId() { return this.get(KEYS.REQUEST_ID) ?? '-'; }
  getXRayTraceId() { return this.get(KEYS.X_RAY_TRACE_ID); }
  getTenantId() { return this.get(KEYS.TENANT_ID); }
}

// install makes the global object, unless the function's configuration
// forbids it, and returns the InvokeStore.
function install(settings) {
  const store = new InvokeStore();
  if (settings.globals) {
    globalThis.awslambda = { ...globalThis.awslambda, streamifyResponse, HttpResponseStream, InvokeStore: store };
  }
  return store;
}

// storeContext is what InvokeStore knows at the start of an invocation.
function storeContext(id, traceID, tenant) {
  return { [KEYS.REQUEST_ID]: id, [KEYS.X_RAY_TRACE_ID]: traceID, [KEYS.TENANT_ID]: tenant };
}

module.exports = { install, preludes, storeContext, streaming };
