/// The style sheet of a report, with light, dark and print styles.
enum ReportStyle {
  static let sheet = """
    :root {
      color-scheme: light dark;
      --page: #fbfbf9; --card: #ffffff; --text: #1d2126; --muted: #59626d; --rule: #dfe2e6; --mark: #fff5d6;
      --run0: #0b62a4; --run1: #b84a00; --run2: #00734f; --run3: #95397a; --run4: #7a5c00; --run5: #5a4bc4;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --page: #14171b; --card: #1c2026; --text: #e7eaee; --muted: #a2abb6; --rule: #363d46; --mark: #3a3216;
        --run0: #6cb6f5; --run1: #ff9e5c; --run2: #4fd1a5; --run3: #f09acb; --run4: #e0c04c; --run5: #ada2ff;
      }
    }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 76rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
    h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
    h2 { font-size: 1.15rem; margin: 0; }
    h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
    header p { max-width: 46rem; margin: .25rem 0; color: var(--muted); }
    section { margin-top: 2.5rem; }
    section > h2 { margin-bottom: .75rem; }
    small { color: var(--muted); font-weight: 400; }
    .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1.25rem; }
    figure, .scroll, blockquote {
      margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
    }
    figure { padding: 1.25rem; align-self: start; min-width: 0; }
    .legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.25rem; margin: .35rem 0 .5rem; padding: 0; }
    .swatch { width: 30px; height: 12px; margin-right: .5rem; vertical-align: middle; overflow: visible; }
    .chart { display: block; width: 100%; height: auto; }
    svg text { fill: var(--muted); font: 13px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
    svg .end { fill: var(--run); font-weight: 600; }
    .grid { stroke: var(--rule); fill: none; }
    .axis { stroke: var(--muted); fill: none; }
    .line { stroke: var(--run); stroke-width: 2; fill: none; stroke-linejoin: round; stroke-linecap: round; }
    circle, rect, .mark { fill: var(--run); }
    .run0 { --run: var(--run0); } .run1 { --run: var(--run1); } .run2 { --run: var(--run2); }
    .run3 { --run: var(--run3); } .run4 { --run: var(--run4); } .run5 { --run: var(--run5); }
    .run1 .line { stroke-dasharray: 9 4; } .run2 .line { stroke-dasharray: 2 4; } .run3 .line { stroke-dasharray: 12 4 2 4; }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
    th, td { padding: .5rem .9rem; text-align: right; vertical-align: bottom; border-bottom: 1px solid var(--rule); }
    th:first-child, .words th, .words td { text-align: left; }
    thead th { font-size: .875rem; line-height: 1.3; }
    tbody th { font-weight: 500; }
    tbody tr:last-child > * { border-bottom: 0; }
    .differs { background: var(--mark); }
    blockquote { padding: .9rem 1.1rem; white-space: pre-wrap; overflow-wrap: anywhere; font-family: Georgia, serif; }
    blockquote + blockquote { margin-top: .75rem; }
    details { margin-top: .75rem; }
    details .scroll { margin-top: .5rem; max-height: 24rem; overflow: auto; }
    summary { cursor: pointer; color: var(--muted); }
    :focus-visible { outline: 2px solid var(--run0); outline-offset: 2px; }
    @media print { body { background: none; } figure, blockquote { break-inside: avoid; } }
    """
}
