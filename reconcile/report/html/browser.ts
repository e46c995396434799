/**
 * What the page does in the browser: filters, searches, and draws a panel when it comes near the window. The page holds the
 * source text of these functions (script.ts): they may use each other, those of draw.ts and what script.ts shares.
 */
import { drawBody, drawHead, escapeHtml, grid, layOut } from './draw.ts';
import { cableWords, type Facet, facetWords, type Panel, type Picture } from './model.ts';

interface Entry {
  readonly panel: Panel;
  readonly item: HTMLElement;
  readonly head: HTMLElement;
  readonly body: HTMLElement;
  /** What the search looks through, in lower case. */
  readonly text: string;
}

/** Starts the page. */
function startPage(): void {
  const picture: Picture = JSON.parse(need('data').textContent);
  const width = stripWidth(picture);
  document.documentElement.style.setProperty('--wires', `${width}px`);
  const entries = picture.panels.map((panel) => makeEntry(panel, picture));
  const list = need('panels');
  list.append(...entries.map(({ item }) => item));
  const filter = makeFilter(picture, entries);
  drawWhenNear(entries, picture, width);
  listenToKeys(entries, filter);
  list.addEventListener('click', ({ target }) => {
    const net = target instanceof Element ? target.closest<HTMLElement>('[data-net]')?.dataset.net : undefined;
    if (net !== undefined) filter.search(`net:${picture.networks[Number(net)] ?? ''}`);
  });
  need('networks').append(...networkRows(picture, filter));
  // The browser goes to the address of itself once all is there, and takes the focus away with that.
  addEventListener('load', () => requestAnimationFrame(() => toPanel(entries)));
  addEventListener('hashchange', () => toPanel(entries));
}

function need(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}

function make(tag: string, className: string, text = ''): HTMLElement {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** Whether the strip leaves no room for rows beside it: they stand below then. */
function isWide(panel: Panel): boolean {
  return layOut(panel).width > grid.widest;
}

/** That of the widest strip with rows beside it, so that networks stand in line over the whole fleet. */
function stripWidth({ panels }: Picture): number {
  const beside = panels.filter((panel) => !isWide(panel));
  return beside.reduce((found, panel) => Math.max(found, layOut(panel).width), 60) + 46;
}

/** A panel as it stands before it is drawn: its name, and room for the rest. */
function makeEntry(panel: Panel, { networks }: Picture): Entry {
  const key = `${panel.kind === 'pod' ? 'pod/' : ''}${panel.ns}/${panel.name}`;
  const item = make('li', isWide(panel) ? 'vm wide' : 'vm');
  item.id = key;
  const rows =
    Math.max(2.4, panel.cables.length) + (panel.blocks?.length ?? 0) * 2 + (panel.steps === undefined ? 0 : 1.5);
  item.style.setProperty('--rows', String(rows));
  const head = make('div', 'head');
  const title = make('h2', '');
  const link = document.createElement('a');
  link.href = `#${encodeURIComponent(key)}`;
  link.append(make('span', 'ns', `${panel.ns}/`), panel.name);
  title.append(link);
  head.append(title);
  const body = make('div', 'body');
  item.append(head, body);
  const words = [
    key,
    panel.run ?? '',
    panel.at ?? '',
    ...panel.is.map((facet) => facetWords[facet].word),
    ...(panel.blocks ?? []).map(({ code, text }) => `${code} ${text}`),
    ...panel.cables.flatMap(({ name, net, mac, is }) => [
      name,
      mac ?? '',
      cableWords[is].word,
      net === undefined ? 'default network' : `net:${networks[net]} `,
    ]),
  ];
  return { panel, item, head, body, text: `${words.join('\n').toLowerCase()}\n` };
}

interface Filter {
  readonly search: (text: string) => void;
  readonly clear: () => void;
}

function makeFilter(picture: Picture, entries: readonly Entry[]): Filter {
  const box = need('search') as HTMLInputElement;
  const pressed = new Set<Facet>();
  const buttons = new Map<Facet, HTMLElement>();
  const show = (): void => {
    const words = box.value
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '');
    // A whole network is meant, and not each whose name begins so.
    const wanted = words.map((word) => (word.startsWith('net:') && word.includes('/') ? `${word} ` : word));
    let shown = 0;
    for (const { panel, item, text } of entries) {
      const fits =
        (pressed.size === 0 || panel.is.some((facet) => pressed.has(facet))) &&
        wanted.every((word) => text.includes(word));
      item.hidden = !fits;
      if (fits) shown += 1;
    }
    for (const [facet, button] of buttons) button.setAttribute('aria-pressed', String(pressed.has(facet)));
    const all = entries.length.toLocaleString('en');
    need('shown').textContent =
      shown === entries.length ? `${all} shown` : `${shown.toLocaleString('en')} of ${all} shown`;
    need('nothing').hidden = shown > 0 || entries.length === 0;
    need('clear').hidden = box.value === '' && pressed.size === 0;
  };
  for (const facet of Object.keys(facetWords) as Facet[]) {
    const number = entries.filter(({ panel }) => panel.is.includes(facet)).length;
    if (number === 0) continue;
    const { sign, label, tone } = facetWords[facet];
    const button = make('button', `chip t-${tone}`);
    button.setAttribute('type', 'button');
    const mark = make('span', 'sign', sign);
    mark.setAttribute('aria-hidden', 'true');
    button.append(mark, facet === 'calm' ? picture.calm : label, ' ', make('b', '', number.toLocaleString('en')));
    button.addEventListener('click', () => {
      if (!pressed.delete(facet)) pressed.add(facet);
      show();
    });
    buttons.set(facet, button);
  }
  need('filters').append(...buttons.values());
  box.addEventListener('input', show);
  const clear = (): void => {
    box.value = '';
    pressed.clear();
    show();
  };
  need('clear').addEventListener('click', () => {
    clear();
    box.focus();
  });
  show();
  return {
    search(text) {
      box.value = text;
      show();
      scrollTo({ top: 0 });
    },
    clear,
  };
}

/** Draws what comes near the window, once; and all of it where the page is printed. */
function drawWhenNear(entries: readonly Entry[], picture: Picture, width: number): void {
  const waiting = new Map<Element, Entry>(entries.map((entry) => [entry.item, entry]));
  const observer = new IntersectionObserver(
    (seen) => {
      for (const { isIntersecting, target } of seen) if (isIntersecting) draw(target);
    },
    { rootMargin: '600px 0px' },
  );
  const draw = (item: Element): void => {
    const entry = waiting.get(item);
    if (entry === undefined) return;
    waiting.delete(item);
    observer.unobserve(item);
    entry.head.insertAdjacentHTML('beforeend', drawHead(entry.panel, picture.calm));
    const wires = isWide(entry.panel) ? layOut(entry.panel).width + 46 : width;
    entry.body.innerHTML = drawBody(entry.panel, picture.networks, wires);
    for (const details of entry.body.querySelectorAll('details')) details.open = entries.length <= 5;
    const ports = entry.body.querySelector('.ports');
    for (const jack of entry.body.querySelectorAll('.jack')) {
      for (const type of ['focus', 'pointerenter']) {
        jack.addEventListener(type, () => ports?.replaceChildren(jack.getAttribute('aria-label') ?? ''));
      }
      for (const type of ['blur', 'pointerleave']) {
        jack.addEventListener(type, () => ports?.replaceChildren(entry.panel.ports ?? ''));
      }
    }
    // A strip is one stop of the Tab key; arrows go from jack to jack.
    entry.body.querySelector('.jack')?.setAttribute('tabindex', '0');
  };
  for (const { item } of entries) observer.observe(item);
  addEventListener('beforeprint', () => {
    for (const [item] of [...waiting]) if (item instanceof HTMLElement && !item.hidden) draw(item);
  });
}

function listenToKeys(entries: readonly Entry[], filter: Filter): void {
  addEventListener('keydown', (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const box = need('search');
    if (key === '/' && target !== box) box.focus();
    else if (key === 'Escape' && target === box) filter.clear();
    else if (!(target instanceof Element) || !step(entries, target, key)) return;
    event.preventDefault();
  });
}

/** Arrows: between jacks of a strip, else between the names of panels. */
function step(entries: readonly Entry[], from: Element, key: string): boolean {
  const along = { ArrowRight: 1, ArrowLeft: -1, Home: -1e6, End: 1e6 }[key];
  const down = { ArrowDown: 1, ArrowUp: -1, Home: -1e6, End: 1e6 }[key];
  const jacks = [...(from.closest('.jacks')?.children ?? [])].filter((jack) => jack instanceof SVGElement);
  const at = jacks.findIndex((jack) => jack.isSameNode(from));
  if (at >= 0) {
    const next = along === undefined ? undefined : jacks[Math.min(jacks.length - 1, Math.max(0, at + along))];
    for (const jack of jacks) if (next !== undefined) jack.setAttribute('tabindex', jack === next ? '0' : '-1');
    next?.focus();
    return next !== undefined;
  }
  const shown = entries.filter(({ item }) => !item.hidden).flatMap(({ head }) => head.querySelector('a') ?? []);
  const here = shown.findIndex((link) => link.isSameNode(from));
  if (down === undefined || (here < 0 && !(from.id === 'search' && key === 'ArrowDown'))) return false;
  shown[Math.min(shown.length - 1, Math.max(0, here + down))]?.focus();
  return true;
}

/** The networks by name: a button each, with the number of its cables by state. */
function networkRows({ networks, panels }: Picture, filter: Filter): HTMLElement[] {
  const counts = networks.map(() => new Map<string, number>());
  for (const { net, is } of panels.flatMap(({ cables }) => cables)) {
    const count = net === undefined ? undefined : counts[net];
    count?.set(is, (count.get(is) ?? 0) + 1);
  }
  need('networks-count').textContent = networks.length.toLocaleString('en');
  const order = networks.map((_, index) => index).sort((a, b) => ((networks[a] ?? '') < (networks[b] ?? '') ? -1 : 1));
  return order.map((index) => {
    const name = networks[index] ?? '';
    const row = make('li', '');
    const button = make('button', 'link', name);
    button.setAttribute('type', 'button');
    button.addEventListener('click', () => filter.search(`net:${name}`));
    row.append(button);
    for (const [state, { sign, word }] of Object.entries(cableWords)) {
      const number = counts[index]?.get(state);
      if (number === undefined) continue;
      row.insertAdjacentHTML(
        'beforeend',
        ` <span class="t-${escapeHtml(state)}" title="${escapeHtml(word)}"><span class="sign" aria-hidden="true">${sign}</span>${number}<span class="unseen"> ${escapeHtml(word)}</span></span>`,
      );
    }
    return row;
  });
}

/** Goes to the panel that the address names. */
function toPanel(entries: readonly Entry[]): void {
  const hash = location.hash.slice(1);
  const entry = entries.find(({ item: { id } }) => id === hash || encodeURIComponent(id) === hash);
  if (entry === undefined) return;
  entry.item.scrollIntoView({ block: 'start' });
  entry.head.querySelector('a')?.focus({ preventScroll: true });
}

export const browserFunctions = [
  need,
  make,
  isWide,
  stripWidth,
  makeEntry,
  makeFilter,
  drawWhenNear,
  listenToKeys,
  step,
  networkRows,
  toPanel,
  startPage,
] as const;
