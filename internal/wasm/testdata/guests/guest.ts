// A reactor that leaves what it is told wherever AssemblyScript can:
// "OP N TEXT".

let answer: ArrayBuffer = new ArrayBuffer(0);
let calls: i32 = 0;
let kept: string[] = [];
let number: f64 = 0;
const fixed = new StaticArray<u8>(1 << 14);

export function alloc(length: i32): usize {
  return __new(length, idof<ArrayBuffer>());
}

export function handle(event: usize, length: i32): u64 {
  const parts = String.UTF8.decodeUnsafe(event, length).split(' ');
  answer = String.UTF8.encode(leave(parts[0], I32.parseInt(parts[1]), parts[2]).toString());
  return (u64(changetype<usize>(answer)) << 32) | u64(answer.byteLength);
}

function leave(op: string, n: i32, text: string): i32 {
  calls += 1;
  const before = kept.length + (number != 0 ? 1 : 0) + calls - 1; // 0 in the first request
  if (op == 'heap') {
    for (let i = 0; i < n; i++) kept.push(text.repeat(50));
  } else if (op == 'static') {
    const bytes = Uint8Array.wrap(String.UTF8.encode(text));
    for (let i = 0; i < fixed.length; i++) fixed[i] = bytes[i % bytes.length];
    number = <f64>n + 1;
  } else if (op == 'grow') {
    const page = memory.grow(n);
    const bytes = String.UTF8.encode(text);
    if (page >= 0) {
      memory.copy(<usize>page << 16, changetype<usize>(bytes), bytes.byteLength);
      memory.copy(<usize>((page + n) << 16) - bytes.byteLength, changetype<usize>(bytes), bytes.byteLength);
    }
  } else if (op == 'find') {
    return found(n, Uint8Array.wrap(String.UTF8.encode(text)));
  }
  return before;
}

// found counts a text in the memory. Each of its bytes comes as the next higher
// one, so that it is not there by the search.
function found(size: i32, text: Uint8Array): i32 {
  let count = 0;
  for (let i: usize = 8; i < <usize>(size - text.length); i++) {
    let k = 0;
    while (k < text.length && <i32>load<u8>(i + k) == <i32>text[k] - 1) k++;
    if (k == text.length) count++;
  }
  return count;
}
