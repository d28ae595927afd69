// A small subset of Markdown as DOM nodes: paragraphs, headings, fenced code, lists, `code` and **bold**. The rest,
// HTML included, is shown as it is. Nodes get their text by textContent, so that no text can become markup.

const fence = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const item = /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)/;
const heading = /^ {0,3}#{1,6}\s+(.*?)\s*#*$/;
const deepest = 8;  // levels of lists; text of a model may nest without end

/** An element with a class and children, which are nodes or strings. */
export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/**
 * Shows `text` in `element`. Blocks that are the same as last time keep their nodes, so that text can be selected while
 * it streams.
 */
export function showMarkdown(element, text) {
  const blocks = split(text.split('\n'));
  const old = element.blocks ?? [];
  blocks.forEach((block, index) => {
    const source = `${block.kind}\n${block.lines.join('\n')}`;
    if (old[index] === source) return;
    const node = render(block, 0);
    if (index < old.length) element.children[index].replaceWith(node); else element.append(node);
    old[index] = source;
  });
  while (old.length > blocks.length) {
    element.lastElementChild.remove();
    old.pop();
  }
  element.blocks = old;
}

/** Lines as blocks: `{ kind: 'code' | 'list' | 'heading' | 'paragraph', lines }`. */
function split(lines) {
  const blocks = [];
  for (let at = 0; at < lines.length;) {
    const start = at;
    const opening = fence.exec(lines[at]);
    let kind = 'paragraph';
    if (!lines[at].trim()) {
      at += 1;
      continue;
    } else if (opening) {
      kind = 'code';
      const closing = new RegExp(`^ {0,3}${opening[1][0]}{${opening[1].length},}\\s*$`);
      do at += 1; while (at < lines.length && !closing.test(lines[at]));
      at += 1;
    } else if (item.test(lines[at])) {
      kind = 'list';
      do at += 1; while (at < lines.length && inList(lines, at, isNumbered(lines[start])));
    } else if (heading.test(lines[at])) {
      kind = 'heading';
      at += 1;
    } else {
      do at += 1; while (at < lines.length && !begins(lines[at]));
    }
    blocks.push({ kind, lines: lines.slice(start, at) });
  }
  return blocks;
}

const begins = (line) => !line.trim() || fence.test(line) || item.test(line) || heading.test(line);

const isNumbered = (line) => /^ *\d/.test(line);

/** Whether a list goes on: with a further item, a line that is indented or goes on with a paragraph, or blank lines. */
function inList(lines, at, numbered) {
  const further = (line) => /^( {2}|\t)/.test(line) || (item.test(line) && isNumbered(line) === numbered);
  if (lines[at].trim()) return further(lines[at]) || (Boolean(lines[at - 1].trim()) && !begins(lines[at]));
  while (at < lines.length && !lines[at].trim()) at += 1;
  return at < lines.length && further(lines[at]);
}

function render({ kind, lines }, depth) {
  if (kind === 'code') return codeBlock(lines);
  if (kind === 'list' && depth < deepest) return list(lines, depth);
  if (kind === 'heading') return make('h4', '', ...inline(heading.exec(lines[0])[1]));
  return make('p', '', ...inline(lines.join('\n')));
}

function codeBlock(lines) {
  const [, marks, language] = fence.exec(lines[0]);
  // The last line closes the block, unless the text has not come so far.
  const closed = lines.length > 1 && lines.at(-1).trim().startsWith(marks);
  const code = make('code', '', lines.slice(1, closed ? -1 : undefined).join('\n'));
  const pre = make('pre', '', code);
  pre.tabIndex = 0;  // the arrow keys scroll it
  const copy = make('button', 'copy', 'Copy code');
  copy.type = 'button';
  copy.addEventListener('click', () => copyText(code.textContent, copy));
  return make('figure', 'code', make('figcaption', '', language || 'code', copy), pre);
}

function list(lines, depth) {
  const marker = item.exec(lines[0]);
  const node = make(isNumbered(lines[0]) ? 'ol' : 'ul', '');
  if (isNumbered(lines[0])) node.start = parseInt(marker[2], 10);
  let content = [], width = 0;
  const close = () => {
    if (content.length) node.append(make('li', '', ...split(content).map((block) => render(block, depth + 1))));
  };
  for (const line of lines) {
    const found = item.exec(line);
    if (found && (!content.length || found[1].length < width)) {
      close();
      width = found[0].trimEnd().length + 1;
      content = [line.slice(found[0].length)];
    } else {
      // The indentation of the item's text goes; a list of a list keeps what is beyond it.
      content.push(line.replace(/^\t/, '    ').replace(new RegExp(`^ {0,${width}}`), ''));
    }
  }
  close();
  return node;
}

// The lengths are bounded, so that marks without an end cost no more than their number.
const span = /(?<!`)(`+)(?!`)(.{1,2000}?)(?<!`)\1(?!`)|\*\*(?=\S)(.{1,2000}?)(?<=\S)\*\*/gs;

/** Text with `code` and **bold** as nodes and strings. */
function inline(text) {
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(span)) {
    nodes.push(text.slice(end, found.index));
    nodes.push(found[1] ? make('code', '', found[2]) : make('strong', '', ...inline(found[3])));
    end = found.index + found[0].length;
  }
  nodes.push(text.slice(end));
  return nodes;
}

/** Puts text on the clipboard and says so on the button. Without HTTPS browsers have only the old way. */
export async function copyText(text, button) {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text); else copyBySelection(text);
    say(button, 'Copied');
  } catch {
    say(button, 'Not copied');
  }
}

function say(button, text) {
  button.dataset.label ??= button.textContent;
  button.textContent = text;
  setTimeout(() => { button.textContent = button.dataset.label; }, 1500);
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const area = make('textarea', 'hidden');
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  focused?.focus();
  if (!done) throw new Error('copy');
}
