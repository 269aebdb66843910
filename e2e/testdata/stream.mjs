// A function that streams its response.
import { once } from 'node:events';
import { finished } from 'node:stream/promises';

const block = Buffer.alloc(1 << 20, 'x');

export const handler = awslambda.streamifyResponse(async (event, stream) => {
  const { fail, mb = 0, status } = event.queryStringParameters ?? event;
  if (fail === 'early') throw new Error('early');
  if (status) {
    const headers = { 'x-a': 'b', 'content-type': 'text/html' };
    stream = awslambda.HttpResponseStream.from(stream, { statusCode: +status, headers, cookies: ['c=1', 'd=2'] });
  }
  stream.write('first,');
  if (fail === 'mid') {
    await new Promise(setImmediate);
    throw new Error('mid');
  }
  if (fail === 'exit') process.exit(3);
  if (fail === 'hang') await new Promise((resolve) => setTimeout(resolve, 60000));
  for (let i = 0; i < +mb; i++) if (!stream.write(block)) await once(stream, 'drain');
  console.log('wrote it all');
  stream.end(`,${Date.now()}`);
  await finished(stream);
});
