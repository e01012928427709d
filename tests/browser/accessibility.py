"""What is checked of every page for those who use a keyboard, a screen reader or weak eyes; as far as a script can."""

from __future__ import annotations

from playwright.async_api import Page

LEAST_CONTRAST = 4.5
LEAST_CONTRAST_OF_LARGE = 3.0
"""WCAG 2.2, 1.4.3; large is 24 px, or 18.66 px and bold."""

_STRUCTURE = """() => {
  const faults = [];
  const fault = (what, element) => faults.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  const text = (id) => document.getElementById(id)?.textContent.trim();
  const named = (element) =>
    element.getAttribute('aria-label')?.trim()
    || (element.getAttribute('aria-labelledby') || '').split(' ').map(text).filter(Boolean).join(' ')
    || (element.labels && [...element.labels].map((label) => label.textContent.trim()).join(' '))
    || element.textContent.trim()
    || element.querySelector('img[alt]:not([alt=""]), svg title')
    || element.title;
  if (!document.documentElement.lang) faults.push('the page has no language');
  if (!document.title.includes('ingestor')) faults.push('the title does not say whose page it is');
  if (document.querySelectorAll('h1').length !== 1) faults.push('there is not one h1');
  for (const landmark of ['header', 'main', 'footer'])
    if (document.querySelectorAll(`body > ${landmark}`).length !== 1) faults.push(`there is not one ${landmark}`);
  for (const region of document.querySelectorAll('nav, [role="region"], section'))
    if (!named(region) || (region.matches('section, nav') && !region.matches('[aria-label], [aria-labelledby]')))
      fault('a region without a name', region);
  for (const control of document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, meter'))
    if (!named(control)) fault('a control without a name', control);
  for (const image of document.querySelectorAll('img'))
    if (!image.alt) fault('a picture without words', image);
  for (const drawing of document.querySelectorAll('svg'))
    if (drawing.getAttribute('aria-hidden') !== 'true' && !named(drawing)) fault('a drawing without words', drawing);
  for (const table of document.querySelectorAll('table'))
    if (!table.querySelector('thead th[scope=col]')) fault('a table without column headings', table);
  const seen = new Set();
  for (const element of document.querySelectorAll('[id]')) {
    if (seen.has(element.id)) fault('an id twice', element);
    seen.add(element.id);
  }
  for (const element of document.querySelectorAll('[aria-labelledby], [aria-describedby]'))
    for (const name of ['aria-labelledby', 'aria-describedby'])
      for (const id of (element.getAttribute(name) || '').split(' ').filter(Boolean))
        if (!seen.has(id)) fault(`${name} of nothing`, element);
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const next = Number(heading.localName[1]);
    if (next > level + 1) fault('a heading that skips a level', heading);
    level = next;
  }
  for (const element of document.querySelectorAll('[tabindex]'))
    if (element.tabIndex > 0) fault('a tab order of its own', element);
  for (const live of document.querySelectorAll('[data-live]'))
    if (!live.id) fault('a live part that cannot be found again', live);
  return faults;
}"""

_CONTRAST = """([least, leastOfLarge]) => {
  const channels = (color) => {
    const found = color.match(/rgba?\\(([^)]+)\\)/);
    if (!found) return null;
    const [r, g, b, a = 1] = found[1].split(/[ ,/]+/).map(Number);
    return [r, g, b, a];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const luminance = (color) => {
    const [r, g, b] = color.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(channels(getComputedStyle(at).backgroundColor));
    return layers.filter((layer) => layer && layer[3] > 0).reverse()
      .reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.textContent.trim() || element.closest('script, noscript, title, .hidden, .skip, option, meter')) continue;
    if (!element.checkVisibility({ visibilityProperty: true }) || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const background = backgroundOf(element);
    const color = over(channels(element instanceof SVGElement ? style.fill : style.color), background);
    const [lighter, darker] = [luminance(color), luminance(background)].sort((a, b) => b - a);
    const contrast = (lighter + 0.05) / (darker + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (isLarge ? leastOfLarge : least))
      faults.push(`${contrast.toFixed(2)}: "${node.textContent.trim().slice(0, 60)}" (${element.className})`);
  }
  return faults;
}"""

_SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def faults_of(page: Page) -> list[str]:
    """All that is wrong with the page as it is now, in words."""
    structure: list[str] = await page.evaluate(_STRUCTURE)
    contrast: list[str] = await page.evaluate(_CONTRAST, [LEAST_CONTRAST, LEAST_CONTRAST_OF_LARGE])
    return structure + contrast


async def overflow_px(page: Page) -> int:
    """How far the page reaches over the side of the window."""
    return int(await page.evaluate(_SIDEWAYS))
