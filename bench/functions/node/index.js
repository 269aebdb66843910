// Counts its calls, so that the first of an environment is known by its answer.
let calls = 0;

exports.handler = async (event) => {
  calls++;
  if ('who' in event) return require('node:fs').readlinkSync('/proc/self/ns/pid');
  return { n: calls };
};
