// What functions cost, by the sums of the ledger: at list prices, as receipts
// say. Amounts come as decimal texts and are added up here for the eye only;
// the invoice has them exactly.

import { Refused, get } from './api.js';
import { h, keep, setText } from './dom.js';
import { amount, figure, whole } from './format.js';

const minute = 60_000;
const fresh = 10_000; // milliseconds for which an answer is good enough

// floor returns the begin of the minute some minutes ago.
const floor = (minutesAgo) => Math.floor((Date.now() - minutesAgo * minute) / minute) * minute;

// reader returns a function that reads usage, and no more often than is of use.
// It returns null where the server keeps no usage.
function reader(query) {
  let last = null;
  let at = 0;
  return async (signal) => {
    if (Date.now() - at > fresh) {
      try {
        last = await get(`/_millicent/usage?${query()}`, signal);
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 404) throw error;
        last = null;
      }
      at = Date.now();
    }
    return last;
  };
}

const since = (t) => `from=${new Date(t).toISOString().slice(0, 19)}Z`;

// hourlyCosts returns a function that reads {currency, of(name), total}: what
// functions cost an hour, at the pace of the last ten minutes.
export function hourlyCosts() {
  let begin = 0;
  const read = reader(() => {
    begin = floor(9);
    return `${since(begin)}&by=function`;
  });
  return async (signal) => {
    const usage = await read(signal);
    if (!usage) return null;
    const hours = (Date.now() - begin) / (60 * minute);
    const costs = new Map(usage.rows.map((r) => [r.names[0], r.charged / hours]));
    const total = usage.rows.reduce((sum, r) => sum + Number(r.charged), 0) / hours;
    return { currency: usage.currency, of: (name) => costs.get(name) ?? 0, total };
  };
}

// minuteCosts returns a function that reads what a function cost in each minute
// of the last hour: {currency, times, costs}, times in seconds.
export function minuteCosts(name) {
  const read = reader(() => `${since(floor(59))}&each=minute&function=${name}`);
  return async (signal) => {
    const usage = await read(signal);
    if (!usage) return null;
    const costs = new Map(usage.rows.map((r) => [Date.parse(r.time), Number(r.charged)]));
    const times = Array.from({ length: 60 }, (_, i) => floor(59 - i));
    return { currency: usage.currency, times: times.map((t) => t / 1000), costs: times.map((t) => costs.get(t) ?? 0) };
  };
}

const days = 14;
const labels = ['Day (UTC)', 'Invocations', 'GB-seconds', 'Cost', 'Share'];

// bill shows what a function cost on each of the latest days.
export function bill(name) {
  const read = reader(() => `${since(Math.floor(Date.now() / (24 * 60 * minute)) * 24 * 60 * minute - (days - 1) * 24 * 60 * minute)}&each=day&function=${name}`);
  const body = h('tbody', { role: 'rowgroup' });
  const table = h('table', { class: 'table bill', role: 'table', hidden: true },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, labels.map((label) => h('th', { scope: 'col', role: 'columnheader', class: label === 'Share' ? 'text' : null }, label)))), body);
  const none = h('p', { class: 'notice' }, 'Reading …');
  const sum = h('span', { class: 'muted small' });
  const section = h('section', { class: 'sheet', 'aria-labelledby': 'bill' }, h('header', {}, h('h2', { id: 'bill' }, 'Bill by day'), sum), table, none);

  function makeRow(row) {
    const cells = labels.slice(1, -1).map((label) => h('td', { role: 'cell', 'data-label': label }, h('span')));
    return h('tr', { role: 'row' }, h('th', { scope: 'row', role: 'rowheader' }, row.time.slice(0, 10)), cells,
      h('td', { role: 'cell', class: 'part' }, h('div', { class: 'bar', 'aria-hidden': 'true' }, h('i')), h('span', { class: 'hidden' })));
  }

  return {
    section,
    async refresh(signal) {
      const usage = await read(signal);
      const rows = (usage?.rows ?? []).toReversed();
      table.hidden = rows.length === 0;
      none.hidden = rows.length > 0;
      setText(none, usage ? `Nothing was used in the last ${days} days.` : 'This server keeps no record of usage, so there is no bill.');
      const total = rows.reduce((n, r) => n + Number(r.charged), 0);
      const most = Math.max(...rows.map((r) => Number(r.charged)), Number.MIN_VALUE);
      setText(sum, rows.length ? `${amount(total, usage.currency)} in ${days} days, at list prices; “millicent bill” has the invoice` : '');
      keep(body, rows, (r) => r.time, makeRow, (tr, r) => {
        const share = `${whole(100 * r.charged / (total || 1))} %`;
        const texts = [whole(r.invocations), figure(((r.quantities.gb_second ?? 0) + (r.quantities.init_gb_second ?? 0)) / 1_024_000), amount(r.charged, usage.currency), share];
        tr.querySelectorAll('td > span').forEach((span, i) => setText(span, texts[i]));
        tr.querySelector('i').style.width = `${100 * r.charged / most}%`;
      });
    },
  };
}
