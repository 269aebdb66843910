// The hello function as a worker.
let calls = 0;

export default {
  async fetch(request) {
    JSON.parse((await request.text()) || '{}');
    return new Response(JSON.stringify({ n: ++calls }), { headers: { 'Content-Type': 'application/json' } });
  },
};
