// Calls of millicent's own endpoints.
//
// Where the server asks for signatures, the user signs in and the page has a
// token. It is kept for this tab (sessionStorage) and sent as a header: no
// cookie, which the browser would send along with what other pages ask for.

const kept = 'millicent.session';

// SignInNeeded says that the server wants to know who asks.
export class SignInNeeded extends Error {}

// Refused is any other answer than the one that was asked for.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const unsigned = new Set(['MissingAuthenticationTokenException', 'IncompleteSignatureException', 'ExpiredTokenException', 'UnrecognizedClientException']);

export const signedIn = () => sessionStorage.getItem(kept) !== null;
export const signOut = () => sessionStorage.removeItem(kept);

async function call(path, options = {}) {
  const headers = { ...options.headers };
  const token = sessionStorage.getItem(kept);
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { cache: 'no-store', credentials: 'omit', redirect: 'error', ...options, headers });
  if (answer.ok) return answer;
  if (answer.status === 403 && unsigned.has(answer.headers.get('X-Amzn-Errortype'))) {
    signOut();
    throw new SignInNeeded();
  }
  const body = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, body.Message || body.message || `The server answered ${answer.status}.`);
}

export async function get(path, signal) {
  return (await call(path, { signal })).json();
}

export async function signIn(accessKeyId, secretAccessKey) {
  signOut();
  const answer = await call('/_console/session', { method: 'POST', body: JSON.stringify({ accessKeyId, secretAccessKey }) });
  sessionStorage.setItem(kept, (await answer.json()).token);
}

// events reads server-sent events, and calls each with the data of one, which is
// JSON. It returns when the server ends the stream. (EventSource sends no
// headers, and the token is one.)
export async function events(path, signal, opened, each) {
  const answer = await call(path, { signal, headers: { Accept: 'text/event-stream' } });
  opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split('\n').filter((l) => l.startsWith('data: ')).map((l) => l.slice(6)).join('\n');
      if (data) each(JSON.parse(data));
    }
  }
}
