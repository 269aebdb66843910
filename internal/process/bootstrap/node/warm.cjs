// What a stem does while nobody waits for it: all that happens between its
// assignment and its first answer, once, with a function of our own. Code is
// compiled and loaders are set up when they are first used.

require('node:https'); // most functions of any size load it, which takes 5 ms
const Module = require('node:module');
const path = require('node:path');

const { install } = require('./awslambda.cjs');
const { Settings } = require('./context.cjs');
const { load } = require('./handler.cjs');
const { Invocation } = require('./invocation.cjs');

const silent = { flushed: async () => {}, error() {}, warn() {} };
const client = { respond: async () => {}, fail: async () => {} };

// warm leaves nothing behind that a function could see.
async function warm() {
  const settings = new Settings({ LAMBDA_TASK_ROOT: HERE, AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA: '1' });
  const store = install(settings);
  const about = { requestId: '', deadlineMs: 0, arn: '' };
  for (const name of ['example.handler', 'example-commonjs.handler']) {
    const handler = await load({ ...settings, handler: name });
    await new Invocation(settings, client, silent, store, { about, body: '{}' }).run(handler);
  }
  delete Module._cache[path.join(HERE, 'example-commonjs.cjs')];
}

module.exports = { warm };
