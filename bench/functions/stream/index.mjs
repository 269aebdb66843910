// Streams: the time right before its first write, then so many MB.
import { once } from 'node:events';

const block = Buffer.alloc(1 << 20, 'x');

export const handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.write(`@${process.hrtime.bigint()}\n`);
  for (let i = 0; i < event.mb; i++) if (!stream.write(block)) await once(stream, 'drain');
  stream.end();
});
