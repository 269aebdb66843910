// All that a JavaScript function can see of where it runs.

const globals = Object.getOwnPropertyNames(globalThis).sort();

import fs from 'node:fs';
import module from 'node:module';

const STATUS = ['Name', 'Umask', 'PPid', 'Groups', 'SigBlk', 'SigIgn', 'SigCgt',
  'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Seccomp_filters'];

function read(path) {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (error) {
    return String(error);
  }
}

function status() {
  const lines = read('/proc/self/status').split('\n');
  return STATUS.map((name) => lines.find((line) => line.startsWith(name + ':')) ?? name);
}

function descriptors() {
  const found = [];
  for (const fd of fs.readdirSync('/proc/self/fd')) {
    try {
      found.push(`${fd} ${fs.readlinkSync('/proc/self/fd/' + fd).split(':[')[0]}`);
    } catch {
      // that of the listing itself
    }
  }
  return found.sort();
}

export function world() {
  const require = module.createRequire('/var/task/app.mjs');
  return {
    environment: Object.entries(process.env).map(([name, value]) => `${name}=${value}`).sort(),
    arguments: [...process.argv, ...process.execArgv, process.execPath, process.title, read('/proc/self/cmdline')],
    globals,
    modules: [...Object.keys(require.cache), ...require.resolve.paths('x'), ...module.globalPaths ?? []],
    process: [process.eventNames().map(String).sort().join(' '), process.version, String(process.exitCode), String(process.umask())],
    time: [Intl.DateTimeFormat().resolvedOptions().timeZone, Intl.DateTimeFormat().resolvedOptions().locale, String(new Date(0))],
    status: status(),
    limits: [read('/proc/self/limits')],
    cgroups: [read('/proc/self/cgroup')],
    oom: [read('/proc/self/oom_score_adj')],
    directory: [process.cwd()],
    descriptors: descriptors(),
    mounts: read('/proc/self/mountinfo').trim().split('\n').map((line) => {
      const f = line.split(' ');
      return [f[4], f[5], line.split(' - ')[1].split(' ')[0]].join(' ');
    }).sort(),
    processes: fs.readdirSync('/proc').filter((p) => /^\d+$/.test(p)).map((p) => read(`/proc/${p}/comm`)).sort(),
  };
}
