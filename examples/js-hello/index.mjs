// A function for the built-in JavaScript: each request finds all as this module
// left it, whatever others did.

const started = new Date().toISOString(); // when the image was made

export const handler = async (event, context) => {
  const name = new URLSearchParams(event.rawQueryString ?? '').get('name') ?? event.name ?? 'world';
  console.log('greeting', { name });
  await new Promise((resolve) => setTimeout(resolve, 1)); // waits, and takes no processor meanwhile
  return { message: `Hello ${name}`, id: crypto.randomUUID(), started, left: context.getRemainingTimeInMillis() };
};
