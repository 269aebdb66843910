// The page of one function.

import { Refused, get } from './api.js';
import { makeChart } from './chart.js';
import { bill, minuteCosts } from './costs.js';
import { h, setText, tiles } from './dom.js';
import { amount, duration, figure, memory, money, perSecond, plain, share, text, when, whole } from './format.js';
import { invocations } from './invocations.js';
import { logTail } from './log.js';

export function openFunction(root, [name]) {
  const facts = h('div', { class: 'facts' });
  const lead = h('p', { hidden: true });
  const sums = tiles({ rate: 'Invocations', errors: 'Errors', refused: 'Refused', p50: 'Duration p50', p99: 'Duration p99', cold: 'Cold starts', cost: 'Cost, last hour' });
  let currency = '';
  const charts = {
    rate: makeChart('Invocations per second', [
      { label: 'ran', key: 'k2', show: figure, tick: plain },
      { label: 'failed', key: 'kbad', show: figure },
      { label: 'refused', key: 'k3', show: figure }]),
    duration: makeChart('Duration', [
      { label: 'p50', key: 'k2', show: (n) => text(duration(n)), tick: (n) => (n < 1000 ? `${plain(n)} ms` : `${plain(n / 1000)} s`) },
      { label: 'p99', key: 'k3', show: (n) => text(duration(n)) }]),
    cold: makeChart('Cold starts', [{ label: 'cold starts', key: 'k4', show: whole, bars: true, whole: true }]),
    cost: makeChart('Millicents per minute', [{ label: 'cost', key: 'k1', show: (n) => amount(n, currency), tick: (n) => plain(100_000 * n), bars: true }], 'hour'),
  };
  const costs = minuteCosts(name);
  const bills = bill(name);
  const recent = invocations(name);
  const log = logTail(name);
  const content = h('div', { class: 'stack' }, sums.list, h('div', { class: 'charts' }, Object.values(charts).map((c) => c.figure)), recent.section, bills.section, log.section);
  root.append(
    h('p', { class: 'crumb' }, h('a', { href: '/_console/' }, 'Functions'), ' /'),
    h('div', { class: 'head' }, h('div', {}, h('h1', {}, name), lead, facts)),
    content);

  function showFunction(f) {
    setText(lead, f.description ?? '');
    lead.hidden = !f.description;
    const fact = (label, value) => h('span', {}, `${label} `, h('b', {}, value));
    const list = [
      fact('Runtime', f.runtime), fact('Memory', memory(f.memoryMB)), fact('Timeout', `${f.timeoutSeconds} s`),
      fact('State', f.state), fact('Changed', when(new Date(f.modified))),
      f.lastVersion ? fact('Latest version', String(f.lastVersion)) : null,
      f.aliases ? fact('Aliases', f.aliases.join(', ')) : null,
      ...(f.urls ?? []).map((url) => h('a', { href: url, rel: 'noreferrer noopener', target: '_blank' }, url)),
    ].filter(Boolean);
    if (list.map((e) => e.textContent).join() !== [...facts.children].map((e) => e.textContent).join()) facts.replaceChildren(...list);
    const { now } = f;
    sums.set('rate', perSecond(now.invocations / now.seconds));
    sums.set('errors', share(now.errors, now.invocations), now.errors > 0);
    sums.set('refused', [whole(now.refused)], now.refused > 0);
    sums.set('p50', duration(now.p50Ms));
    sums.set('p99', duration(now.p99Ms));
    sums.set('cold', [whole(now.coldStarts)]);
  }

  function showCharts({ steps }) {
    const times = steps.map((s) => Date.parse(s.start) / 1000);
    const each = (of) => steps.map(of);
    charts.rate.set(times, each((s) => s.invocations / s.seconds), each((s) => s.errors / s.seconds), each((s) => s.refused / s.seconds));
    charts.duration.set(times, each((s) => s.p50Ms || null), each((s) => s.p99Ms || null));
    charts.cold.set(times, each((s) => s.coldStarts));
  }

  function showCosts(cost) {
    currency = cost?.currency ?? '';
    sums.set('cost', cost ? money(cost.costs.reduce((a, b) => a + b, 0), currency) : ['–']);
    if (cost) charts.cost.set(cost.times, cost.costs);
    else charts.cost.instead('This server keeps no record of usage.');
  }

  return {
    async refresh(signal) {
      try {
        const f = await get(`/_millicent/functions/${name}`, signal);
        showFunction(f);
        showCharts(f);
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 404) throw error;
        log.close();
        content.replaceChildren(h('p', { class: 'notice wrong' }, `There is no function ${name}.`));
        return;
      }
      log.open();
      await Promise.all([recent.refresh(signal), bills.refresh(signal), costs(signal).then(showCosts)]);
    },
    close() {
      log.close();
      for (const c of Object.values(charts)) c.close();
    },
  };
}
