// Leaves what it is told wherever a script can. It answers with what it finds
// of requests before, which is nothing.
const kept = [];
const seen = new Map();
let last;

export const handler = async ({ do: op, n, value }) => {
  const before = [kept.length, seen.size, last, globalThis.left, Array.prototype.left, Object.keys(process.env).length];
  last = value;
  switch (op) {
    case 'heap':
      for (let i = 0; i < n * 50; i++) kept.push(value.repeat(20) + i);
      for (let i = 0; i < n * 20; i++) seen.set(value + i, { value });
      break;
    case 'globals':
      globalThis.left = value;
      process.env.LEFT = value;
      break;
    case 'prototypes':
      Array.prototype.left = value;
      JSON.stringify = Object.assign(JSON.stringify, { left: value });
      break;
    case 'closures':
      globalThis.left = () => value;
      kept.push(Promise.resolve(value).then((v) => kept.push(v)));
      break;
    case 'timers':
      await new Promise((done) => setTimeout(done, 1));
      setTimeout(() => { last = value; }, 10_000);
      break;
  }
  return before;
};
