// Line charts as SVG, for the engine's last minute and for curves of training.

const space = 'http://www.w3.org/2000/svg';

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

function add(parent, tag, attributes, text) {
  const node = document.createElementNS(space, tag);
  set(node, attributes);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/** A step of 1, 2 or 5 times a power of ten, so that about `count` of them are `span`. */
function niceStep(span, count) {
  const power = 10 ** Math.floor(Math.log10(span / count));
  return power * [1, 2, 5, 10].find((factor) => span / (power * factor) <= count);
}

/** A number for people: three digits, or thousands and millions with their letter. */
export function short(value) {
  if (value === null || !Number.isFinite(value)) return '–';
  for (const [limit, letter] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    if (Math.abs(value) >= limit) return `${Number((value / (letter === 'k' ? 1e3 : limit)).toPrecision(3))} ${letter}`;
  }
  return String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}

/**
 * Draws lines into an <svg>, in the place of what is there. Its size is that of the element on the page.
 *
 * - `series`: `[{ name, points: [[x, y]…], color }]`; x ascends, a y of null interrupts the line, and color is one of
 *   run0 to run5 of the style sheet.
 * - `x`, `y`: `{ from, to, label }`. What is missing follows from the points; label turns a value, and the distance of
 *   two labels, into text, and an axis without one has no labels. A vertical line is at `x.mark`.
 * - `description`: what a screen reader says.
 *
 * Returns `{ xAt }`, which turns a distance from the left edge in pixels into an x.
 */
export function drawChart(svg, { series, x = {}, y = {}, description }) {
  const width = svg.clientWidth || 320, height = svg.clientHeight || 120;
  const shown = series.flatMap((line) => line.points).filter((point) => point[1] !== null);
  const extent = (axis, index) => {
    const values = shown.map((point) => point[index]);
    const from = axis.from ?? values.reduce((a, b) => Math.min(a, b), Infinity);
    const to = axis.to ?? values.reduce((a, b) => Math.max(a, b), -Infinity);
    return to > from ? [from, to] : Number.isFinite(from) ? [from, from + 1] : [0, 1];
  };
  const [left, right] = extent(x, 0);
  let [low, high] = extent(y, 1);
  const step = niceStep(high - low, Math.max(1, Math.floor(height / 40)));
  [low, high] = [Math.floor(low / step) * step, Math.ceil(high / step) * step];

  const margin = { left: y.label ? 44 : 4, right: 6, top: 8, bottom: x.label ? 20 : 4 };
  const tenths = (value) => Math.round(value * 10) / 10;
  const [inner, bottom] = [width - margin.left - margin.right, height - margin.bottom];
  const across = (value) => tenths(margin.left + (value - left) / (right - left) * inner);
  const down = (value) => tenths(bottom - (value - low) / (high - low) * (bottom - margin.top));

  svg.replaceChildren();
  set(svg, { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': description });
  for (let index = 0; index <= Math.round((high - low) / step); index += 1) {
    const value = low + index * step;
    const line = { x1: margin.left, x2: width - margin.right, y1: down(value), y2: down(value) };
    add(svg, 'line', { ...line, class: index ? 'grid' : 'axis' });
    if (!y.label) continue;
    add(svg, 'text', { x: margin.left - 6, y: down(value) + 4, 'text-anchor': 'end' }, y.label(value, step));
  }
  if (x.label) {
    const xStep = niceStep(right - left, Math.max(2, Math.floor(width / 90)));
    for (let index = Math.ceil(left / xStep); index * xStep <= right + xStep / 1e6; index += 1) {
      const at = across(index * xStep);
      const anchor = at > width - 24 ? 'end' : at < margin.left + 8 ? 'start' : 'middle';
      add(svg, 'text', { x: at, y: height - 4, 'text-anchor': anchor }, x.label(index * xStep, xStep));
    }
  }
  if (Number.isFinite(x.mark)) {
    add(svg, 'line', { x1: across(x.mark), x2: across(x.mark), y1: margin.top, y2: bottom, class: 'mark' });
  }
  for (const { name, points, color } of series) {
    const group = add(svg, 'g', { class: color });
    add(group, 'title', {}, name);
    let path = '', pen = 'M';
    for (const [at, value] of points) {
      if (value === null) pen = 'M';
      if (value === null || at < left || at > right) continue;
      path += `${pen}${across(at)} ${down(value)}`;
      pen = 'L';
    }
    add(group, 'path', { class: 'line', d: path });
    const end = points.at(-1);
    if (end && end[1] !== null) add(group, 'circle', { class: 'end', cx: across(end[0]), cy: down(end[1]), r: 3 });
  }
  return { xAt: (pixels) => left + (pixels - margin.left) / inner * (right - left) };
}
