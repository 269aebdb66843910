// Starts the program: the modules of this folder in one script. V8 does not
// compile it where the interpreter's own cache of it is there, see keep.cjs.

'use strict';

const fs = require('node:fs');
const vm = require('node:vm');

const file = `${__dirname}/program.js`;

let cachedData;
try {
  cachedData = fs.readFileSync(`${file}.${process.version}`);
} catch {
  // Nobody has made one.
}
// What V8 keeps bears the name that it was made with: that in a sandbox.
const filename = '/var/runtime/node/program.js';
const script = new vm.Script(fs.readFileSync(file, 'utf8'), { filename, cachedData });

// As if this were no module: functions find themselves and Node.js only.
delete require.cache[__filename];
delete process.mainModule;

script.runInThisContext()(require, __dirname, (specifier) => import(specifier));
