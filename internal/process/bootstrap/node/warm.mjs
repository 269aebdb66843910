// What a stem does while nobody waits for it: all that happens between its
// assignment and its first answer, once, with a function of our own. Code is
// compiled and loaders are set up when they are first used.

import 'node:https'; // most functions of any size load it, which takes 5 ms
import module from 'node:module';
import { fileURLToPath } from 'node:url';

import { install } from './awslambda.mjs';
import { Settings } from './context.mjs';
import { load } from './handler.mjs';
import { Invocation } from './invocation.mjs';

const require = module.createRequire(import.meta.url);
const silent = { flushed: async () => {}, error() {}, warn() {} };
const client = { respond: async () => {}, fail: async () => {} };

// warm leaves nothing behind that a function could see.
export async function warm() {
  const dir = fileURLToPath(new URL('.', import.meta.url));
  const settings = new Settings({ LAMBDA_TASK_ROOT: dir, AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA: '1' });
  const store = install(settings);
  const about = { requestId: '', deadlineMs: 0, arn: '' };
  for (const name of ['example.handler', 'example-commonjs.handler']) {
    const handler = await load({ ...settings, handler: name });
    await new Invocation(settings, client, silent, store, { about, body: '{}' }).run(handler);
  }
  delete require.cache[require.resolve('./example-commonjs.cjs')];
}
