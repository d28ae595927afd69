// The conversation: questions, streamed answers, and what can be done with them.

import { copyText, make, showMarkdown } from './markdown.js';
import { apiKey, load, openSettings, requestOptions, store, systemMessages } from './settings.js';
import { request, streamChat } from './stream.js';

const element = (id) => document.getElementById(id);
const [scroller, list, form, question] = ['scroller', 'messages', 'composer', 'question'].map(element);

// Questions and answers in turn: { role, content, reasoning, thinkingSeconds, tools, numbers, error, needsKey }.
let conversation = load('sessionStorage', 'wideband.conversation', []);
let cleared = [];
let running = null;  // the AbortController of the answer that is streaming
let draft = null;    // what was in the field before the last question came there to be edited
let model = null;

// Questions

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (running) running.abort(); else send();
});

question.addEventListener('keydown', (event) => {
  if (event.isComposing) return;  // Enter accepts what an input method suggests
  if (event.key === 'Enter' && !event.shiftKey) {
    event.preventDefault();
    if (!running) send();
  } else if (event.key === 'ArrowUp' && !question.value && !running) {
    event.preventDefault();
    edit();
  }
});

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.isComposing || document.querySelector('dialog[open]')) return;
  if (running) running.abort(); else if (draft !== null) endEditing();
});

function send() {
  const content = question.value;
  if (!content.trim()) return;
  if (draft !== null) {
    conversation.splice(-2);
    endEditing();
  } else {
    setQuestion('');
  }
  conversation.push({ role: 'user', content });
  answer();
}

function regenerate() {
  conversation.pop();
  scroller.focus({ preventScroll: true });  // the button that had the focus goes
  answer();
}

function edit() {
  if (running || !conversation.length) return;
  draft ??= question.value;
  setQuestion(conversation.at(-2).content);
  element('editing').hidden = false;
  question.focus();
}

function endEditing() {
  setQuestion(draft);
  draft = null;
  element('editing').hidden = true;
  question.focus();
}

function setQuestion(text) {
  question.value = text;
  resize();
}

/** Makes the field as high as its text, up to the limit of the style sheet. */
function resize() {
  question.style.height = 'auto';
  question.style.height = `${question.scrollHeight + question.offsetHeight - question.clientHeight}px`;
}

question.addEventListener('input', resize);
element('edit-cancel').addEventListener('click', endEditing);
element('clear').addEventListener('click', () => {
  running?.abort();
  running = null;
  if (conversation.length) cleared = conversation;
  conversation = [];
  if (draft !== null) endEditing();
  showConversation();
  question.focus();
});
element('undo').addEventListener('click', () => {
  conversation = cleared;
  cleared = [];
  showConversation();
  question.focus();
});

// Answers

/** The messages of a request. A question without an answer is left out: many templates insist on turns. */
function messages() {
  const turns = conversation.filter((message, index) =>
    index === conversation.length - 1 || (message.role === 'user' ? conversation[index + 1] : message).content);
  return [...systemMessages(), ...turns.map(({ role, content }) => ({ role, content }))];
}

/** Asks for an answer to the last question. */
async function answer() {
  const control = running = new AbortController();
  const body = {
    messages: messages(), stream: true, stream_options: { include_usage: true }, ...requestOptions(),
  };
  const message = { role: 'assistant', content: '', reasoning: '', tools: [] };
  conversation.push(message);
  showConversation();
  const view = list.lastElementChild;
  view.classList.add('streaming');
  setBusy(true);
  announce('The model answers.');
  scroller.scrollTop = scroller.scrollHeight;

  const started = performance.now();
  let first, last, usage, finish, frame = 0;
  const draw = () => {
    frame = 0;
    atBottom(() => showAnswer(view, message));
  };
  try {
    body.model = await modelName();
    for await (const chunk of streamChat(body, apiKey(), control.signal)) {
      usage = chunk.usage ?? usage;
      const choice = chunk.choices?.[0];
      finish = choice?.finish_reason ?? finish;
      if (!take(message, choice?.delta ?? {})) continue;
      last = performance.now();
      first ??= last;
      if (message.reasoning && !message.content) message.thinkingSeconds = (last - first) / 1000;
      frame ||= requestAnimationFrame(draw);
    }
  } catch (error) {
    if (control.signal.aborted) finish = 'stopped'; else Object.assign(message, inWords(error));
  }
  cancelAnimationFrame(frame);
  message.numbers = numbers({ started, first, last, usage, finish });
  if (running === control) running = null;
  view.classList.remove('streaming');
  if (!view.isConnected) return;  // the conversation was cleared meanwhile
  setBusy(false);
  draw();
  announce(message.error ?? (message.content || 'The answer has ended.'));
  save();
}

/** Adds what a chunk has to the answer; whether it has anything. */
function take(message, delta) {
  message.content += delta.content ?? '';
  message.reasoning += delta.reasoning_content ?? '';
  for (const part of delta.tool_calls ?? []) {
    const call = message.tools[part.index ?? 0] ??= { name: '', arguments: '' };
    call.name += part.function?.name ?? '';
    call.arguments += part.function?.arguments ?? '';
  }
  return Boolean(delta.content || delta.reasoning_content || delta.tool_calls?.length);
}

/** Speed and counts, as far as they are known: an answer that was stopped comes without counts. */
function numbers({ started, first, last, usage, finish }) {
  const parts = [];
  const generated = usage?.completion_tokens;
  if (generated > 1 && last > first) parts.push(`${((generated - 1) / (last - first) * 1000).toPrecision(3)} tokens/s`);
  if (first) parts.push(`first token after ${((first - started) / 1000).toFixed(2)} s`);
  if (usage) {
    const cached = usage.prompt_tokens_details?.cached_tokens;
    parts.push(`prompt ${usage.prompt_tokens}${cached ? ` (${cached} cached)` : ''}`, `generated ${generated}`);
  }
  if (finish === 'stopped') parts.push('stopped by you');
  if (finish === 'length') parts.push('ended at the token limit');
  return parts.join(' · ');
}

/** What went wrong, and what to do. */
function inWords(error) {
  const { message, status, retryAfter } = error;
  const said = `It says: ${message.replace(/\.?$/, '.')}`;
  const later = retryAfter === null ? 'Try again later.' : `Try again in ${retryAfter}\u00a0s.`;
  if (status === 401) return { error: `The server wants an API key. ${said}`, needsKey: true };
  if (status === 429) return { error: `The server has too many requests. ${said} ${later}` };
  if (status === 503) return { error: `The server takes no requests now. ${said} ${later}` };
  if (error instanceof TypeError) {
    return { error: 'The server cannot be reached, or the connection broke. Is it running?' };
  }
  return { error: message };
}

// Display

function showConversation() {
  list.replaceChildren(...conversation.map(messageView));
  element('empty').hidden = conversation.length > 0;
  element('undo').hidden = !cleared.length;
  element('clear').disabled = !conversation.length;
  setBusy(running !== null);
  save();
}

function save() {
  store('sessionStorage', 'wideband.conversation', conversation);
}

function messageView(message) {
  const user = message.role === 'user';
  const text = make('div', 'text', user ? message.content : '');
  const actions = make('div', 'actions');
  const view = make('li', `message ${message.role}`, make('h3', 'hidden', user ? 'Question' : 'Answer'), text, actions);
  action(actions, 'Copy', 'copy', (button) => copyText(message.content, button));
  if (user) {
    action(actions, 'Edit', 'last', edit);
  } else {
    action(actions, message.error ? 'Try again' : 'Regenerate', 'last regenerate', regenerate);
    view.insertBefore(make('p', 'numbers'), actions);
    showAnswer(view, message);
  }
  return view;
}

function action(parent, label, className, act) {
  const button = make('button', className, label);
  button.type = 'button';
  button.addEventListener('click', () => act(button));
  parent.append(button);
  return button;
}

/** Brings the view of an answer up to date. */
function showAnswer(view, message) {
  const text = view.querySelector(':scope > .text');
  if (message.reasoning) showThinking(view, message, text);
  showMarkdown(text, message.content);
  if (message.tools.length) {
    const tools = view.querySelector('.tools') ?? make('div', 'tools');
    tools.replaceChildren(...message.tools.filter(Boolean).map(toolCall));
    text.after(tools);
  }
  view.querySelector('.numbers').textContent = message.numbers ?? '';
  view.querySelector('.actions .copy').hidden = !message.content;
  if (message.error && !view.querySelector('.error')) {
    const error = make('p', 'error', message.error);
    if (message.needsKey) action(error, 'Enter the key', '', () => openSettings('key'));
    view.insertBefore(error, view.querySelector('.numbers'));
    view.querySelector('.regenerate').textContent = 'Try again';
  }
}

/** Thoughts are open until the answer begins, unless the reader decides. */
function showThinking(view, message, before) {
  let details = view.querySelector('.thinking');
  if (!details) {
    details = make('details', 'thinking', make('summary', ''), make('div', 'text'));
    details.firstChild.addEventListener('click', () => { details.decided = true; });
    before.before(details);
  }
  const thinking = view.classList.contains('streaming') && !message.content;
  if (!details.decided) details.open = thinking;
  const seconds = (message.thinkingSeconds ?? 0).toFixed(1);
  details.firstChild.textContent = thinking ? 'Thinking…' : `Thought for ${seconds} s`;
  showMarkdown(details.lastChild, message.reasoning);
}

function toolCall(call) {
  let input = call.arguments;
  try { input = JSON.stringify(JSON.parse(input), null, 2); } catch { /* It is not complete yet. */ }
  const pre = make('pre', '', make('code', '', `${call.name}(${input})`));
  pre.tabIndex = 0;
  return make('figure', '', make('figcaption', 'hint', 'Tool call'), pre);
}

/** Changes the conversation and stays at its end, unless the reader has scrolled up. */
function atBottom(change) {
  const follows = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  change();
  if (follows) scroller.scrollTop = scroller.scrollHeight;
}

function setBusy(busy) {
  document.body.classList.toggle('busy', busy);
  element('send').textContent = busy ? 'Stop' : 'Send';
}

/** Has a screen reader say something once. */
function announce(text) {
  element('status').textContent = text;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => { element('status').textContent = ''; }, 5000);
}

// The model

/** The name of the server's model; it may need a key that was not there before. */
async function modelName() {
  if (model !== null) return model;
  try {
    const response = await request('v1/models', { key: apiKey() });
    model = (await response.json()).data[0].id;
    element('model').textContent = model;
    document.title = `${model} – Wideband`;
  } catch { /* The request for an answer will say what is wrong. */ }
  return model ?? 'default';
}

document.addEventListener('settings-closed', modelName);
addEventListener('pagehide', save);
modelName();
showConversation();
scroller.scrollTop = scroller.scrollHeight;
