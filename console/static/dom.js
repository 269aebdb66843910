// Elements. All data becomes text or attributes of known names, never markup:
// the page's policy (Trusted Types) refuses anything else.

// h makes an element: h('a', {href: '/', onclick: f, class: 'x'}, 'text', child).
// Properties that are null or false are left out, as are such children.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

// setText changes a text where it is another one, so that what is selected or
// read out stays when nothing has changed.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// keep has parent's children be those that make returns for each item, in their
// order. Those of an earlier call with the same key stay, and keep their focus:
// update(element, item) brings them up to date.
export function keep(parent, items, key, make, update) {
  const known = new Map([...parent.children].map((c) => [c.dataset.key, c]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = String(key(item));
    let element = known.get(k);
    if (element) {
      known.delete(k);
    } else {
      element = make(item);
      element.dataset.key = k;
    }
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
    update(element, item);
  }
  for (const element of known.values()) element.remove();
}

const svgSpace = 'http://www.w3.org/2000/svg';

// trend makes a small drawing of a course, for the eye only: the table has its
// numbers.
export function trend(values) {
  const svg = document.createElementNS(svgSpace, 'svg');
  svg.setAttribute('viewBox', '0 0 100 28');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  for (const kind of ['area', 'line']) {
    const path = document.createElementNS(svgSpace, 'path');
    path.setAttribute('class', kind);
    svg.append(path);
  }
  drawTrend(svg, values);
  return svg;
}

export function drawTrend(svg, values = []) {
  const most = Math.max(1, ...values);
  const points = (values.length > 1 ? values : [0, 0]).map((v, i, all) =>
    `${(100 * i / (all.length - 1)).toFixed(1)},${(26 - 23 * v / most).toFixed(1)}`);
  svg.querySelector('.line').setAttribute('d', `M${points.join('L')}`);
  svg.querySelector('.area').setAttribute('d', `M0,27L${points.join('L')}L100,27Z`);
}

// tiles makes a list of figures, and returns it with a function that sets one:
// set(name, value, unit, isBad).
export function tiles(names) {
  const nodes = {};
  const list = h('dl', { class: 'tiles' }, Object.entries(names).map(([name, label]) => {
    const value = h('span', {}, '–');
    const unit = h('span', { class: 'unit' });
    const dd = h('dd', {}, value, unit);
    nodes[name] = { value, unit, dd };
    return h('div', {}, h('dt', {}, label), dd);
  }));
  const set = (name, [value, unit = ''], bad = false) => {
    setText(nodes[name].value, value);
    setText(nodes[name].unit, unit);
    nodes[name].dd.classList.toggle('bad', bad);
  };
  return { list, set };
}
