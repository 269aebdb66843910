// The latest invocations of a function, and why each took so long to start.

import { get } from './api.js';
import { h, keep, setText } from './dom.js';
import { duration, text, when } from './format.js';

const labels = ['Request', 'Time', 'Duration', 'Start', 'Memory', 'Outcome'];

// sources are where the list may come from.
const sources = [
  { label: 'All', path: (name) => `/_millicent/invocations?function=${name}&limit=15`, of: (a) => a.invocations, none: 'No invocation is in the log. What runs from now on shows up here.' },
  { label: 'Cold starts', path: (name) => `/_millicent/starts?function=${name}&limit=15`, of: (a) => a.starts, none: 'Nothing was started since the server was.' },
];

export function invocations(name) {
  const body = h('tbody', { role: 'rowgroup' });
  const table = h('table', { class: 'table', role: 'table' },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, labels.map((label, i) => h('th', { scope: 'col', role: 'columnheader', class: i === 1 || i === 3 || i === 5 ? 'text' : null }, label)))),
    body);
  const none = h('p', { class: 'notice' });
  const choice = h('div', { class: 'choice', role: 'group', 'aria-label': 'Which invocations' },
    sources.map((s, i) => h('button', { type: 'button', 'aria-pressed': String(i === 0), onclick: () => choose(s) }, s.label)));
  let source = sources[0];
  const section = h('section', { class: 'sheet', 'aria-labelledby': 'recent' },
    h('header', {}, h('h2', { id: 'recent' }, 'Recent invocations'), h('span', { class: 'muted small' }, 'Open one to see why it started as it did'), choice),
    table, none);

  const open = new Map(); // what is shown below a row, by request id

  async function toggle(e) {
    if (!open.delete(e.requestId)) {
      const cell = h('td', { role: 'cell', colspan: labels.length }, h('p', { class: 'muted' }, 'Reading …'));
      open.set(e.requestId, cell);
      show();
      try {
        cell.replaceChildren(explanation(await get(`/_millicent/invocations/${e.requestId}?function=${name}`)));
      } catch (error) {
        cell.replaceChildren(h('p', { class: 'bad' }, error.message));
      }
    }
    show();
  }

  let list = [];
  function show() {
    const rows = list.flatMap((e) => (open.has(e.requestId) ? [{ e }, { e, why: open.get(e.requestId) }] : [{ e }]));
    keep(body, rows, (r) => (r.why ? `why ${r.e.requestId}` : r.e.requestId),
      (r) => (r.why ? h('tr', { role: 'row', class: 'why' }, r.why) : makeRow(r.e, toggle)),
      (tr, r) => { if (!r.why) tr.querySelector('.row').setAttribute('aria-expanded', String(open.has(r.e.requestId))); });
  }

  async function refresh(signal) {
    const asked = source;
    const answer = await get(asked.path(name), signal);
    if (asked !== source) return;
    const fresh = source.of(answer);
    const ids = new Set(fresh.map((e) => e.requestId));
    list = [...fresh, ...list.filter((e) => open.has(e.requestId) && !ids.has(e.requestId))]; // what is open stays
    table.hidden = list.length === 0;
    none.hidden = list.length > 0;
    setText(none, source.none);
    show();
  }

  function choose(to) {
    source = to;
    open.clear();
    list = [];
    [...choice.children].forEach((button, i) => button.setAttribute('aria-pressed', String(sources[i] === to)));
    refresh().catch(() => {}); // the next one says what is wrong
  }

  return { section, refresh };
}

function makeRow(e, toggle) {
  const button = h('button', { class: 'row', type: 'button', 'aria-expanded': 'false', title: e.requestId, onclick: () => toggle(e) }, e.requestId.slice(0, 8));
  const failed = e.report.status !== 'success';
  const cells = [
    when(new Date(e.time)),
    text(duration(e.report.durationMs)),
    start(e),
    `${e.report.maxMemoryUsedMB} of ${e.report.memorySizeMB} MB`,
    h('span', { class: failed ? 'mark bad' : 'mark' }, e.report.errorType || e.report.status || 'ended'),
  ];
  return h('tr', { role: 'row' }, h('th', { scope: 'row', role: 'rowheader' }, button),
    cells.map((c, i) => h('td', { role: 'cell', 'data-label': labels[i + 1], class: i === 0 || i === 2 || i === 4 ? 'text' : null }, c)));
}

// start says in a word how an invocation started.
function start({ delay }) {
  const record = delay?.start;
  if (record && record.from !== 'environment') return h('span', { class: 'mark cold' }, `cold, ${micros(record.totalUs)}`);
  if (record) return h('span', { class: 'mark' }, `restarted, ${micros(record.totalUs)}`);
  if (delay?.wait?.timeUs) return h('span', { class: 'mark' }, `waited ${micros(delay.wait.timeUs)}`);
  return 'warm';
}

const micros = (us) => text(us ? duration(us / 1000) : ['0', 'µs']);

// explanation shows the server's words on an invocation, and the parts of its
// start to scale.
function explanation(e) {
  const parts = [h('p', { class: 'says' }, e.verdict.join(' '))];
  const s = e.delay?.start;
  if (s) {
    const phases = [
      ['In the queue', e.delay.wait?.beforeUs ?? 0], ['Sandbox', s.acquireUs], ['Code and limits', s.attachUs],
      ['Runtime', s.bootUs], ['Your Init', s.initUs], ['First answer', s.firstByteUs ?? 0],
    ];
    const most = Math.max(1, ...phases.map(([, us]) => us));
    parts.push(h('dl', { class: 'phases' }, phases.flatMap(([label, us]) => {
      const bar = h('i');
      bar.style.width = `${100 * us / most}%`;
      return [h('dt', {}, label), h('dd', {}, micros(us)), h('dd', { class: 'bar', 'aria-hidden': 'true' }, bar)];
    })));
  }
  if (e.advice) parts.push(h('h3', {}, 'What would help'), h('ul', {}, e.advice.map((line) => h('li', {}, line))));
  const tail = h('p', { class: 'small' });
  setText(tail, `Request ${e.requestId}, version ${e.version}${e.environment ? `, environment ${e.environment}` : ''}`);
  parts.push(tail);
  return h('div', { class: 'stack' }, parts);
}
