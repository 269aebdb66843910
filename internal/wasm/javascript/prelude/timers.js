// Timers, and the order in which callbacks run: the host asks for one step
// after another, and runs the jobs of promises between any two. While a step
// says that nothing is due, the host waits, and nothing runs.

const clock = performance.now.bind(performance);
const MOST = 2 ** 31 - 1; // milliseconds; more is 1, as in Node.js

let time; // when the turn began: timers that it sets count from there, as in Node.js; undefined for not looked at yet
let heap = []; // of Timeouts, the next one first
let immediates = [];
let next = 0; // index into immediates
let last = 0; // number of the last Timeout
let holding = 0; // how many timers keep the request waiting
let uncaught;

// start forgets all that was to happen, and says who hears of exceptions.
export function start(onUncaught) {
  time = undefined; // the clock of an image says nothing
  heap = [];
  immediates = [];
  next = holding = 0;
  uncaught = onUncaught;
}

// wake looks at the clock.
function wake() { time = clock(); }

// step runs one callback, if one is due, and returns 0; otherwise in how many
// milliseconds the next one is, or -1 if there is none that is waited for.
export function step() {
  if (next < immediates.length) {
    const immediate = immediates[next++];
    if (next === immediates.length) {
      immediates = [];
      next = 0;
    }
    immediate.run();
    return 0;
  }
  if (holding === 0) return -1;
  wake();
  const wait = heap[0].due - time;
  if (wait > 0) return wait;
  pop().run();
  return 0;
}

function before(a, b) {
  return a.due < b.due || (a.due === b.due && a.number < b.number);
}

function push(timer) {
  let at = heap.length;
  for (let up; at > 0 && before(timer, heap[up = (at - 1) >> 1]); at = up) put(heap[up], at);
  put(timer, at);
}

function put(timer, at) {
  heap[at] = timer;
  timer.place = at;
}

function pop() {
  const first = heap[0];
  remove(first);
  return first;
}

function remove(timer) {
  const at = timer.place;
  timer.place = -1;
  const end = heap.pop();
  if (end === timer) return;
  for (let hole = at; ;) {
    let child = 2 * hole + 1;
    if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
    if (child >= heap.length || before(end, heap[child])) {
      put(end, hole);
      break;
    }
    put(heap[child], hole);
    hole = child;
  }
  for (let hole = end.place, up; hole > 0 && before(end, heap[up = (hole - 1) >> 1]); hole = up) {
    put(heap[up], hole);
    put(end, up);
  }
}

class Timeout {
  #callback;
  #args;
  #delay;
  #repeats;
  #counts = true; // keeps the request waiting
  number = ++last;
  place = -1; // in the heap; -1 for not in it
  due = 0;

  constructor(callback, delay, args, repeats) {
    if (typeof callback !== 'function') {
      throw Object.assign(new TypeError('The "callback" argument must be of type function.'), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    delay = +delay;
    this.#callback = callback;
    this.#args = args;
    this.#delay = delay >= 1 && delay <= MOST ? Math.trunc(delay) : 1;
    this.#repeats = repeats;
    for (const name of ['number', 'place', 'due']) Object.defineProperty(this, name, { enumerable: false });
    this.#enter();
  }

  #enter() {
    if (time === undefined) wake();
    this.due = time + this.#delay;
    push(this);
    if (this.#counts) holding++;
  }

  close() {
    if (this.place >= 0) {
      remove(this);
      if (this.#counts) holding--;
    }
    this.#repeats = false;
    return this;
  }

  refresh() {
    const repeats = this.#repeats;
    this.close();
    this.#repeats = repeats;
    this.#enter();
    return this;
  }

  ref() { return this.#count(true); }
  unref() { return this.#count(false); }
  hasRef() { return this.#counts; }

  #count(counts) {
    if (this.place >= 0 && counts !== this.#counts) holding += counts ? 1 : -1;
    this.#counts = counts;
    return this;
  }

  run() {
    if (this.#counts) holding--;
    guard(this.#callback, this.#args);
    if (this.#repeats && this.place < 0) this.#enter();
  }

  [Symbol.toPrimitive]() { return this.number; }
}

class Immediate {
  #callback;
  #args;

  constructor(callback, args) {
    if (typeof callback !== 'function') throw new TypeError('The "callback" argument must be of type function.');
    this.#callback = callback;
    this.#args = args;
  }

  close() { this.#callback = null; }

  run() {
    if (this.#callback !== null) guard(this.#callback, this.#args);
  }
}

// guard calls a callback; what it throws ends the request.
export function guard(callback, args) {
  try {
    callback(...args);
  } catch (error) {
    uncaught(error);
  }
}

const enqueue = queueMicrotask;

const functions = {
  setTimeout(callback, delay, ...args) { return new Timeout(callback, delay, args, false); },
  setInterval(callback, delay, ...args) { return new Timeout(callback, delay, args, true); },
  setImmediate(callback, ...args) {
    const immediate = new Immediate(callback, args);
    immediates.push(immediate);
    return immediate;
  },
  clearTimeout(timer) {
    if (timer instanceof Timeout) timer.close();
    else if (timer !== undefined && timer !== null) heap.find((known) => known.number === +timer)?.close();
  },
  clearImmediate(immediate) {
    if (immediate instanceof Immediate) immediate.close();
  },
  queueMicrotask(callback) {
    if (typeof callback !== 'function') throw new TypeError('The "callback" argument must be of type function.');
    enqueue(() => guard(callback, []));
  },
};
functions.clearInterval = functions.clearTimeout;

for (const [name, value] of Object.entries(functions)) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
}
