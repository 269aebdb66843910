// The end of a function's log, as it is written.

import { SignInNeeded, events } from './api.js';
import { h, setText } from './dom.js';
import { time } from './format.js';

const most = 500; // lines that are kept on the page
const again = 3000; // milliseconds until a stream that ended is opened again

const platform = /^(START|END|REPORT|INIT_START|INIT_REPORT|RESTORE_START|RESTORE_REPORT) |^\{"time":"[^"]*","type":"platform\./;

export function logTail(name) {
  const lines = h('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': `Log of ${name}`, tabindex: '0' });
  const filter = h('input', { type: 'search', placeholder: 'Filter', 'aria-label': 'Filter the log', oninput: () => [...lines.children].forEach(choose) });
  const pause = h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => setPaused(!paused) }, 'Pause');
  const state = h('span', { class: 'muted small' });
  const section = h('section', { class: 'sheet', 'aria-labelledby': 'log' },
    h('header', {}, h('h2', { id: 'log' }, 'Log'), state, filter, pause), lines);
  let ended = null; // ends the stream
  let paused = false;
  let waiting = []; // records that came since the page drew the last time

  function choose(line) {
    line.hidden = !line.textContent.toLowerCase().includes(filter.value.toLowerCase());
  }

  function add(record) {
    if (waiting.push(record) === 1) requestAnimationFrame(draw);
    if (waiting.length > most) waiting.shift();
  }

  function draw() {
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
    const fresh = waiting.map(({ time: at, message }) => {
      const line = h('p', { class: platform.test(message) ? 'platform' : null },
        h('time', {}, `${time(new Date(at / 1000))}.${String(Math.floor(at / 1000) % 1000).padStart(3, '0')}`), h('span', {}, message));
      choose(line);
      return line;
    });
    waiting = [];
    lines.append(...fresh);
    while (lines.children.length > most) lines.firstChild.remove();
    if (atEnd) lines.scrollTop = lines.scrollHeight;
  }

  // read reads the stream until it is to end, again and again.
  async function read(signal) {
    while (!signal.aborted) {
      try {
        await events(`/_millicent/logs?function=${name}&limit=100&follow=1`, signal, () => {
          waiting = [];
          lines.replaceChildren();
          setText(state, 'Following');
        }, add);
      } catch (error) {
        if (signal.aborted || error instanceof SignInNeeded) return; // the page asks who it is
      }
      if (signal.aborted) return;
      setText(state, 'Interrupted, trying again');
      await new Promise((resolve) => { setTimeout(resolve, again); });
    }
  }

  function open() {
    if (ended || paused) return;
    ended = new AbortController();
    read(ended.signal);
  }

  function close() {
    ended?.abort();
    ended = null;
  }

  function setPaused(to) {
    paused = to;
    pause.setAttribute('aria-pressed', String(paused));
    close();
    if (paused) setText(state, 'Paused');
    else open();
  }

  return { section, open, close };
}
