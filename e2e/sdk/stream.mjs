// A streamed response through the AWS SDK for JavaScript: run with a zip's path.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { LambdaClient, CreateFunctionCommand, InvokeWithResponseStreamCommand, waitUntilFunctionActiveV2 } from "@aws-sdk/client-lambda";

const client = new LambdaClient({ maxAttempts: 1 });
const FunctionName = "js";
await client.send(new CreateFunctionCommand({
  FunctionName, Runtime: "nodejs20.x", Handler: "index.handler", MemorySize: 1769, Timeout: 60,
  Role: "arn:aws:iam::000000000000:role/r", Code: { ZipFile: readFileSync(process.argv[2]) },
}));
await waitUntilFunctionActiveV2({ client, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, { FunctionName });

async function stream(event) {
  const answer = await client.send(new InvokeWithResponseStreamCommand({ FunctionName, Payload: JSON.stringify(event) }));
  assert.equal(answer.ExecutedVersion, "$LATEST");
  const chunks = [];
  let end;
  for await (const { PayloadChunk, InvokeComplete } of answer.EventStream) {
    if (PayloadChunk) chunks.push(PayloadChunk.Payload);
    if (InvokeComplete) end = InvokeComplete;
  }
  return [Buffer.concat(chunks).toString(), end];
}

let [body, end] = await stream({ mb: 3 });
assert.match(body, /^first,x{3145728},\d+$/);
assert.equal(end.ErrorCode, undefined);
[body, end] = await stream({ fail: "mid" });
assert.equal(body, "first,");
assert.equal(end.ErrorCode, "Unhandled");
assert.equal(JSON.parse(end.ErrorDetails).errorMessage, "mid");
console.log("ok");
