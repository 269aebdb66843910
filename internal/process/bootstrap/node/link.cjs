// The platform by two pipes that the process was given.
//
// A message is four bytes of length of what follows, a byte that says which it
// is, and its body. To the platform go N (ready for an invocation), R
// (response), E (error), S, C and T (a response in parts), F (the function
// could not be loaded) and D (what its code was compiled to is of no use); I, an invocation, comes back: four bytes of length, so
// much JSON about it, the event. A stem, a process that is booted before it is
// known for which function, gets W, tries what it can, says B and gets A, its
// assignment: both are JSON.
//
// What is read from does not keep the process alive while a handler runs: "nothing
// left to do" has a meaning in the protocol.

const fs = require('node:fs');

const { readSync, writeSync } = fs;
const { alloc, allocUnsafe, byteLength, concat, from } = Buffer;
const { Promise } = globalThis;
const { parse } = JSON;
const immediately = setImmediate;
const pause = new Int32Array(new SharedArrayBuffer(4));
const { wait } = Atomics;

const MOST = 6291556 + 1; // of a payload: the platform wants to know that it is too large, not all of it
const INPUT = 64 << 10;
const PART = (64 << 10) - 5; // of a response in parts: what a pipe takes at once
const TURNS = 20; // of a tenth of a millisecond
const NEXT = from([0, 0, 0, 1, 0x4e]);
const BOOTED = from([0, 0, 0, 1, 0x42]);
const REFUSED = from([0, 0, 0, 1, 0x44]);

class Link {
  #in;
  #out;
  #writer = null; // of out, once a response came in parts
  #socket = null; // of in, once something is awaited that does not come at once
  #looked = false; // whether a message is there at once
  #asked = false;
  #parts = []; // of a message that has not come whole
  #size = 0;
  #waiting = null; // who awaits a message
  #early = null; // a message that nobody awaits yet
  #cause = new Error('link closed by the platform');
  #ended = false;

  // The process reads from fd, and writes to the descriptor behind it.
  constructor(fd) {
    this.#in = fd;
    this.#out = fd + 1;
  }

  #open() {
    const { Socket } = require('node:net');
    const buffer = alloc(INPUT);
    this.#socket = new Socket({
      fd: this.#in, readable: true, writable: false,
      onread: { buffer, callback: (n) => this.#take(buffer.subarray(0, n)) },
    });
    this.#socket.on('error', (error) => { this.#cause = error; });
    this.#socket.on('close', () => this.#end());
    this.#socket.on('end', () => this.#end());
    this.#socket.resume();
    this.#socket.unref();
  }

  // rehearsal waits for the assignment that a stem is sent only to try it.
  rehearsal() {
    return this.#document(0x57);
  }

  // assignment says that a stem has booted, and waits for what it is to be.
  assignment() {
    this.#send(BOOTED);
    return this.#document(0x41);
  }

  // refuse says that what the function's code was compiled to is of no use.
  refuse() {
    this.#send(REFUSED);
  }

  #document(expected) {
    this.#looked = true;
    return this.#receive((data) => {
      if (data[4] !== expected) throw new Error(`message ${data[4]} in place of ${expected}`);
      return parse(data.toString('utf8', 5));
    });
  }

  // next waits for an invocation: what is known about it, and its body.
  next() {
    if (!this.#asked) this.#send(NEXT);
    this.#asked = false;
    return this.#looked ? this.#receive(invocation) : this.#first();
  }

  // #first takes the first message if it comes at once, as it does to a process
  // that was started for it: what else reads a pipe takes 3 ms to load. Else it
  // waits for it as for those to come.
  async #first() {
    const data = await this.#atOnce();
    return data === null ? this.#receive(invocation) : invocation(data);
  }

  // #atOnce returns null when there is no message, or the rest of it is still to
  // come.
  async #atOnce() {
    this.#looked = true;
    await new Promise((resolve) => immediately(resolve)); // what Init has begun goes first
    const data = allocUnsafe(INPUT);
    for (let turns = 0; turns < TURNS; turns++) {
      try {
        this.#size = readSync(this.#in, data, 0, INPUT, null);
      } catch (error) {
        if (error.code !== 'EAGAIN') return null; // then it is found again
        wait(pause, 0, 0, 0.1);
        continue;
      }
      if (this.#size === 0) return null; // as above
      const have = data.subarray(0, this.#size);
      if (have.length >= 5 && have.length === 4 + have.readUInt32BE(0)) {
        this.#size = 0;
        return have;
      }
      this.#parts.push(have);
      return null;
    }
    return null;
  }

  // respond and fail also ask for the next invocation, unless last says that
  // the process ends. All is written when they return, or what they return
  // resolves.
  respond(id, body, last) {
    return this.#post(0x52, [id, 'application/json'], body, last);
  }

  fail(id, errorType, body, last) {
    return this.#post(0x45, [id, errorType], body, last);
  }

  async failInit(errorType, body) {
    this.#post(0x46, [errorType], body, true);
  }

  // stream begins a response of unknown length. The result's write takes
  // Buffers; its end takes what broke it off, if anything did.
  stream(id, contentType) {
    this.#writer ??= this.#openWriter();
    let ended = false;
    this.#send(message(0x53, [id, contentType], ''));
    const write = (chunk, done) => {
      if (ended) return;
      const rest = chunk.subarray(PART);
      this.#writer.write(message(0x43, [], chunk.subarray(0, PART)), rest.length === 0 ? () => done() : () => write(rest, done));
    };
    return {
      write,
      end: async ({ type = '', document = '' } = {}) => {
        ended = true;
        await this.#post(0x54, [type], document, true);
      },
    };
  }

  // #openWriter makes what writes without holding up the function where nobody
  // reads as fast as it writes. The descriptor does not block from then on, so
  // that all goes that way.
  #openWriter() {
    const { Socket } = require('node:net');
    const writer = new Socket({ fd: this.#out, readable: false, writable: true });
    writer.on('error', (error) => { this.#cause = error; });
    writer.on('close', () => this.#end());
    writer.unref(); // writes in flight count by themselves
    return writer;
  }

  // #post sends a message.
  #post(kind, texts, body, last) {
    const data = message(kind, texts, body, last ? 0 : NEXT.length);
    if (!last) {
      this.#asked = true;
      NEXT.copy(data, data.length - NEXT.length);
    }
    return this.#send(data);
  }

  // #send writes at once, unless there is a writer: a stream's machinery costs
  // more than the system call.
  #send(data) {
    if (this.#writer !== null) return new Promise((resolve) => this.#writer.write(data, resolve));
    try {
      for (let at = 0; at < data.length;) at += writeSync(this.#out, data, at);
    } catch (error) {
      this.#cause = error;
      this.#end();
    }
    return undefined;
  }

  // #receive waits for a message, and resolves to what read makes of it.
  #receive(read) {
    if (this.#socket === null) this.#open();
    this.#socket.ref();
    return new Promise((resolve, reject) => {
      this.#waiting = { read, resolve, reject };
      const early = this.#early;
      this.#early = null;
      if (early !== null) this.#take(early);
      else if (this.#ended) this.#end();
    });
  }

  // #take puts one message together from what arrives. Nothing comes behind a
  // message before it is answered.
  #take(data) {
    if (this.#size + data.length < this.#wanted(data)) {
      this.#parts.push(from(data)); // the buffer is used again
      this.#size += data.length;
      return true;
    }
    if (this.#parts.length > 0) {
      this.#parts.push(data);
      data = concat(this.#parts);
      this.#parts = [];
      this.#size = 0;
    }
    const waiting = this.#waiting;
    if (waiting === null) {
      this.#early = from(data);
      return true;
    }
    this.#waiting = null;
    this.#socket.unref();
    try {
      waiting.resolve(waiting.read(data));
    } catch (error) {
      waiting.reject(error);
    }
    return true;
  }

  // #wanted returns the size of the message whose latest part is data.
  #wanted(data) {
    if (this.#size > 0 && this.#parts[0].length < 5) {
      this.#parts = [concat(this.#parts)];
      if (this.#size < 5) data = concat([this.#parts[0], data]);
    }
    const first = this.#size >= 5 ? this.#parts[0] : data;
    return first.length < 5 ? 5 : 4 + first.readUInt32BE(0);
  }

  #end() {
    this.#ended = true;
    this.#waiting?.reject(this.#cause);
    this.#waiting = null;
  }
}

// invocation reads the message that hands over an invocation.
function invocation(data) {
  if (data[4] !== 0x49) throw new Error(`next invocation: message ${data[4]}`);
  const end = 9 + data.readUInt32BE(5);
  return { about: parse(data.toString('utf8', 9, end)), body: data.toString('utf8', end) };
}

// message makes a message of short texts and a body, with room behind it.
function message(kind, texts, body, room = 0) {
  let head = 5;
  for (const text of texts) head += 1 + Math.min(255, byteLength(text));
  const isText = typeof body === 'string';
  let size = isText ? byteLength(body) : body.length;
  if (size > MOST) {
    body = (isText ? from(body) : body).subarray(0, MOST);
    size = MOST;
  }
  const data = allocUnsafe(head + size + room);
  data.writeUInt32BE(head - 4 + size, 0);
  data[4] = kind;
  let at = 5;
  for (const text of texts) {
    const n = Math.min(255, byteLength(text));
    data[at] = n;
    data.write(text, at + 1, n);
    at += 1 + n;
  }
  if (typeof body === 'string') data.write(body, head);
  else body.copy(data, head);
  return data;
}

module.exports = { Link };
