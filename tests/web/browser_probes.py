"""What the browser tests ask a page, as JavaScript that returns plain data."""

from __future__ import annotations

HEADINGS = "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => Number(h.tagName[1]))"
"""Levels of all headings in order."""

PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Done when what was changed has been painted."""

OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"

TOO_WIDE = """() => {
  const root = document.documentElement, wide = root.clientWidth;
  const inBox = each => { for (let up = each.parentElement; up; up = up.parentElement)
    if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(up).overflowX) && up.getBoundingClientRect().right <= wide + 1) return true;
    return false; };
  const over = [...document.body.querySelectorAll('*')].filter(each => each.checkVisibility() &&
    each.getBoundingClientRect().right > wide + 1 && !inBox(each));
  return {page: root.scrollWidth, window: wide, over: over.slice(0, 5).map(each => each.outerHTML.slice(0, 120))};
}"""
"""Whether the page scrolls sideways, and what sticks out of it without a box of its own that scrolls."""

NAMELESS = """() => [...document.querySelectorAll('svg, img, [role=region], nav')].filter(each => {
  const label = each.getAttribute('aria-label') || each.getAttribute('alt') ||
    (each.getAttribute('aria-labelledby') || '').split(' ').map(id => document.getElementById(id)?.textContent || '').join('') ||
    (each.tagName === 'svg' && each.querySelector(':scope > title')?.textContent) || '';
  const told = each.getAttribute('aria-describedby');
  return !label.trim() || (told && !document.getElementById(told)?.textContent) ||
    (each.tagName === 'svg' && each.getAttribute('role') !== 'img');
}).map(each => each.outerHTML.slice(0, 120))"""
"""Pictures and regions that a screen reader could not name."""

FAINT = """() => {
  const parse = text => { const found = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith('color(srgb') ? [found[0] * 255, found[1] * 255, found[2] * 255, found[3] ?? 1]
      : [found[0], found[1], found[2], found[3] ?? 1]; };
  const over = (top, under) => top.slice(0, 3).map((each, at) => each * top[3] + under[at] * (1 - top[3])).concat(1);
  const light = colour => { const [r, g, b] = colour.slice(0, 3).map(each => each / 255)
      .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (one, other) => { const [a, b] = [light(one), light(other)].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); };
  const fade = (colour, node, stop) => { let left = colour[3];
    for (let up = node; up && up !== stop; up = up.parentElement) left *= Number(getComputedStyle(up).opacity);
    return [...colour.slice(0, 3), left]; };
  const behind = node => { const layers = [];
    for (let up = node; up; up = up.parentElement) layers.push(parse(getComputedStyle(up).backgroundColor));
    return layers.reverse().reduce((under, each) => over(each, under), [255, 255, 255, 1]); };
  const painted = (text, svg) => { const box = text.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
    let colour = behind(svg.parentElement);
    for (const shape of svg.querySelectorAll('rect, polygon, text')) {
      if (shape === text) break;
      const at = shape.getBoundingClientRect();
      if (shape.tagName === 'text' || x < at.left || x > at.right || y < at.top || y > at.bottom) continue;
      const style = getComputedStyle(shape);
      if (style.fill === 'none') continue;
      const fill = parse(style.fill);
      colour = over(fade([...fill.slice(0, 3), fill[3] * Number(style.fillOpacity)], shape, svg), colour);
    }
    return colour; };
  const faint = [], seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement;
    if (!node.textContent.trim() || ['TITLE', 'DESC', 'STYLE'].includes(holder.tagName.toUpperCase()) ||
        !holder.checkVisibility({opacityProperty: true})) continue;
    const style = getComputedStyle(holder), svg = holder.closest('svg');
    const under = svg ? painted(holder, svg) : behind(holder);
    const ink = over(fade(parse(svg ? style.fill : style.color), holder, svg), under);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const found = ratio(ink, under), needed = large ? 3 : 4.5;
    count += 1;
    if (found < needed) { const told = `${found.toFixed(2)} ${holder.outerHTML.slice(0, 110)}`;
      if (!seen.has(told)) { seen.add(told); faint.push(told); } }
  }
  return {count, faint: faint.slice(0, 12)};
}"""
"""Texts whose contrast with what is painted behind them is below WCAG 2.2 AA (4.5; 3 for large text)."""

HIDDEN_IN_PRINT = """() => [...document.querySelectorAll('details:not(.step, .deep)')].filter(each =>
  ![...each.children].filter(child => child.tagName !== 'SUMMARY').every(child => child.checkVisibility({contentVisibilityAuto: true})
    && child.getBoundingClientRect().height >= 0)
  || [...each.children].some(child => child.tagName !== 'SUMMARY' && child.innerText.trim() && child.getBoundingClientRect().height === 0)
).map(each => each.querySelector('summary').innerText)"""
"""Folded parts that would stay folded on paper."""
