// Keeps what V8 makes of the program, for bootstrap.cjs run by the same
// interpreter. Nothing of the program is run for that.

'use strict';

const fs = require('node:fs');
const inspector = require('node:inspector');
const vm = require('node:vm');

const file = `${__dirname}/program.js`;
const filename = '/var/runtime/node/program.js'; // as in bootstrap.cjs
const script = new vm.Script(fs.readFileSync(file, 'utf8'), { filename });
script.runInThisContext(); // gives a function, and does not call it

// A debugger that asks where it could stop has V8 compile every function.
const session = new inspector.Session();
session.connect();
session.on('Debugger.scriptParsed', ({ params }) => {
  if (!params.url.endsWith(filename)) return;
  session.post('Debugger.getPossibleBreakpoints', { start: { scriptId: params.scriptId, lineNumber: 0, columnNumber: 0 } });
});
session.post('Debugger.enable');
session.disconnect();

const kept = `${file}.${process.version}`;
fs.writeFileSync(`${kept}.new`, script.createCachedData());
fs.renameSync(`${kept}.new`, kept); // another start may look at this moment
