// A function's life through the AWS SDK for JavaScript: run with a zip's path.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  LambdaClient, CreateFunctionCommand, InvokeCommand, UpdateFunctionCodeCommand, PublishVersionCommand,
  CreateAliasCommand, DeleteFunctionCommand, GetFunctionCommand, ResourceNotFoundException,
  waitUntilFunctionActiveV2, waitUntilFunctionUpdatedV2, paginateListFunctions,
} from "@aws-sdk/client-lambda";

const client = new LambdaClient({ maxAttempts: 1 });
const ZipFile = readFileSync(process.argv[2]);
const FunctionName = "js";
const wait = { client, maxWaitTime: 60, minDelay: 1, maxDelay: 1 };
const text = (payload) => Buffer.from(payload).toString();

const created = await client.send(new CreateFunctionCommand({
  FunctionName, Runtime: "nodejs20.x", Handler: "index.handler",
  Role: "arn:aws:iam::000000000000:role/r", Code: { ZipFile },
}));
assert.equal(created.State, "Pending");
await waitUntilFunctionActiveV2(wait, { FunctionName });
let answer = await client.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify({ n: 1 }) }));
assert.equal(text(answer.Payload), '{"version":"$LATEST","event":{"n":1}}');
assert.equal(answer.ExecutedVersion, "$LATEST");
await client.send(new UpdateFunctionCodeCommand({ FunctionName, ZipFile }));
await waitUntilFunctionUpdatedV2(wait, { FunctionName });
const version = await client.send(new PublishVersionCommand({ FunctionName }));
assert.equal(version.Version, "1");
await waitUntilFunctionActiveV2(wait, { FunctionName, Qualifier: "1" });
await client.send(new CreateAliasCommand({ FunctionName, Name: "live", FunctionVersion: "1" }));
answer = await client.send(new InvokeCommand({ FunctionName, Qualifier: "live", Payload: "{}" }));
assert.equal(text(answer.Payload), '{"version":"1","event":{}}');
const names = [];
for await (const page of paginateListFunctions({ client, pageSize: 1 }, {})) names.push(...page.Functions.map((f) => f.FunctionName));
assert.deepEqual(names, [FunctionName]);
await client.send(new DeleteFunctionCommand({ FunctionName }));
await assert.rejects(client.send(new GetFunctionCommand({ FunctionName })), ResourceNotFoundException);
console.log("ok");
