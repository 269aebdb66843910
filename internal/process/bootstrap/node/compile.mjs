// Compiles the CommonJS modules of a package, without running any of them.
//
//   compile.mjs ROOT MOST
//
// writes what compiled.mjs reads to standard output, with at most about MOST
// bytes of code, and nothing if there is nothing to be compiled. Left out are
// ES modules and what doesn't compile.

import fs from 'node:fs';
import path from 'node:path';
import v8 from 'node:v8';
import vm from 'node:vm';

import { scriptOf, supported } from './compiled.mjs';

const LEAST = 1 << 10; // bytes of a file that is worth it
const LARGEST = 32 << 20;
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

// compile returns what V8 keeps of a module with all of its functions; null
// if it does not compile.
function compile(name) {
  const { size } = fs.statSync(name);
  if (size < LEAST || size > LARGEST) return null;
  const source = fs.readFileSync(name, 'utf8');
  try {
    vm.compileFunction(source, PARAMETERS); // else what closes the wrapper might pass
    v8.setFlagsFromString('--no-lazy');
    const script = scriptOf(name, source);
    v8.setFlagsFromString('--lazy'); // what is kept tells the flags
    return script.createCachedData();
  } catch {
    return null;
  }
}

function main(root, most) {
  const index = {};
  const parts = [];
  let size = 0;
  for (const name of supported ? sources(root) : []) {
    const data = compile(name);
    if (data === null) continue;
    if (size + data.length > most) break;
    Object.defineProperty(index, path.relative(root, name), { value: [size, data.length], enumerable: true });
    parts.push(data);
    size += data.length;
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
