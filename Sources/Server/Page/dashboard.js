// A training run while it goes on: asks for what it has written since, and shows it.

import { clear, draw, last, take as takeMetrics, valueAt } from './curves.js';
import { make } from './markdown.js';
import { request } from './stream.js';

const element = (id) => document.getElementById(id);
const cursor = element('cursor');
const states = { running: 'Running', finished: 'Finished', stopped: 'Stopped', failed: 'Failed' };
const longestLog = 500;  // lines
const maximumSamples = 20;

let run = null;  // the last answer, without the lines
let offsets = { metrics: 0, log: 0 };  // of the lines that come next
let malformed = 0;
let lines = [], samples = [];
let lostAt = null, problem = '';
let hovered = null;  // the step under the pointer
let isFollowing = true;  // the cursor is at the last step

const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
const count = (value) => Math.round(value).toLocaleString('en');

/**
 * Asks without an end. While the run goes on, the server answers once it has something new, so that the page hears of
 * the end before the process ends.
 */
async function follow() {
  for (;;) {
    let pause = 0;
    try {
      const waits = !lostAt && run?.state === 'running';
      const path = `run?metrics=${offsets.metrics}&log=${offsets.log}${waits ? '&wait=true' : ''}`;
      const response = await request(path, { signal: AbortSignal.timeout(30_000) });
      take(await response.json());
      [lostAt, problem] = [null, ''];
      // Another run may begin at this address.
      if (run.state !== 'running') pause = 5000;
    } catch (error) {
      lostAt ??= new Date();
      problem = error.status ? `The server says: ${error.message}` : '';
      pause = 2000;
    }
    requestAnimationFrame(show);
    await sleep(pause);
  }
}

function take({ metrics, log, ...answer }) {
  const isOther = run && run.id !== answer.id;
  run = answer;
  if (isOther) {
    // The files of another run are read from their beginning.
    offsets = { metrics: 0, log: 0 };
    [lines, samples, malformed, isFollowing] = [[], [], 0, true];
    clear();
    return;
  }
  offsets = { metrics: metrics.end, log: log.end };
  for (const line of metrics.text.split('\n')) {
    if (line && !takeMetrics(line, run.tokens_per_step)) malformed += 1;
  }
  const added = log.text.split('\n').filter((line) => line);
  lines = [...lines, ...added].slice(-longestLog);
  for (const line of added) {
    const match = /^\S+ step (\d+) writes: (.*)$/.exec(line);
    if (match) samples = [{ step: Number(match[1]), text: match[2] }, ...samples].slice(0, maximumSamples);
  }
}

function show() {
  showConnection();
  if (!run) return;
  showState();
  showProgress();
  showCurves();
  showRows();
  showSamples();
  showLog();
}

/** What happened as far as the page knows. The process may end before it has told. */
const state = () => (run.state === 'running' && lostAt && last() >= run.steps ? 'finished' : run.state);

function showConnection() {
  const texts = [];
  if (lostAt && (!run || state() === 'running')) {
    const time = lostAt.toLocaleTimeString('en', { hour12: false });
    texts.push(problem || `No connection to the run since ${time}: it has ended, or this page cannot reach it. `
      + 'What is shown is what was known then.');
  }
  if (malformed) {
    texts.push(malformed === 1 ? 'A line of metrics.jsonl cannot be read, and is left out.'
      : `${malformed} lines of metrics.jsonl cannot be read, and are left out.`);
  }
  element('problem').hidden = !texts.length;
  if (element('problem').textContent !== texts.join(' ')) element('problem').textContent = texts.join(' ');
}

function showState() {
  const isLost = lostAt && state() === 'running';
  const text = isLost ? 'No connection' : states[state()];
  element('name').textContent = run.name;
  element('state').className = isLost ? 'lost' : state();
  if (element('state').textContent !== text) element('state').textContent = text;
  element('failure').hidden = !run.message;
  if (run.message) element('failure').textContent = `The run failed: ${run.message}`;
  const done = run.steps ? Math.floor(last() / run.steps * 100) : 0;
  document.title = `${state() === 'running' ? `${done} %` : text} · ${run.name} – Wideband`;
}

function showProgress() {
  const part = Math.min(1, last() / run.steps);
  const perStep = valueAt('step_seconds', last());
  element('steps').textContent = last() ? `Step ${count(last())} of ${count(run.steps)}, ${Math.floor(part * 100)} %`
    : 'Waiting for the first step';
  element('left').textContent = state() === 'running' && !lostAt && perStep && last() < run.steps
    ? `about ${duration((run.steps - last()) * perStep)} left` : '';
  element('tokens').textContent = last() ? `${count(last() * run.tokens_per_step)} tokens` : '';
  element('elapsed').textContent = `this process: ${duration(run.seconds)}`;
  const track = element('track');
  Object.assign(track, { ariaValueMax: run.steps, ariaValueNow: last() });
  track.firstElementChild.style.width = `${part * 100}%`;
}

function showCurves() {
  const byTokens = element('axis').value === 'tokens';
  const from = Math.floor(last() * (1 - Number(element('range').value)));
  Object.assign(cursor, { min: Math.min(from + 1, last()), max: last(), disabled: !last() });
  if (isFollowing) cursor.value = last();
  const chosen = hovered === null ? (isFollowing ? null : Number(cursor.value))
    : Math.min(last(), Math.max(1, hovered));
  const step = chosen ?? last();
  element('reading').textContent = `at step ${count(step)}${chosen === null ? ', the last one' : ''}`;
  draw(element('curves'), {
    from, scale: byTokens ? run.tokens_per_step : 1, unit: byTokens ? 'tokens' : 'step', cursor: chosen, point,
  });
}

function point(step) {
  hovered = step;
  requestAnimationFrame(showCurves);
}

function showRows() {
  const text = (value) => (/^\d{4,}$/.test(value) ? count(Number(value)) : value);
  element('rows').replaceChildren(
    ...run.rows.flatMap(([name, value]) => [make('dt', '', name), make('dd', '', text(value))]));
}

function showSamples() {
  element('no-samples').hidden = samples.length > 0;
  if (element('samples').firstElementChild?.dataset.step === String(samples[0]?.step)) return;
  element('samples').replaceChildren(...samples.map(({ step, text }) => {
    const node = make('li', '', make('h3', '', `Step ${count(step)}`), make('p', '', text));
    node.dataset.step = step;
    return node;
  }));
}

function showLog() {
  const box = element('lines');
  const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 8;
  const text = lines.join('\n');
  if (box.textContent === text) return;
  box.textContent = text;
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}

/** Seconds in the two units that matter. */
function duration(seconds) {
  const all = Math.round(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  if (all < 48 * 3600) return `${Math.floor(all / 3600)} h ${Math.floor(all % 3600 / 60)} min`;
  return `${Math.floor(all / 86_400)} d ${Math.floor(all % 86_400 / 3600)} h`;
}

cursor.addEventListener('input', () => {
  isFollowing = Number(cursor.value) >= last();
  showCurves();
});
for (const id of ['axis', 'range']) element(id).addEventListener('change', () => run && showCurves());
element('log').addEventListener('toggle', () => { element('lines').scrollTop = element('lines').scrollHeight; });
addEventListener('resize', () => run && showCurves());
follow();
