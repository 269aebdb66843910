// Budgets: what may be spent, what is, and what happens then.

import { Refused, get } from './api.js';
import { h, keep, setText } from './dom.js';
import { amount, when, whole } from './format.js';

const periods = { hour: 'an hour', day: 'a day', month: 'a month', total: 'in all' };
const states = { open: 'Open', throttled: 'Throttled', stopped: 'Stopped', counting: 'Counting what was spent' };

export function openBudgets(root) {
  const lead = h('p', {}, 'What may be spent, what was, and what happens then');
  const storms = h('div', { class: 'stack' });
  const list = h('ul', { class: 'budgets' });
  const none = h('section', { class: 'sheet start', hidden: true },
    h('h2', {}, 'Nothing bounds what is spent yet'),
    h('p', { class: 'muted' }, 'A budget that stops refuses what it does not cover, before it runs:'),
    h('pre', {}, h('code', {}, 'millicent budget set hello 5 cents/day --stop')),
    h('p', { class: 'muted small' }, 'Without a function it covers the whole account. “millicent budget set --help” has the rest: warnings, rates, tags, keys.'));
  root.append(h('div', { class: 'head' }, h('div', {}, h('h1', {}, 'Budgets'), lead)), storms, list, none);

  return {
    async refresh(signal) {
      let answer;
      try {
        answer = await get('/_millicent/budgets', signal);
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 404) throw error;
        root.replaceChildren(root.firstChild, h('section', { class: 'sheet' }, h('p', { class: 'notice' }, 'This server keeps no budgets.')));
        return;
      }
      const budgets = answer.budgets ?? [];
      list.hidden = budgets.length === 0;
      none.hidden = budgets.length > 0;
      keep(list, budgets, (b) => b.id, makeBudget, updateBudget);
      keep(storms, answer.storms ?? [], (s) => s.function, () => h('p', { class: 'notice wrong' }), updateStorm);
    },
  };
}

// covers says what a budget is of.
function covers({ function: name, alias, tag, value, key }) {
  if (alias) return `${name}:${alias}`;
  if (name) return name;
  if (tag) return `functions with ${tag}=${value}`;
  if (key) return `calls with the key ${key}`;
  return 'The whole account';
}

// sentence joins what there is of some parts.
function sentence(parts) {
  const text = parts.filter(Boolean).join(' · ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function makeBudget() {
  const bar = h('i');
  return h('li', { class: 'sheet budget' },
    h('header', {}, h('h2'), h('span', { class: 'mark' })),
    h('p', { class: 'spent' }, h('b'), h('span')),
    h('div', { class: 'bar', role: 'meter', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-label': 'Spent' }, bar),
    h('p', { class: 'muted small' }), h('p', { class: 'muted small' }));
}

function updateBudget(card, b) {
  const state = card.querySelector('.mark');
  const used = Math.min(100, 100 * b.spent / b.amount);
  const bar = card.querySelector('.bar');
  setText(card.querySelector('h2'), covers(b.scope));
  setText(state, states[b.state] ?? b.state);
  state.classList.toggle('bad', b.state === 'stopped' || b.state === 'throttled');
  setText(card.querySelector('.spent b'), amount(b.spent));
  setText(card.querySelector('.spent span'), ` of ${amount(b.amount)} ${periods[b.per] ?? b.per}`);
  bar.classList.toggle('over', used >= 80);
  bar.setAttribute('aria-valuenow', used.toFixed(0));
  bar.setAttribute('aria-valuetext', `${used.toFixed(used < 1 ? 2 : 0)} % of ${amount(b.amount)}`);
  bar.firstChild.style.width = `${used}%`;
  const [now, then] = card.querySelectorAll('.small');
  setText(now, sentence([
    b.running ? `${whole(b.running)} running, at most ${amount(b.reserved)} more` : '',
    b.refused ? `${whole(b.refused)} refused` : '',
    b.resumes ? `resumes ${when(new Date(b.resumes))}` : b.to ? `begins anew ${when(new Date(b.to))}` : '',
  ]));
  setText(then, sentence([
    b.warn?.length ? `warns at ${b.warn.join(', ')} %` : '',
    b.throttle ? `lets ${b.throttle.rate}/s through from ${b.throttle.at} %` : '',
    b.stop ? 'stops what it does not cover' : 'stops nothing',
    b.breaker ? 'pauses functions that run wild' : '',
    b.owner === 'operator' ? 'set by the operator' : '',
  ]));
}

function updateStorm(line, s) {
  setText(line, `${s.function} is paused until ${when(new Date(s.until))}: it spent ${amount(s.lastMinute)} in a minute (usual: ${amount(s.usual)}), ` +
    `called ${s.hops.toFixed(1)} hops deep (usual: ${s.usualHops.toFixed(1)}). “millicent budget resume ${s.function}” ends the pause.`);
}
