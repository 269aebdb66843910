// From "dir/module.function" to the function.

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const url = require('node:url');

const { streaming } = require('./awslambda.cjs');
const {
  CallbackHandlerDeprecated, HandlerNotFound, ImportModuleError, MalformedHandlerName, UserCodeSyntaxError,
} = require('./errors.cjs');

// What modules of the function are required by, under the name that it has on
// Lambda: an error that one is missing tells it.
const ask = Module.createRequire(path.join(path.dirname(HERE), 'index.mjs'));

// load returns the handler. It throws the protocol's errors for what is not
// there, and whatever else the module throws.
async function load(settings) {
  const name = settings.handler;
  if (name.includes('..')) {
    throw new MalformedHandlerName(
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(name);
  const match = /^([^.]*)\.(.*)$/.exec(base);
  if (match === null) throw new MalformedHandlerName('Bad handler');
  const dir = name.slice(0, name.length - base.length);
  const app = await loadModule(settings.taskRoot, dir, match[1]);

  const handler = resolve(app, match[2]) ?? resolve(app.default, match[2]);
  if (!handler) throw new HandlerNotFound(`${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new HandlerNotFound(`${name} is not a function`);
  if (settings.modern && handler.length >= 3 && streaming(handler) === null) {
    throw new CallbackHandlerDeprecated(
      'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. ' +
      'You need to modify this function to use a supported handler signature to use Node.js 24 or later. ' +
      'For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.');
  }
  return handler;
}

function resolve(object, names) {
  return names.split('.').reduce((value, name) => value?.[name], object) || undefined;
}

async function loadModule(root, dir, name) {
  try {
    return await find(path.resolve(root, dir, name), [root, path.join(root, dir)], name);
  } catch (error) {
    if (error instanceof SyntaxError) throw new UserCodeSyntaxError(String(error));
    if (error?.code === 'MODULE_NOT_FOUND') throw new ImportModuleError(String(error));
    throw error;
  }
}

// find loads the first that exists: the name as it stands, with .js, .mjs and
// .cjs, and last what require finds from the task's root, such as a package.
async function find(file, paths, name) {
  if (isFile(file)) return ask(file);
  for (const extension of ['.js', '.mjs', '.cjs']) {
    const candidate = file + extension;
    if (!isFile(candidate)) continue;
    const esm = extension === '.mjs' || (extension === '.js' && isModule(path.dirname(candidate)));
    return esm ? importModule(url.pathToFileURL(candidate).href) : requireOrImport(candidate);
  }
  if (fs.existsSync(file)) return requireOrImport(ask.resolve(file)); // a folder with an index or a manifest
  return requireOrImport(ask.resolve(name, { paths }));
}

function requireOrImport(file) {
  try {
    return ask(file);
  } catch (error) {
    if (error?.code !== 'ERR_REQUIRE_ESM' && error?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    return importModule(url.pathToFileURL(file).href);
  }
}

function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

// isModule reports whether the nearest package.json makes .js files ES modules.
function isModule(dir) {
  for (;;) {
    const manifest = path.join(dir, 'package.json');
    if (isFile(manifest)) {
      try {
        return JSON.parse(fs.readFileSync(manifest, 'utf8')).type === 'module';
      } catch {
        return false; // Node complains about it in its own words
      }
    }
    const parent = path.dirname(dir);
    if (parent === dir || path.basename(dir) === 'node_modules') return false;
    dir = parent;
  }
}

module.exports = { load };
