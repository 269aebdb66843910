// The page that asks for an access key.

import { signIn } from './api.js';
import { h, setText } from './dom.js';

// openSignIn calls done once the user has signed in.
export function openSignIn(root, done) {
  const id = h('input', { id: 'key', name: 'key', autocomplete: 'username', required: true, spellcheck: 'false', autocapitalize: 'off' });
  const secret = h('input', { id: 'secret', name: 'secret', type: 'password', autocomplete: 'current-password', required: true });
  const wrong = h('p', { class: 'notice wrong', role: 'alert', hidden: true });
  const form = h('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      wrong.hidden = true;
      try {
        await signIn(id.value.trim(), secret.value);
      } catch (error) {
        setText(wrong, error instanceof TypeError ? 'The server was not reached.' : error.message);
        wrong.hidden = false;
        secret.select();
        return;
      }
      secret.value = '';
      done();
    },
  },
  wrong,
  h('label', { for: 'key' }, 'Access key id'), id,
  h('label', { for: 'secret' }, 'Secret access key'), secret,
  h('button', { class: 'main', type: 'submit' }, 'Sign in'));
  root.append(h('section', { class: 'sheet sign' },
    h('h1', {}, 'Sign in'),
    h('p', { class: 'muted' }, 'With an access key of ', h('code', {}, 'millicent keys create'), '. You stay signed in for eight hours, in this tab.'),
    form));
  id.focus();
  return {};
}
