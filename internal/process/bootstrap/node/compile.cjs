// Compiles the CommonJS modules of a package, without running any of them.
//
//   compile.cjs ROOT MOST
//
// writes what compiled.cjs reads to standard output, with at most about MOST
// bytes of code, and nothing if there is nothing to be compiled. Left out are
// ES modules and what doesn't compile.

'use strict';

const fs = require('node:fs');
const inspector = require('node:inspector');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const vm = require('node:vm');

const { IMPORT, scriptOf } = require('./compiled.cjs');

const LEAST = 1 << 10; // bytes of a file that is worth it
const LARGEST = 32 << 20;
const BATCH = 4 << 20; // bytes of source
const MOST_IMPORTS = 200; // each takes a look at the whole file
const LOOKS_LIKE_IMPORT = /\bimport(?=\s*(?:\(|\/[*/]))/g;
const MAKES_PROGRAMS = /\b(?:eval|Function)\s*\(/;
const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];

// sources lists the files below a folder that may be CommonJS modules, the
// upper ones first.
function* sources(root) {
  const folders = [{ folder: root, esm: false }];
  for (const { folder, esm } of folders) {
    const type = manifest(path.join(folder, 'package.json'));
    const scope = { esm: type ?? (path.basename(folder) === 'node_modules' ? false : esm) };
    for (const entry of fs.readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = path.join(folder, entry.name);
      if (entry.isDirectory()) folders.push({ folder: name, ...scope });
      else if (entry.isFile() && (name.endsWith('.cjs') || (name.endsWith('.js') && !scope.esm))) yield name;
    }
  }
}

// manifest tells whether a package.json makes ES modules of .js files;
// undefined where there is none.
function manifest(file) {
  let text;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text)?.type === 'module';
  } catch {
    return true; // Node.js complains about it in its own words
  }
}

// parse returns a module as a script, and where import() is in it; null for
// what is not to be compiled.
function parse(name) {
  const { size } = fs.statSync(name);
  if (size < LEAST || size > LARGEST) return null;
  const source = fs.readFileSync(name, 'utf8');
  if (!compiles(source)) return null; // what closes the wrapper might pass otherwise
  const imports = importsIn(source);
  if (imports === null) return null;
  const script = scriptOf(name, source, imports);
  script.runInThisContext(); // gives a function, and does not call it
  return { name, size, script, imports };
}

// batches groups the modules of a package: all of a batch are in memory at once.
function* batches(root) {
  let batch = [];
  let size = 0;
  for (const name of sources(root)) {
    const module = parse(name);
    if (module === null) continue;
    batch.push(module);
    size += module.size;
    if (size < BATCH) continue;
    yield batch;
    batch = [];
    size = 0;
  }
  yield batch;
}

// compileAll compiles every function of the scripts, which V8 puts off until
// they are called. A debugger that asks where it could stop makes it do so,
// and calls none; V8's flag for it (--no-lazy) loses the names that functions
// have in stack traces.
function compileAll(batch) {
  const session = new inspector.Session();
  session.connect();
  const ids = new Map();
  session.on('Debugger.scriptParsed', ({ params }) => ids.set(params.url, params.scriptId));
  session.post('Debugger.enable');
  for (const { name } of batch) {
    const scriptId = ids.get(pathToFileURL(name).href) ?? ids.get(name);
    if (scriptId === undefined) continue;
    session.post('Debugger.getPossibleBreakpoints', { start: { scriptId, lineNumber: 0, columnNumber: 0 } });
  }
  session.post('Debugger.disable');
  session.disconnect();
}

function compiles(source) {
  try {
    vm.compileFunction(source, PARAMETERS);
    return true;
  } catch {
    return false;
  }
}

// importsIn lists the places of import() in a module; null where that can't
// be told. V8 itself tells them from what only looks so: "export" may stand in
// a text, and for a name of a property, but is no function.
function importsIn(source) {
  const places = [...source.matchAll(LOOKS_LIKE_IMPORT)].map((match) => match.index);
  if (places.length === 0) return [];
  if (places.length > MOST_IMPORTS || source.includes(IMPORT)) return null;
  const imports = places.filter((at) => !compiles(source.slice(0, at) + 'export' + source.slice(at + 'import'.length)));
  // Text that is made a program would miss import(), too.
  return imports.length < places.length && MAKES_PROGRAMS.test(source) ? null : imports;
}

function main(root, most) {
  const index = {};
  const parts = [];
  let size = 0;
  for (const batch of batches(root)) {
    compileAll(batch);
    for (const { name, script, imports } of batch) {
      const data = script.createCachedData();
      if (size + data.length > most) continue;
      Object.defineProperty(index, path.relative(root, name), { value: [size, data.length, imports], enumerable: true });
      parts.push(data);
      size += data.length;
    }
  }
  if (parts.length === 0) return;
  const head = Buffer.from(JSON.stringify(index));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  for (const part of [length, head, ...parts]) {
    for (let at = 0; at < part.length;) at += fs.writeSync(1, part, at);
  }
}

main(process.argv[2], Number(process.argv[3]));
