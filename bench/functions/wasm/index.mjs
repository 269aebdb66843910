// Greets as the examples in other languages do.
export const handler = async (event) => ({
  message: `Hello, ${event.name ?? event.queryStringParameters?.name ?? 'world'}!`,
  runtime: 'JavaScript',
});
