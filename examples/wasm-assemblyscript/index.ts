// A function that greets whoever the event or the request names: a reactor.
// alloc gives the place for an event, handle takes it there and returns the
// place and length of the answer.

let answer: ArrayBuffer = new ArrayBuffer(0);

export function alloc(length: i32): usize {
  return __pin(__new(length, idof<ArrayBuffer>()));
}

export function handle(event: usize, length: i32): u64 {
  const found = member(String.UTF8.decodeUnsafe(event, length), 'name');
  const name = found.length ? found : 'world';
  answer = String.UTF8.encode(`{"message":"Hello, ${name}!","runtime":"AssemblyScript"}`);
  return (u64(changetype<usize>(answer)) << 32) | u64(answer.byteLength);
}

// member returns the first string that the JSON text has under a name, as it
// is written there: escapes and all, so that it can be put into other JSON.
function member(json: string, name: string): string {
  let named = false; // the last string was the name
  let at = 0;
  let start = 0;
  while ((start = json.indexOf('"', at) + 1) > 0) {
    let end = start;
    while (end < json.length && json.charCodeAt(end) != 0x22) {
      end += json.charCodeAt(end) == 0x5c ? 2 : 1;
    }
    if (end >= json.length) return '';
    const text = json.substring(start, end);
    if (named && json.substring(at, start - 1).trim() == ':') return text;
    named = text == name;
    at = end + 1;
  }
  return '';
}

// fail says that the request has failed: the errorType and errorMessage of the
// answer.
// @ts-ignore: decorator
@external('millicent', 'fail')
declare function fail(kind: usize, kindLength: i32, message: usize, messageLength: i32): void;

// abort is what the compiler calls where a program cannot go on.
function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const kind = String.UTF8.encode('abort');
  const text = String.UTF8.encode(`${message} (${file}:${line}:${column})`);
  fail(changetype<usize>(kind), kind.byteLength, changetype<usize>(text), text.byteLength);
  unreachable();
}
