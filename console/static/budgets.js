// Budgets.

import { h } from './dom.js';

export function openBudgets(root) {
  root.append(h('div', { class: 'head' }, h('div', {}, h('h1', {}, 'Budgets'), h('p', {}, 'What may be spent, and what happens then'))),
    h('section', { class: 'sheet' }, h('p', { class: 'notice' }, 'This version of millicent has no budgets yet.')));
  return {};
}
