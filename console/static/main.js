// The page around the pages: which one is shown, how often it is brought up to
// date, the theme, and signing in.
//
// A page is a function open(root, parameters), which fills root and returns
// {refresh(signal), close()}: refresh reads what there is now and shows it, and
// is called again every few seconds while the tab is looked at.

import { SignInNeeded, get, signOut, signedIn } from './api.js';
import { h, setText } from './dom.js';
import { openFunctions } from './functions.js';
import { openFunction } from './function.js';
import { openBudgets } from './budgets.js';
import { openSignIn } from './signin.js';
import { redraw } from './chart.js';

const every = 5000; // milliseconds

const routes = [
  { path: /^\/_console\/?$/, page: 'functions', title: 'Functions', open: openFunctions },
  { path: /^\/_console\/functions\/([\w-]{1,64})$/, page: 'functions', title: '', open: openFunction },
  { path: /^\/_console\/budgets$/, page: 'budgets', title: 'Budgets', open: openBudgets },
];

const main = document.getElementById('main');
const live = document.getElementById('live');
const leave = document.getElementById('leave');
let current = null; // the page that is shown
let ended = new AbortController(); // of its refreshes
let refreshing = null; // the signal of the refresh that is under way

function show(route, parameters) {
  ended.abort();
  ended = new AbortController();
  current?.close?.();
  main.replaceChildren();
  document.title = `${route.title || parameters[0]} · millicent`;
  for (const link of document.querySelectorAll('.top nav a')) {
    if (link.dataset.page === route.page) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  leave.hidden = !signedIn();
  current = route.open(main, parameters);
  refresh();
}

function go() {
  for (const route of routes) {
    const match = location.pathname.match(route.path);
    if (match) return show(route, match.slice(1));
  }
  show({ title: 'Not found', open: openNothing }, []);
}

function openNothing(root) {
  root.append(h('h1', {}, 'There is no such page'), h('p', {}, h('a', { href: '/_console/' }, 'All functions')));
  return {};
}

function say(state, words) {
  live.className = `live ${state}`;
  setText(live, words);
}

async function refresh() {
  const { signal } = ended;
  if (document.hidden || !current?.refresh || refreshing === signal) return;
  refreshing = signal;
  try {
    await current.refresh(signal);
    if (!signal.aborted) say('on', 'Live');
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof SignInNeeded) {
      say('', 'Signed out');
      show({ title: 'Sign in', open: (root) => openSignIn(root, () => { about(); go(); }) }, []);
    } else if (error instanceof TypeError) {
      say('off', 'Server not reached, trying again');
    } else {
      say('off', error.message);
    }
  } finally {
    if (refreshing === signal) refreshing = null;
  }
}

// about writes what the server says of itself under each page.
async function about() {
  const foot = document.getElementById('foot');
  try {
    const info = await get('/_millicent/info');
    foot.replaceChildren(
      h('span', {}, info.version), h('span', {}, `account ${info.account}`), h('span', {}, info.region),
      h('span', {}, info.auth === 'none' ? 'open to this machine' : 'signed calls only'));
  } catch {
    foot.replaceChildren(); // what is wrong the page itself says
  }
}

// The theme: the system's, or the user's choice, which this browser remembers.
const themes = { '': 'Auto', light: 'Light', dark: 'Dark' };
const theme = document.getElementById('theme');

function setTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  theme.textContent = `Theme: ${themes[name].toLowerCase()}`;
  redraw();
}

theme.addEventListener('click', () => {
  const names = Object.keys(themes);
  const next = names[(names.indexOf(document.documentElement.dataset.theme ?? '') + 1) % names.length];
  localStorage.setItem('millicent.theme', next);
  setTheme(next);
});
setTheme(Object.hasOwn(themes, localStorage.getItem('millicent.theme')) ? localStorage.getItem('millicent.theme') : '');
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => redraw());

// Links of the console change the page without loading it anew.
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="/_console/"]');
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, '', link.getAttribute('href'));
  go();
  main.focus();
  scrollTo(0, 0);
});
addEventListener('popstate', go);
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
leave.addEventListener('click', () => {
  signOut();
  go();
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) say('', 'Paused');
  else refresh();
});

about();
go();
setInterval(refresh, every);
