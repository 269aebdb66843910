// Greets whoever the event or the request names.
export const handler = async (event, context) => {
  const http = event.requestContext?.http;
  const name = (http ? event.queryStringParameters : event)?.name ?? 'world';
  const answer = {
    message: `Hello, ${name}!`,
    runtime: `Node.js ${process.versions.node}`,
    request: context.awsRequestId,
    remainingMs: context.getRemainingTimeInMillis(),
  };
  console.log('greeting', name);
  if (!http) return answer;
  return {
    statusCode: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...answer, path: http.path }),
  };
};
