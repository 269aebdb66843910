// Code of the function that was compiled when it was deployed.
//
// compile.cjs wrote it to one file: four bytes of length, so much of an index
// in JSON, then what V8 keeps of each script. The index says by path below the
// function's root where it is. It is for CommonJS modules: Node.js offers no
// way to give its loader compiled ES modules.
//
// Only files that are in the index are loaded in another way than without it,
// and only how their code comes about is another way. V8 refuses what another
// version of it has made, and compiles the source then.

'use strict';

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const vm = require('node:vm');

const { closeSync, openSync, readFileSync, readSync } = fs;
const { Script } = vm;
const { allocUnsafeSlow } = Buffer;
const { parse } = JSON;
const { dirname } = path;
const { hasOwn } = Object;

// A script that comes out of a cache has lost what import() in it needs: it
// calls IMPORT in its place, which is as long.
const IMPORT = '$mp0rt';

const BEFORE = `(function (${IMPORT}) { return function (exports, require, module, __filename, __dirname) { `;
const BEHIND = '\n}; });';
const COLUMN = -BEFORE.length; // so that errors say where in the file they were

// scriptOf compiles a CommonJS module with import() at these places.
function scriptOf(filename, source, imports, cachedData) {
  let text = BEFORE;
  let at = 0;
  for (const place of imports) {
    text += source.slice(at, place) + IMPORT;
    at = place + IMPORT.length;
  }
  return new Script(text + source.slice(at) + BEHIND, { filename, columnOffset: COLUMN, cachedData });
}

// refused reports whether the file was of no use, or not all of it.
function refused() {
  return useless;
}

let useless = false;

// install has modules below root loaded with a file of compiled code.
function install(file, root) {
  let compiled;
  try {
    compiled = new Compiled(file);
  } catch {
    useless = true;
    return;
  }
  const extensions = Module._extensions;
  const compile = Module.prototype._compile;
  const { wrap } = Module;
  const otherwise = extensions['.js'];
  const below = fs.realpathSync(root) + '/';

  extensions['.js'] = (mod, filename) => {
    const name = filename.startsWith(below) ? filename.slice(below.length) : '';
    // Who changes how modules are compiled means the source, not what it was
    // compiled to.
    if (!compiled.has(name) || mod._compile !== compile || Module.wrap !== wrap || process.sourceMapsEnabled) {
      return otherwise(mod, filename);
    }
    let script;
    try {
      script = scriptOf(filename, readFileSync(filename, 'utf8'), compiled.imports(name), compiled.read(name));
    } catch {
      useless = true;
      return otherwise(mod, filename);
    }
    if (script.cachedDataRejected) useless = true;
    run(mod, filename, script, compile);
  };
}

// run executes a module as Node.js does.
function run(mod, filename, script, compile) {
  const require = function require(path) {
    return mod.require(path);
  };
  require.resolve = function resolve(request, options) {
    return Module._resolveFilename(request, mod, false, options);
  };
  require.resolve.paths = function paths(request) {
    return Module._resolveLookupPaths(request, mod);
  };
  require.main = process.mainModule;
  require.extensions = Module._extensions;
  require.cache = Module._cache;
  const main = script.runInThisContext()(importer(filename, compile));
  main.call(mod.exports, mod.exports, require, mod, filename, dirname(filename));
}

// importer returns what stands for import() in a file.
function importer(filename, compile) {
  let load;
  return (specifier, options) => {
    if (load === undefined) {
      const mod = new Module(filename);
      mod.filename = filename;
      compile.call(mod, 'module.exports = (specifier, options) => import(specifier, options)', filename);
      load = mod.exports;
    }
    return load(specifier, options);
  };
}

// Compiled is what is in a file of compiled code.
class Compiled {
  #file;
  #index;
  #start;

  constructor(file) {
    const fd = openSync(file);
    try {
      const head = allocUnsafeSlow(1 << 16);
      const have = readSync(fd, head, 0, head.length, 0);
      const size = head.readUInt32LE(0);
      this.#start = 4 + size;
      const text = this.#start <= have ? head.toString('utf8', 4, this.#start) : read(fd, size, 4).toString();
      this.#index = parse(text);
    } finally {
      closeSync(fd);
    }
    this.#file = file;
  }

  has(name) {
    return hasOwn(this.#index, name);
  }

  imports(name) {
    return this.#index[name][2];
  }

  // read opens the file each time: a function may close what it has not opened.
  read(name) {
    const [offset, size] = this.#index[name];
    const fd = openSync(this.#file);
    try {
      return read(fd, size, this.#start + offset);
    } finally {
      closeSync(fd);
    }
  }
}

function read(fd, size, offset) {
  const data = allocUnsafeSlow(size);
  for (let at = 0; at < size;) {
    const n = readSync(fd, data, at, size - at, offset + at);
    if (n === 0) throw new Error('compiled code is cut off');
    at += n;
  }
  return data;
}

module.exports = { IMPORT, install, refused, scriptOf };
