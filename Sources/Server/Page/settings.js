// The settings of the page, kept in the browser.

/** Reads JSON from a storage; a browser may refuse storage, and somebody may have changed what is there. */
export function load(storage, name, otherwise) {
  try { return JSON.parse(window[storage].getItem(name)) ?? otherwise; } catch { return otherwise; }
}

/** Writes JSON to a storage, where the browser lets it. */
export function store(storage, name, value) {
  try { window[storage].setItem(name, JSON.stringify(value)); } catch { /* It lasts until the page is left. */ }
}

const dialog = document.getElementById('settings');
const form = dialog.querySelector('form');
const fields = [...form.elements].filter((field) => field.name);
const name = 'wideband.settings';

const stored = load('localStorage', name, {});
for (const field of fields) field.value = stored[field.name] ?? '';

const save = () => store('localStorage', name, Object.fromEntries(fields.map((field) => [field.name, field.value])));
form.addEventListener('input', save);
document.getElementById('settings-open').addEventListener('click', openSettings);
document.getElementById('settings-reset').addEventListener('click', () => {
  form.reset();
  save();
});
dialog.addEventListener('close', () => document.dispatchEvent(new Event('settings-closed')));

/** Shows the settings; with the name of a field that one has the focus. */
export function openSettings(field) {
  dialog.showModal();
  if (typeof field === 'string') form.elements[field].focus();
}

/** The key that requests are sent with. */
export const apiKey = () => form.elements.key.value.trim();

/** The keys of a request that the settings ask for. The server checks the values: its sentence is shown. */
export function requestOptions() {
  const options = {};
  for (const field of fields) {
    if (field.type === 'number' && field.value !== '') options[field.name] = Number(field.value);
  }
  const thinking = form.elements.thinking.value;
  if (thinking) options.chat_template_kwargs = { enable_thinking: thinking === 'on' };
  return options;
}

/** The messages before a conversation. */
export function systemMessages() {
  const content = form.elements.system.value;
  return content.trim() ? [{ role: 'system', content }] : [];
}
