// How figures are written: [number, unit], or both in one text.

const number = (n, digits, least = digits) => n.toLocaleString('en', { minimumFractionDigits: least, maximumFractionDigits: digits });

// figure writes a number with three digits that say something.
export function figure(n) {
  if (n === 0) return '0';
  if (n >= 100) return number(n, 0);
  if (n >= 10) return number(n, 1);
  return number(n, 2);
}

// plain writes a number of an axis.
export const plain = (n) => number(n, 2, 0);

export const whole = (n) => number(n, 0);

export const perSecond = (n) => [figure(n), '/s'];

export function duration(ms) {
  if (!ms) return ['–'];
  if (ms < 1) return [number(ms * 1000, 0), 'µs'];
  if (ms < 1000) return [ms < 10 ? number(ms, 2) : number(ms, ms < 100 ? 1 : 0), 'ms'];
  return [number(ms / 1000, ms < 10000 ? 2 : 1), 's'];
}

export function share(part, whole) {
  if (!whole) return ['–'];
  const percent = 100 * part / whole;
  return [percent === 0 ? '0' : percent < 0.1 ? '< 0.1' : number(percent, percent < 10 ? 1 : 0), '%'];
}

export const text = ([value, unit]) => (unit ? `${value} ${unit}` : value);

export const count = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

export const time = (t) => t.toLocaleTimeString('en-GB');

// when writes a time of today, or with its day.
export function when(t) {
  const today = new Date().toDateString() === t.toDateString();
  return today ? time(t) : `${t.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${time(t)}`;
}

export function memory(mb) {
  return mb >= 1024 && mb % 1024 === 0 ? `${mb / 1024} GB` : `${mb} MB`;
}

// money writes an amount, which comes as a decimal text in the currency's unit:
// below a cent in millicents.
export function money(decimal, currency = '') {
  const n = Number(decimal);
  const millicents = n * 100_000;
  if (n === 0) return ['0'];
  if (millicents < 0.01) return ['< 0.01', 'millicents'];
  if (millicents < 1000) return [number(millicents, millicents < 10 ? 2 : millicents < 100 ? 1 : 0), 'millicents'];
  return [number(n, n < 1 ? 4 : 2, 2), currency];
}

export const amount = (decimal, currency) => text(money(decimal, currency));
