// The curves of a training run, from the lines of its metrics.jsonl.

import { drawChart, short } from './chart.js';
import { make } from './markdown.js';

const whole = (value) => Math.round(value).toLocaleString('en');
const decimals = (value) => value.toFixed(4);
const rate = (value) => value.toExponential(2).replace('-', '−');
const seconds = (value) => `${short(value)} s`;
const gigabytes = (value) => `${short(value / 1e9)} GB`;

// A series without a name is the only one of its chart. `of` computes it from the metrics of a line.
const charts = [
  {
    title: 'Loss', unit: 'nats per token', text: decimals, isLarge: true,
    series: [
      { metric: 'train/next_token', name: 'training', isNoisy: true },
      { metric: 'validation/next_token', name: 'held-out text' },
    ],
  },
  { title: 'Held-out text', unit: 'bits per byte', text: decimals, series: [{ metric: 'validation/bits_per_byte' }] },
  {
    title: 'Gradient norm', unit: 'before clipping', text: short, series: [{ metric: 'gradient_norm', isNoisy: true }],
  },
  { title: 'Learning rate', unit: '', text: rate, from: 0, series: [{ metric: 'learning_rate' }] },
  { title: 'Speed', unit: 'tokens/s', text: whole, from: 0, series: [{ metric: 'tokens_per_second' }] },
  {
    title: 'Time of a step', unit: 'seconds, without evaluation', text: seconds, from: 0,
    series: [{ metric: 'step_seconds' }],
  },
  { title: 'Further training losses', unit: 'nats', text: decimals, prefix: 'train/', series: [] },
  { title: 'Further losses of held-out text', unit: 'nats', text: decimals, prefix: 'validation/', series: [] },
  { title: 'Connections', unit: '', text: short, prefix: 'connection/', series: [] },
  { title: 'Peak memory', unit: 'GB', text: gigabytes, from: 0, scale: 1e9, series: [{ metric: 'peak_bytes' }] },
];
const known = new Set(charts.flatMap((chart) => chart.series.map((series) => series.metric)));
const colors = 6;  // run0 to run5
const detail = 500;  // points of a line, at most; more than that are means of neighbors
const smooth = 100;

const metrics = new Map();  // name → [[step, value or null]…]
let lastStep = 0;

/** Forgets everything, as when another run begins. */
export function clear() {
  metrics.clear();
  lastStep = 0;
}

/** The last step with metrics; 0 before there is one. */
export const last = () => lastStep;

/** The value of a metric at a step, or before it where it is not measured at each; undefined if there is none. */
export function valueAt(name, step) {
  const points = metrics.get(name) ?? [];
  let low = 0, high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= step) low = middle + 1; else high = middle;
  }
  return points[low - 1]?.[1];
}

/** Takes a line of metrics.jsonl; returns whether it is one. */
export function take(line, tokensPerStep) {
  let values;
  try { values = JSON.parse(line); } catch { return false; }
  if (!Number.isInteger(values?.step)) return false;
  const { step, ...rest } = values;
  if (rest.tokens_per_second > 0) rest.step_seconds = tokensPerStep / rest.tokens_per_second;
  for (const [name, value] of Object.entries(rest)) {
    if (!metrics.has(name)) metrics.set(name, []);
    // NaN and infinity, which JSON lacks, are strings, and gaps of the line.
    metrics.get(name).push([step, Number.isFinite(value) ? value : null]);
  }
  lastStep = Math.max(lastStep, step);
  return true;
}

/**
 * Draws all charts that have points.
 *
 * - `from`: the first step shown; `scale`: what a step is on the axis; `unit`: what the axis counts.
 * - `cursor`: the step whose values are shown, or null for the last one.
 * - `point`: called with the step under the pointer, and with null when it leaves.
 */
export function draw(container, view) {
  for (const chart of charts) {
    const series = chart.prefix ? further(chart.prefix) : chart.series;
    const shown = series.filter(({ metric }) => metrics.has(metric));
    if (!shown.length) {
      chart.figure?.remove();
      chart.figure = null;
      continue;
    }
    if (!chart.figure) build(chart, container, view);
    drawOne(chart, shown, view);
  }
}

function further(prefix) {
  const names = [...metrics.keys()].filter((name) => name.startsWith(prefix) && !known.has(name)).slice(0, colors);
  // Alone, the total is the loss of the first chart.
  if (names.length === 1 && names[0] === 'train/total') return [];
  return names.map((metric) => ({ metric, name: metric.slice(prefix.length).replaceAll('_', ' ') }));
}

function build(chart, container, view) {
  chart.svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  chart.svg.setAttribute('class', 'chart');
  chart.legend = make('ul', 'legend');
  chart.caption = make('figcaption', '', make('b', '', chart.title), ' ', make('span', 'hint', chart.unit));
  chart.axis = make('p', 'unit hint');
  chart.figure = make('figure', chart.isLarge ? 'large' : '', chart.caption, chart.legend, chart.svg, chart.axis);
  chart.svg.addEventListener('pointermove', (event) => {
    const box = chart.svg.getBoundingClientRect();
    view.point(chart.valueAt((event.clientX - box.left) * chart.svg.viewBox.baseVal.width / box.width));
  });
  chart.svg.addEventListener('pointerleave', () => view.point(null));
  const next = charts.slice(charts.indexOf(chart) + 1).find((other) => other.figure);
  container.insertBefore(chart.figure, next?.figure ?? null);
}

function drawOne(chart, shown, { from, scale, unit, cursor }) {
  const step = cursor ?? lastStep;
  const size = chart.scale ?? 1;
  const lines = shown.flatMap(({ metric, name = chart.title, isNoisy }, index) => {
    const points = metrics.get(metric).filter((point) => point[0] >= from);
    const line = (count, color) => ({
      name, color, points: means(points, count).map(([x, y]) => [x * scale, y === null ? null : y / size]),
    });
    const fine = line(detail, `run${index}`);
    if (!isNoisy || points.length <= smooth) return [fine];
    return [{ ...fine, color: `run${index} faint` }, line(smooth, `run${index}`)];
  });
  const values = shown.map(({ metric }) => valueAt(metric, step));
  const text = (value) => (Number.isFinite(value) ? chart.text(value) : '–');
  chart.legend.replaceChildren(...shown.map(({ name }, index) => (
    make('li', `run${index}`, make('i', 'swatch'), ...(name ? [name, ' '] : []), make('b', '', text(values[index]))))));
  chart.axis.textContent = unit;
  const { xAt } = drawChart(chart.svg, {
    series: lines,
    x: {
      from: from * scale, to: Math.max(lastStep, from + 1) * scale, label: short,
      mark: cursor === null ? null : cursor * scale,
    },
    y: { from: chart.from, label: tick },
    description: `${chart.title}${chart.unit && `, ${chart.unit}`}. At step ${step}: `
      + shown.map(({ name }, index) => `${name ? `${name} ` : ''}${text(values[index])}`).join(', '),
  });
  chart.valueAt = (pixels) => Math.round(xAt(pixels) / scale);
}

/** At most `count` means of neighboring points. */
function means(points, count) {
  const size = Math.ceil(points.length / count);
  if (size <= 1) return points;
  const result = [];
  for (let start = 0; start < points.length; start += size) {
    const end = Math.min(points.length, start + size);
    let sum = 0, finite = 0;
    for (let index = start; index < end; index += 1) {
      if (points[index][1] === null) continue;
      sum += points[index][1];
      finite += 1;
    }
    result.push([points[(start + end) >> 1][0], finite ? sum / finite : null]);
  }
  return result;
}

/** A value at a line of the grid, with as many digits as tell it from the next one. */
function tick(value, step) {
  if (step >= 1e4 || value === 0) return short(value);
  if (step < 1e-3) return Number(value.toPrecision(3)).toExponential().replace('-', '−');
  return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}
