// The Node.js side of the Runtime API: loads a handler and serves invocations.
//
//   bootstrap.cjs   starts it all; the modules reach it as one script, see below
//   main.cjs        the life of the process
//   invocation.cjs  one invocation: how a handler's call comes to an outcome
//   stream.cjs      the same for handlers that stream; loaded when needed
//   awslambda.cjs   the global object: streaming handlers and InvokeStore
//   link.cjs        the platform by pipes of its own
//   api.cjs         the Runtime API over one keep-alive connection, where there is no link
//   compiled.cjs    code of the function that was compiled when it was deployed
//   handler.cjs     from "dir/module.function" to the function
//   context.cjs     the handler's last argument
//   errors.cjs      failures as documents and as log entries
//   output.cjs      console and the log channel
//   warm.cjs        what a stem does beforehand
//
// The modules, main.cjs first, are put together into one script, program.js,
// which is loaded with what V8 keeps of it: a third of the start was finding,
// reading and compiling them. Beside require they have HERE, the folder that
// they are in, and importModule, which is import(): as in all code out of a
// cache, it has lost which module asks.
//
// Runtimes up to nodejs22.x and those from nodejs24.x on differ in what they
// promise to handlers. The runtime that was asked for decides, not the version
// of the interpreter. What is needed later is held by reference, since a
// function may replace every global.

const { install } = require('./awslambda.cjs');
const compiled = require('./compiled.cjs');
const { Settings } = require('./context.cjs');
const { errorType, toDocument, UnhandledPromiseRejection } = require('./errors.cjs');
const { load } = require('./handler.cjs');
const { Invocation, drained } = require('./invocation.cjs');
const { Link } = require('./link.cjs');
const { Output } = require('./output.cjs');

const exit = process.exit.bind(process);

let link; // to the platform, null if there is none
let settings;
let output;
let client;
let store;
let running = null; // the invocation whose outcome is not decided yet
let loading = true;
let exitCode; // of a process that is to end once its last post is through

main();

// connect returns the link to the platform, null if there is none. A stem has
// its assignment then, and is no different from a process that was started
// with it.
async function connect() {
  const { _MILLICENT_LINK_FD: fd = '', _MILLICENT_STEM: stem } = process.env;
  delete process.env._MILLICENT_LINK_FD;
  delete process.env._MILLICENT_STEM;
  if (!/^\d+$/.test(fd)) return null;
  const link = new Link(+fd);
  if (stem) {
    const { warm } = require('./warm.cjs');
    become(await link.rehearsal());
    await warm();
    become(await link.assignment());
  }
  return link;
}

function become({ environ, dir }) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const variable of environ) {
    const at = variable.indexOf('=');
    process.env[variable.slice(0, at)] = variable.slice(at + 1);
  }
  process.chdir(dir);
}

async function main() {
  link = await connect();
  prepare(process.env);
  let handler;
  try {
    handler = await load(settings);
  } catch (error) {
    failInit(settings.modern ? 'Init Error' : 'Uncaught Exception', error, settings.modern ? 1 : 129);
    return;
  }
  loading = false;
  if (compiled.refused()) link.refuse();
  try {
    for (;;) await serve(handler, await client.next());
  } catch (error) { // the Runtime API is gone
    output.error('Runtime API', error);
    exit(1);
  }
}

// prepare makes the process what functions expect around them.
function prepare(env) {
  const { _MILLICENT_COMPILED: code } = env;
  delete env._MILLICENT_COMPILED;
  settings = new Settings(env);
  output = new Output(env);
  client = link ?? new (require('./api.cjs').Client)(settings.api);
  store = install(settings);
  output.patch(console);
  if (code && link) compiled.install(code, settings.taskRoot);

  // From nodejs24.x on, Node's own rules apply to what nobody catches.
  if (!settings.modern) {
    process.on('uncaughtException', (error) => fatal('Uncaught Exception', error, 129));
    process.on('unhandledRejection', (reason, promise) =>
      fatal('Unhandled Promise Rejection', new UnhandledPromiseRejection(reason, promise), 128));
  }
  process.on('beforeExit', () => {
    if (loading) exit(13); // the module awaits what will never come
    drained(running);
  });
}

async function serve(handler, next) {
  const invocation = new Invocation(settings, client, output, store, next);
  output.begin(invocation.id, invocation.tenant);
  running = invocation;
  const code = await invocation.run(handler);
  running = null;
  if (exitCode ?? code) exit(exitCode ?? code);
}

// fatal ends the process because of an error that nobody caught. A running
// invocation fails with it; one whose outcome is decided keeps that outcome.
function fatal(what, error, code) {
  if (loading) {
    failInit(what, error, code);
    return;
  }
  output.error(what, error);
  if (running === null) exit(code);
  exitCode = code;
  running.last = true;
  running.fail(error, { logged: true });
}

let failing = false;

function failInit(what, error, code) {
  if (failing) return;
  failing = true;
  output.error(what, error);
  const document = toDocument(error);
  client.failInit(errorType(document), JSON.stringify(document)).finally(() => exit(code));
}
