// The hello function as a plain HTTP server, for watchdogs that forward to one.
let calls = 0;
require('node:http').createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    JSON.parse(Buffer.concat(parts).toString() || '{}');
    const body = JSON.stringify({ n: ++calls });
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length });
    response.end(body);
  });
}).listen(+process.env.PORT, '127.0.0.1');
