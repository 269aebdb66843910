// Charts over time, drawn by uPlot where it is built in. What a chart shows is
// in its caption as text, too.

import uPlot from '/_console/dist/uPlot.js';
import { h, setText } from './dom.js';
import { time } from './format.js';

const height = 168;
const drawn = new Set(); // charts that are on the page

// redraw draws all charts anew, in the colours of the theme.
export function redraw() {
  for (const plot of drawn) plot.redraw(false);
}

// makeChart returns a chart: its figure, set(times, values of each series) with
// times in seconds, instead(words) for when there is nothing to draw, and close. A
// series is {label, key, show, tick, bars}: key is the class of its colour, show
// writes a value, tick one of the axis. A value of null is none.
export function makeChart(title, series, span = '10 minutes') {
  const keys = series.map((s) => h('i', { class: s.key }));
  const readings = series.map(() => h('span'));
  const at = h('span');
  const reading = h('p', { class: 'reading' }, at, series.map((s, i) => [keys[i], series.length > 1 ? `${s.label} ` : '', readings[i]]));
  const area = h('div', { class: 'plot' });
  const figure = h('figure', { class: 'sheet chart' }, h('figcaption', {}, h('h2', {}, title), reading), area);
  const data = { times: [], values: [] };
  let plot = null;

  function read(i) {
    const last = data.times.length - 1;
    const index = i ?? last;
    setText(at, index < 0 ? '' : time(new Date(data.times[index] * 1000)));
    series.forEach((s, k) => {
      const value = data.values[k]?.[index];
      setText(readings[k], value === null || value === undefined ? '–' : s.show(value));
    });
  }

  const resized = new ResizeObserver(() => {
    const width = Math.floor(area.clientWidth);
    if (plot && width > 0 && width !== plot.width) plot.setSize({ width, height });
  });
  resized.observe(area);

  const colour = (element, property) => getComputedStyle(element)[property];
  function make() {
    const grid = { stroke: () => colour(figure, 'borderTopColor'), width: 1 };
    const axis = { stroke: () => colour(reading, 'color'), font: '12px system-ui, sans-serif', grid, ticks: { show: false } };
    return new uPlot({
      width: Math.max(120, Math.floor(area.clientWidth)),
      height,
      padding: [10, 6, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
      axes: [
        { ...axis, grid: { show: false }, size: 26, space: 70, values: (_, splits) => splits.map((s) => time(new Date(s * 1000)).slice(0, 5)) },
        { ...axis, size: 62, space: 34, values: (_, splits) => splits.map((s) => (series[0].tick ?? series[0].show)(s)), incrs: series[0].whole ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] : undefined },
      ],
      series: [{}, ...series.map((s, i) => ({
        stroke: () => colour(keys[i], 'backgroundColor'),
        fill: s.bars ? () => colour(keys[i], 'backgroundColor') : undefined,
        width: s.bars ? 0 : 2,
        paths: s.bars ? uPlot.paths.bars({ size: [0.7, 14] }) : undefined,
        points: { show: s.bars ? false : undefined, size: 4, fill: () => colour(keys[i], 'backgroundColor') },
      }))],
      hooks: { setCursor: [(u) => read(u.cursor.idx)] },
    }, [data.times, ...data.values], area);
  }

  // instead writes into the area what there is in place of a drawing.
  function instead(...words) {
    if (plot) {
      drawn.delete(plot);
      plot.destroy();
      plot = null;
    }
    if (area.textContent !== words.join('')) area.replaceChildren(h('p', {}, words));
    area.classList.add('none');
  }

  return {
    figure,
    instead,
    set(times, ...values) {
      Object.assign(data, { times, values });
      read();
      if (!values.some((v) => v.some((n) => n))) return instead(`Nothing in the last ${span}`);
      if (!uPlot) return instead('This build has no charts: with npm installed, “make build” adds them.');
      if (plot) return plot.setData([times, ...values]);
      area.replaceChildren();
      area.classList.remove('none');
      plot = make();
      drawn.add(plot);
      return undefined;
    },
    close() {
      resized.disconnect();
      if (plot) drawn.delete(plot);
      plot?.destroy();
    },
  };
}
