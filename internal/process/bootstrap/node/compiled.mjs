// Code of the function that was compiled when it was deployed.
//
// compile.mjs wrote it to one file: four bytes of length, so much of an index
// in JSON, then what V8 keeps of each script. The index says by path below the
// function's root where it is. It is for CommonJS modules: Node.js offers no
// way to give its loader compiled ES modules.
//
// Only files that are in the index are loaded in another way than without it,
// and only how their code comes about is another way. V8 refuses what another
// version of it has made, and compiles the source then.

import fs from 'node:fs';
import module from 'node:module';
import vm from 'node:vm';

const { closeSync, openSync, readFileSync, readSync } = fs;
const { Script } = vm;
const { allocUnsafeSlow } = Buffer;
const { parse } = JSON;
const { hasOwn } = Object;

export const WRAPPER = ['(function (exports, require, module, __filename, __dirname) { ', '\n});'];
const COLUMN = -WRAPPER[0].length; // so that errors say where in the file they were
const DIRECTORY = /\/[^/]*$/;

// DYNAMIC makes import() in a script that of its file.
const DYNAMIC = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;

// scriptOf compiles a CommonJS module.
export function scriptOf(filename, source, cachedData) {
  return new Script(WRAPPER[0] + source + WRAPPER[1], {
    filename, columnOffset: COLUMN, cachedData, importModuleDynamically: DYNAMIC,
  });
}

// supported reports whether this version of Node.js can use compiled code.
export const supported = DYNAMIC !== undefined;

// rehearse does what is done once.
export function rehearse() {
  if (!supported) return;
  // Node.js warns of DYNAMIC in the function's log otherwise, at its first use.
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    new Script("import('node:fs')", { importModuleDynamically: DYNAMIC }).runInThisContext();
  } finally {
    process.emitWarning = emitWarning;
  }
  rehearsed = true;
}

let rehearsed = false;

// refused reports whether the file was of no use, or not all of it.
export function refused() {
  return useless;
}

let useless = false;

// install has modules below root loaded with a file of compiled code.
export function install(file, root) {
  if (!supported) return;
  let compiled;
  try {
    compiled = new Compiled(file);
  } catch {
    useless = true;
    return;
  }
  if (!rehearsed) rehearse();
  const extensions = module._extensions;
  const compile = module.prototype._compile;
  const { wrap } = module;
  const otherwise = extensions['.js'];
  const below = fs.realpathSync(root) + '/';

  extensions['.js'] = (mod, filename) => {
    const name = filename.startsWith(below) ? filename.slice(below.length) : '';
    // Who changes how modules are compiled means the source, not what it was
    // compiled to.
    if (!compiled.has(name) || mod._compile !== compile || module.wrap !== wrap || process.sourceMapsEnabled) {
      return otherwise(mod, filename);
    }
    let script;
    try {
      script = scriptOf(filename, readFileSync(filename, 'utf8'), compiled.read(name));
    } catch {
      useless = true;
      return otherwise(mod, filename);
    }
    if (script.cachedDataRejected) useless = true;
    run(mod, filename, script);
  };
}

// run executes a module as Node.js does.
function run(mod, filename, script) {
  const require = function require(path) {
    return mod.require(path);
  };
  require.resolve = function resolve(request, options) {
    return module._resolveFilename(request, mod, false, options);
  };
  require.resolve.paths = function paths(request) {
    return module._resolveLookupPaths(request, mod);
  };
  require.main = process.mainModule;
  require.extensions = module._extensions;
  require.cache = module._cache;
  script.runInThisContext().call(mod.exports, mod.exports, require, mod, filename, filename.replace(DIRECTORY, ''));
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
