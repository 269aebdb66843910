// The same in TypeScript, of two modules: types are taken away when the function
// is prepared.

import { greet, type Greeting } from './greet.js';

interface Event { name?: string; rawQueryString?: string }

export const handler = async (event: Event): Promise<Greeting> => {
  const asked = new URLSearchParams(event.rawQueryString ?? '').get('name');
  return greet(asked ?? event.name ?? 'world');
};
