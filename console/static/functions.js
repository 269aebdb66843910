// The first page: all functions, and how they do.

import { get } from './api.js';
import { hourlyCosts } from './costs.js';
import { drawTrend, h, keep, setText, tiles, trend } from './dom.js';
import { amount, count, duration, memory, money, perSecond, share, text, whole } from './format.js';

const rate = (f) => f.now.invocations / f.now.seconds;
const failing = (f) => (f.now.invocations ? f.now.errors / f.now.invocations : -1);

// columns after the name; sort is what they are sorted by, the greatest first.
const columns = [
  { label: 'Last 10 minutes', trend: true },
  { label: 'Rate', sort: rate, show: (f) => text(perSecond(rate(f))) },
  { label: 'Errors', sort: failing, show: (f) => text(share(f.now.errors, f.now.invocations)), bad: (f) => f.now.errors > 0 },
  { label: 'p50', sort: (f) => f.now.p50Ms, show: (f) => text(duration(f.now.p50Ms)) },
  { label: 'p99', sort: (f) => f.now.p99Ms, show: (f) => text(duration(f.now.p99Ms)) },
  { label: 'Cold starts', sort: (f) => f.now.coldStarts, show: (f) => whole(f.now.coldStarts) },
  { label: 'Cost per hour', sort: (f) => f.cost ?? 0, show: (f) => (f.cost === null ? '–' : amount(f.cost, f.currency)) },
];

export function openFunctions(root) {
  let functions = [];
  let sorted = null; // the column that is sorted by; by name where there is none
  const lead = h('p', {}, ' ');
  const sums = tiles({ rate: 'Invocations', errors: 'Errors', refused: 'Refused', cold: 'Cold starts', cost: 'Cost per hour' });
  const costs = hourlyCosts();
  const body = h('tbody', { role: 'rowgroup' });
  const headers = columns.map((column) => h('th', { scope: 'col', role: 'columnheader', class: column.trend ? 'text' : null },
    column.sort ? h('button', { type: 'button', onclick: () => sortBy(sorted === column ? null : column) }, column.label) : column.label));
  const nameHeader = h('th', { scope: 'col', role: 'columnheader', 'aria-sort': 'ascending' },
    h('button', { type: 'button', onclick: () => sortBy(null) }, 'Function'));
  const table = h('section', { class: 'sheet', 'aria-label': 'All functions' },
    h('table', { class: 'table', role: 'table' },
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, nameHeader, headers)), body));
  const content = h('div', { class: 'stack', hidden: true }, sums.list, table);
  const none = emptyState();
  root.append(h('div', { class: 'head' }, h('div', {}, h('h1', {}, 'Functions'), lead)), content, none);

  function sortBy(column) {
    sorted = column;
    nameHeader.toggleAttribute('aria-sort', !column);
    if (!column) nameHeader.setAttribute('aria-sort', 'ascending');
    headers.forEach((header, i) => {
      if (columns[i] === column) header.setAttribute('aria-sort', 'descending');
      else header.removeAttribute('aria-sort');
    });
    showRows();
  }

  function showRows() {
    const rows = [...functions];
    if (sorted) rows.sort((a, b) => sorted.sort(b) - sorted.sort(a) || a.name.localeCompare(b.name));
    keep(body, rows, (f) => f.name, makeRow, updateRow);
  }

  return {
    async refresh(signal) {
      const [answer, cost] = await Promise.all([get('/_millicent/functions', signal), costs(signal)]);
      functions = answer.functions.map((f) => ({ ...f, cost: cost ? cost.of(f.name) : null, currency: cost?.currency }));
      content.hidden = functions.length === 0;
      none.hidden = functions.length > 0;
      setText(lead, functions.length ? `${count(functions.length, 'function', 'functions')}, how they did in the last minute, and cost at the pace of the last ten` : 'Nothing is deployed yet');
      const sum = (of) => functions.reduce((n, f) => n + of(f), 0);
      const invocations = sum((f) => f.now.invocations);
      const errors = sum((f) => f.now.errors);
      const refused = sum((f) => f.now.refused);
      sums.set('rate', perSecond(sum(rate)));
      sums.set('errors', share(errors, invocations), errors > 0);
      sums.set('refused', [whole(refused)], refused > 0);
      sums.set('cold', [whole(sum((f) => f.now.coldStarts))]);
      sums.set('cost', cost ? money(cost.total, cost.currency) : ['–']);
      showRows();
    },
  };
}

function makeRow(f) {
  return h('tr', { role: 'row' },
    h('th', { scope: 'row', role: 'rowheader', class: 'name' }, h('a', { href: `/_console/functions/${f.name}` }, f.name), h('span')),
    columns.map((column) => h('td', { role: 'cell', class: column.trend ? 'trend' : null, 'data-label': column.trend ? null : column.label },
      column.trend ? trend([]) : h('span'))));
}

function updateRow(row, f) {
  setText(row.querySelector('.name span'), `${f.runtime} · ${memory(f.memoryMB)}${f.state === 'Active' ? '' : ` · ${f.state}`}`);
  columns.forEach((column, i) => {
    const cell = row.children[i + 1];
    if (column.trend) drawTrend(cell.firstChild, f.trend);
    else setText(cell.firstChild, column.show(f));
    cell.classList.toggle('bad', column.bad?.(f) ?? false);
  });
}

// emptyState says what to do first.
function emptyState() {
  return h('section', { class: 'sheet start', hidden: true },
    h('h2', {}, 'Deploy your first function'),
    h('p', { class: 'muted' }, 'A folder with code goes in, an endpoint comes out. Two commands in a terminal:'),
    h('pre', {}, h('code', {}, 'millicent deploy ./hello\nmillicent invoke hello --log')),
    h('p', { class: 'muted small' }, 'Any AWS Lambda client works as well, with ', h('code', {}, `AWS_ENDPOINT_URL=${location.origin}`), '. What you deploy shows up here by itself.'));
}
