/**
 * Draws the panel of one VM or pod: data in, HTML and SVG out. These functions run in the browser, which gets their source
 * text (script.ts): they may use each other, what `shared` of script.ts lists, and nothing else.
 */
import { type Block, type Cable, cableWords, facetWords, type Jack, jackWords, type Panel } from './model.ts';

/** Text for HTML, in and between quotes: nothing in it can start a tag, an entity or end an attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A jack on the strip, and what hangs in it. */
interface Socket extends Jack {
  /** Not a port that was seen: where it is is not known. */
  readonly blind?: true;
  readonly x: number;
}

/** A cable with its place: its row, and the jack it starts from, where it has one. */
interface Run extends Cable {
  readonly row: number;
  readonly x?: number;
}

export interface Layout {
  /** Width of a jack. */
  readonly size: number;
  readonly sockets: readonly Socket[];
  readonly runs: readonly Run[];
  readonly width: number;
  readonly height: number;
}

/** Pixels: distance of jacks, or where there are many; height of a row; what is above the first row; a strip beside its rows. */
export const grid = { pitch: 18, dense: 13, many: 16, row: 22, top: 30, widest: 440 } as const;

/**
 * Places jacks and cables. A cable falls from its jack and turns to its network at the right; the further right the jack,
 * the higher its row, so that no two cables cross.
 */
export function layOut({ jacks = [], cables }: Pick<Panel, 'jacks' | 'cables'>): Layout {
  const known = new Set(jacks.map(({ at }) => at));
  const loose = cables.filter(({ to, is }) => (to === undefined || !known.has(to)) && is !== 'blocked');
  // The default network is plugged at the start, before all others.
  loose.sort((a, b) => Number(a.net !== undefined) - Number(b.net !== undefined));
  const blind = loose.map((_, index) => ({ at: -1 - index, is: 'used', blind: true }) as const);
  const all = [...jacks, ...blind];
  const pitch = all.length > grid.many ? grid.dense : grid.pitch;
  const size = pitch - 4;
  const sockets = all.map((jack, index) => ({ ...jack, x: 6 + index * pitch }));
  const xOf = new Map<number, number>(sockets.map(({ at, x }) => [at, x + size / 2]));
  const placed = cables.map((cable) => {
    const at = cable.to !== undefined && known.has(cable.to) ? cable.to : -1 - loose.indexOf(cable);
    return { cable, x: xOf.get(at) };
  });
  // Without a jack first: a blocked plug has nothing to fall from.
  const runs = placed
    .toSorted((a, b) => (b.x ?? 1e6) - (a.x ?? 1e6))
    .map(({ cable, x }, row): Run => ({ ...cable, row, ...(x === undefined ? {} : { x }) }));
  return {
    size,
    sockets,
    runs,
    width: 8 + Math.max(sockets.length, 1) * pitch,
    height: Math.max(grid.top, grid.top - 4 + runs.length * grid.row),
  };
}

/** What a jack is, in words: for its label. */
export function socketWords({ at, is, what, blind }: Jack & { readonly blind?: true }): string {
  if (blind) return 'a port that is not known';
  const address = `0000:${at.toString(16).padStart(2, '0')}:00.0`;
  const state =
    what === undefined || is === 'fixed' ? jackWords[is] : `${jackWords[is]}${is === 'taken' ? ' by' : ':'}`;
  return `port ${at} (${address}) ${state}${what === undefined ? '' : ` ${what}`}`;
}

function drawSocket(socket: Socket, size: number, tone: string): string {
  const { x, is, blind } = socket;
  const words = escapeHtml(socketWords(socket));
  const [across, arm] = [x + size / 2, size > 10 ? 3 : 2.5];
  const marks = {
    taken: `<path class="mark" d="M${across - arm} 13h${2 * arm}M${across} ${13 - arm}v${2 * arm}"/>`,
    freed: `<path class="mark" d="M${across - arm} 13h${2 * arm}"/>`,
    fixed: `<path class="mark" d="M${across - arm} ${13 - arm}l${2 * arm} ${2 * arm}m0-${2 * arm}l-${2 * arm} ${2 * arm}"/>`,
    used: `<rect class="core" x="${across - arm}" y="10" width="${2 * arm}" height="6" rx="1"/>`,
    free: '',
  };
  const hole = `<rect class="hole" x="${x}" y="6" width="${size}" height="14" rx="2.5"/>`;
  const kind = `jack ${blind ? 'blind' : is}${tone === '' ? '' : ` t-${tone}`}`;
  return `<g class="${kind}" role="listitem" tabindex="-1" aria-label="${words}"><title>${words}</title>${hole}${marks[is]}</g>`;
}

function drawCable(run: Run, width: number): string {
  const y = grid.top + run.row * grid.row + 7;
  const shape = `class="cable t-${run.is}"`;
  if (run.is === 'blocked') {
    const from = run.x === undefined ? width - 44 : run.x;
    const lead =
      run.x === undefined
        ? `M${from} ${y}H${width - 30}`
        : `M${from} 20V${y - 7}q0 7 7 7H${Math.max(from + 8, width - 30)}`;
    return `<path ${shape} d="${lead}M${width - 16} ${y}H${width}"/><path class="break t-blocked" d="M${width - 27} ${y - 4}l8 8m0-8l-8 8"/>`;
  }
  const x = run.x ?? width - 20;
  return `<path ${shape} d="M${x} 20V${y - 7}q0 7 7 7H${width - 5}"/><rect class="tip t-${run.is}" x="${width - 6}" y="${y - 3.5}" width="7" height="7" rx="1.5"/>`;
}

function drawStrip(panel: Panel, width: number): string {
  const { size, sockets, runs, height, width: end } = layOut(panel);
  if (runs.length === 0 && sockets.length === 0) return '';
  // What comes into a port tells more than what leaves it.
  const tones = new Map(runs.toReversed().map((run) => [run.x, run.is === 'foreign' ? 'stays' : run.is]));
  const jacks = sockets.map((socket) => drawSocket(socket, size, tones.get(socket.x + size / 2) ?? '')).join('');
  const cables = runs
    .map((run) => drawCable(run, width))
    .reverse()
    .join('');
  const label = escapeHtml(`PCIe ports of ${panel.name}${panel.ports === undefined ? '' : `: ${panel.ports}`}`);
  const strip = sockets.length === 0 ? '' : `<rect class="rail" x="2" y="2" width="${end}" height="22" rx="4"/>`;
  const list = sockets.length === 0 ? '' : `<g class="jacks" role="list" aria-label="${label}">${jacks}</g>`;
  return `<svg class="wires" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" preserveAspectRatio="xMinYMin slice" role="group" aria-label="${label}">${strip}<g aria-hidden="true">${cables}</g>${list}</svg>`;
}

function drawRow(run: Run, networks: readonly string[], ns: string): string {
  const { sign, word } = cableWords[run.is];
  const whole = run.net === undefined ? undefined : (networks[run.net] ?? '');
  const short = whole?.startsWith(`${ns}/`) ? whole.slice(ns.length + 1) : whole;
  const network =
    whole === undefined || short === undefined
      ? '<span class="net">default network</span>'
      : `<button type="button" class="net link" data-net="${run.net}" title="Show only ${escapeHtml(whole)}">${escapeHtml(short)}</button>`;
  const mac = run.mac === undefined ? '<span class="mac"></span>' : `<code class="mac">${escapeHtml(run.mac)}</code>`;
  const say = run.say === undefined ? '' : ` <span class="say">${escapeHtml(run.say)}</span>`;
  return `<li class="row t-${run.is}"><span class="state"><span class="sign" aria-hidden="true">${sign}</span>${word}</span><span class="nic" title="${escapeHtml(run.name)}">${escapeHtml(run.name)}</span>${network}${mac}${say}</li>`;
}

function drawBlock({ code, nic, text, remedy, paste, at }: Block): string {
  const whom = nic === undefined ? '' : `<b>${escapeHtml(nic)}</b> `;
  const way = remedy === undefined ? '' : `<span class="remedy">${escapeHtml(remedy)}</span>`;
  const fold =
    paste === undefined
      ? ''
      : `<details class="paste"><summary>To paste</summary><pre>${escapeHtml(paste)}</pre></details>`;
  const place = at === undefined ? '' : ` <code class="at">${escapeHtml(at)}</code>`;
  return `<li><span class="sign" aria-hidden="true">×</span><span>${whom}${escapeHtml(text)} <code>${escapeHtml(code)}</code>${place}${way}${fold}</span></li>`;
}

/** All of a panel but its head. `width` is that of the strips of the fleet, so that their networks stand in line. */
export function drawBody(panel: Panel, networks: readonly string[], width: number): string {
  const { runs } = layOut(panel);
  const rows = runs.map((run) => drawRow(run, networks, panel.ns)).join('');
  const parts = [drawStrip(panel, width)];
  const list = rows === '' ? '' : `<ul class="rows" aria-label="attachments">${rows}</ul>`;
  if (list !== '' || panel.ports !== undefined) {
    parts.push(`<div class="side"><p class="ports">${escapeHtml(panel.ports ?? '')}</p>${list}</div>`);
  }
  const { blocks = [], steps = [], notes = [] } = panel;
  const more: string[] = [];
  if (blocks.length > 0) more.push(`<ul class="blocks" aria-label="blockers">${blocks.map(drawBlock).join('')}</ul>`);
  if (steps.length > 0) {
    const list = steps.map(([sign, words]) => {
      const shown = sign === '-' ? '−' : sign;
      return `<li><span class="sign" aria-hidden="true">${escapeHtml(shown)}</span>${escapeHtml(words)}</li>`;
    });
    const title = steps.length === 1 ? '1 step' : `${steps.length} steps, in order`;
    more.push(`<details class="steps"><summary>${title}</summary><ol>${list.join('')}</ol></details>`);
  }
  if (notes.length > 0) {
    more.push(
      `<ul class="notes" aria-label="notes">${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('')}</ul>`,
    );
  }
  if (more.length > 0) parts.push(`<div class="more">${more.join('')}</div>`);
  return parts.join('');
}

/** The badge and the facts of a panel; the name is the heading, which stands from the start. */
export function drawHead({ is, run, at, since, kind }: Panel, calm: string): string {
  const badges = is.map((facet) => {
    const { sign, word, tone } = facetWords[facet];
    const shown = escapeHtml(facet === 'calm' ? calm.toLowerCase() : word);
    return `<li class="t-${tone}"><span class="sign" aria-hidden="true">${sign}</span>${shown}</li>`;
  });
  const facts = [
    [kind === 'pod' ? 'pod' : '', run ?? ''].filter((text) => text !== '').join(', '),
    since === undefined ? '' : `since ${since.slice(0, 16).replace('T', ' ')} UTC`,
  ].map((text) => (text === '' ? '' : `<p class="facts">${escapeHtml(text)}</p>`));
  const place = at === undefined ? '' : `<code class="at">${escapeHtml(at)}</code>`;
  return `<ul class="badges" aria-label="state">${badges.join('')}</ul>${facts.join('')}${place}`;
}

export const drawFunctions = [
  escapeHtml,
  layOut,
  socketWords,
  drawSocket,
  drawCable,
  drawStrip,
  drawRow,
  drawBlock,
  drawBody,
  drawHead,
] as const;
