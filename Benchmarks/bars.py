"""A chart of horizontal bars in groups as SVG: one file without scripts or fonts, for light and dark surroundings."""

from html import escape

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif; fill: #1d2126; font-variant-numeric: tabular-nums; }
.title { font-size: 16px; font-weight: 600; }
.muted, .value { fill: #59626d; }
.value { font-size: 12px; }
.ground { fill: #fbfbf9; stroke: #dfe2e6; }
.rule { stroke: #c3c8ce; }
.mark { stroke: #0b62a4; stroke-width: 2; }
.wideband, .plain { fill: #0b62a4; } .direct { fill: #4c9ad6; } .compile, .llama { fill: #b84a00; } .eager, .transformers { fill: #8a929c; }
@media (prefers-color-scheme: dark) {
text { fill: #e7eaee; }
.muted, .value { fill: #a2abb6; }
.ground { fill: #14171b; stroke: #363d46; }
.rule { stroke: #4a525c; }
.mark { stroke: #6cb6f5; }
.wideband, .plain { fill: #6cb6f5; } .direct { fill: #b3d9fa; } .compile, .llama { fill: #ff9e5c; } .eager, .transformers { fill: #7d8792; }
}
"""

WIDTH, RIGHT = 860, 130
BAR, GAP, BETWEEN, TOP = 14, 2, 14, 92


def chart(title, note, series, groups, left, mark=None):
    """`series` is [(arm, name)]; `groups` is [(name, detail, [(value, text) or None for each series])]; `mark` is
    (value, name) of a line across all groups; bars begin at `left`."""
    widest = max(value for _, _, bars in groups for value, _ in filter(None, bars))
    scale = (WIDTH - left - RIGHT) / widest
    step = len(series) * (BAR + GAP) - GAP + BETWEEN
    bottom = TOP + len(groups) * step - BETWEEN
    height = bottom + 26
    out = []

    def text(x, y, words, style="", anchor="start"):
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>')

    text(24, 34, title, "title")
    text(24, 54, note, "muted")
    x = left
    for arm, name in series:
        out.append(f'<rect class="{arm}" x="{x}" y="66" width="12" height="12" rx="2"/>')
        text(x + 18, 76, name)
        x += 34 + 7.5 * len(name)
    out.append(f'<path class="rule" d="M{left} {TOP - 6}V{bottom + 6}"/>')
    for i, (name, detail, bars) in enumerate(groups):
        top = TOP + i * step
        middle = top + (step - BETWEEN) / 2 + 4.5
        text(24, middle, name)
        text(left - 12, middle, detail, "muted", "end")
        for j, ((arm, _), bar) in enumerate(zip(series, bars)):
            y = top + j * (BAR + GAP)
            if bar is None:
                text(left + 6, y + 11, "not measured", "value")
                continue
            length = max(bar[0] * scale, 1)
            out.append(f'<rect class="{arm}" x="{left}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>')
            text(left + length + 6, y + 11, bar[1], "value")
    if mark:
        x = left + mark[0] * scale
        out.append(f'<path class="mark" d="M{x:.1f} {TOP - 6}V{bottom + 6}"/>')
        text(x, bottom + 20, mark[1], "value", "middle")
    spoken = "; ".join(
        f"{name} {detail}: " + ", ".join(f"{label} {bar[1]}" for (_, label), bar in zip(series, bars) if bar)
        for name, detail, bars in groups)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
            f'aria-labelledby="title description">\n<title id="title">{escape(title)}</title>\n'
            f'<desc id="description">{escape(spoken)}</desc>\n<style>{STYLE}</style>\n'
            f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>\n'
            + "\n".join(out) + "\n</svg>\n")
