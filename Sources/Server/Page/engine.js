// What the engine does now, once a second while it is on the screen.

import { drawChart, short } from './chart.js';
import { make } from './markdown.js';
import { apiKey, load, openSettings, store } from './settings.js';
import { request } from './stream.js';

const element = (id) => document.getElementById(id);
const [panel, toggle, body, problem] = ['engine', 'engine-toggle', 'engine-body', 'engine-problem'].map(element);

const minute = 60;
let samples = [];  // { time, state } of the last minute, in seconds
let timer = 0;

// Each chart is a quotient of the growth of two numbers between samples.
const charts = [
  {
    name: 'Generated tokens/s', color: 'run0',
    value: (a, b, seconds) => (b.generated_tokens - a.generated_tokens) / seconds,
  },
  {
    name: 'Prompt tokens/s', color: 'run1',
    value: (a, b, seconds) => (b.prompt_tokens - a.prompt_tokens) / seconds,
  },
  {
    name: 'Sequences in a step', color: 'run2',
    value: (a, b) => quotient(b.decoded_sequences - a.decoded_sequences, b.decode_steps - a.decode_steps),
  },
];
for (const chart of charts) {
  chart.now = make('b', '');
  chart.svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  chart.svg.setAttribute('class', 'chart');
  element('charts').append(make('figure', chart.color, make('figcaption', '', chart.name, chart.now), chart.svg));
}

const quotient = (a, b) => (b > 0 ? a / b : null);
const percent = (a, b) => (b > 0 ? `${(a / b * 100).toFixed(0)} %` : '–');

function show(open) {
  panel.hidden = !open;
  document.body.classList.toggle('with-engine', open);
  toggle.setAttribute('aria-expanded', String(open));
  store('localStorage', 'wideband.engine', open);
  poll();
}

/** Asks now, and again in a second; not while nobody can see it. */
async function poll() {
  clearTimeout(timer);
  if (panel.hidden || document.hidden) return;
  const round = timer = setTimeout(poll, 10_000);  // holds the place while the answer is on its way
  const started = performance.now();
  try {
    const response = await request('engine', { key: apiKey(), signal: AbortSignal.timeout(8000) });
    take(await response.json());
    problem.textContent = '';
  } catch (error) {
    problem.textContent = error.status ? `The server says: ${error.message}` : 'The server does not answer.';
    if (error.status === 401) {
      const button = make('button', '', 'Enter the key');
      button.addEventListener('click', () => openSettings('key'));
      problem.append(' ', button);
    }
  }
  body.classList.toggle('stale', problem.textContent !== '');
  if (timer !== round) return;  // another poll has begun meanwhile
  clearTimeout(timer);
  timer = setTimeout(poll, Math.max(0, 1000 - (performance.now() - started)));
}

function take(state) {
  const time = performance.now() / 1000;
  // Counters that go back are those of a server that was started again.
  const before = samples.at(-1)?.state;
  if (state.decode_steps < before?.decode_steps || state.prompt_tokens < before?.prompt_tokens) samples = [];
  samples = [...samples.filter((sample) => time - sample.time <= minute + 2), { time, state }];
  showPhases(state);
  showMeters(state);
  showCharts(time);
  showTotals(state);
}

function showPhases(state) {
  const phases = state.phases.length ? state.phases : Array(state.cycle ?? 1).fill(0);
  const rows = [
    ['Waiting', state.waiting, 'waiting'],
    ['Prompt', state.prefilling, 'prefilling'],
  ];
  if (phases.length > 1) {
    const aligning = state.running - phases.reduce((sum, count) => sum + count, 0);
    rows.push(['Waiting for a cycle head', Math.max(0, aligning), 'aligning']);
    phases.forEach((count, phase) => {
      rows.push([phase ? `Token ${phase + 1} of the cycle` : 'Cycle head', count, 'decoding']);
    });
  } else {
    rows.push(['Decoding', state.running, 'decoding']);
  }
  rows.push(['Free', Math.max(0, state.parallel - state.prefilling - state.running), 'free', `of ${state.parallel}`]);
  element('phases').replaceChildren(...rows.map(([label, count, kind, note]) => {
    const length = kind === 'free' ? 0 : Math.min(count, 16);
    const dots = make('span', 'dots', ...Array.from({ length }, () => make('i', 'dot')));
    const number = make('b', '', note ? `${count} ${note}` : String(count));
    return make('li', count ? kind : `${kind} zero`, label, dots, number);
  }));
}

function showMeters(state) {
  const found = `${percent(state.prefix_hit_tokens, state.prefix_queried_tokens)} found`;
  element('meters').replaceChildren(
    meter('Keys and values', `${short(state.cache_positions)} of ${short(state.cache_capacity)} positions`,
      state.cache_positions, state.cache_capacity),
    meter('Prefix cache', `${bytes(state.prefix_cache_bytes)}, ${found}`,
      state.prefix_hit_tokens, state.prefix_queried_tokens));
}

function meter(name, text, value, whole) {
  const fill = make('div', 'fill');
  fill.style.width = `${whole > 0 ? Math.min(100, value / whole * 100) : 0}%`;
  const track = make('div', 'track', fill);
  track.role = 'meter';
  Object.assign(track, { ariaLabel: name, ariaValueText: text });
  Object.assign(track, { ariaValueMin: 0, ariaValueMax: whole || 1, ariaValueNow: value });
  return make('div', 'meter', make('p', '', name, make('span', '', text)), track);
}

function showCharts(now) {
  for (const { name, color, value, svg, now: latest } of charts) {
    const points = samples.slice(1).map((sample, index) => {
      const before = samples[index];
      // A pause of the page, as in another tab, leaves a gap.
      const seconds = sample.time - before.time;
      return [sample.time - now, seconds < 4 ? value(before.state, sample.state, seconds) : null];
    });
    const values = points.map((point) => point[1]).filter((y) => y !== null);
    latest.textContent = short(points.at(-1)?.[1] ?? null);
    drawChart(svg, {
      series: [{ name, points, color }],
      x: { from: -minute, to: 0, label: (x) => (x === 0 ? 'now' : `${x} s`.replace('-', '−')) },
      y: { from: 0, to: Math.max(1, ...values), label: short },
      description: `${name} in the last minute: now ${latest.textContent}, at most ${short(Math.max(0, ...values))}`,
    });
  }
}

function showTotals(state) {
  const rows = [
    ['Prompt tokens', short(state.prompt_tokens)],
    ['Generated tokens', short(state.generated_tokens)],
    ['Prefill, tokens/s', short(quotient(state.prompt_tokens, state.prefill_seconds))],
    ['Decoding, tokens/s', short(quotient(state.generated_tokens, state.decode_seconds))],
    ['Decoding, milliseconds a step', short(quotient(state.decode_seconds * 1000, state.decode_steps))],
    ['Sequences in a step', short(quotient(state.decoded_sequences, state.decode_steps))],
  ];
  if (state.cycle) {
    rows.push(['Tokens in a cycle', String(state.cycle)],
      ['Waiting for a cycle head, a step', short(quotient(state.alignment_steps, state.decode_steps))]);
  }
  if (state.drafted_tokens) {
    rows.push(['Drafted tokens accepted', `${short(state.accepted_tokens)} of ${short(state.drafted_tokens)}`]);
  }
  rows.push(['Finished', short(state.stopped)], ['Ended at the token limit', short(state.reached_length)],
    ['Cancelled', short(state.cancelled)], ['Failed', short(state.failed)]);
  element('totals').replaceChildren(...rows.flatMap(([name, value]) => [make('dt', '', name), make('dd', '', value)]));
}

/** Bytes with their unit. */
function bytes(count) {
  const power = Math.min(4, Math.floor(Math.log2(Math.max(1, count)) / 10));
  return `${Number((count / 1024 ** power).toPrecision(3))} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
}

toggle.addEventListener('click', () => show(panel.hidden));
element('engine-close').addEventListener('click', () => {
  show(false);
  toggle.focus();
});
document.addEventListener('visibilitychange', poll);
document.addEventListener('settings-closed', poll);
addEventListener('resize', () => samples.length && !panel.hidden && showCharts(samples.at(-1).time));
show(load('localStorage', 'wideband.engine', false));
