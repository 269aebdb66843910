// Does not end, or takes what it can.
export const handler = (op) => {
  if (op === 'loop') for (;;);
  if (op === 'grow') for (const all = []; ;) all.push(new Uint8Array(1 << 20).fill(1));
  const deeper = (n) => deeper(n + 1) + 1;
  return deeper(0);
};
