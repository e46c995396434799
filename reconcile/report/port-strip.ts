/** The PCIe ports of one VM as a strip of jacks, so that a plan shows where its NICs will sit. */
import type { PlanPortCount, PlanPorts } from '../plan/model.ts';
import type { Style } from './style.ts';

/** One character a port; the legend under a plan explains them. */
const jacks = { used: '#', freed: '-', taken: '+', free: '.', 'not-hotpluggable': 'x' } as const;

export const portLegend = 'ports: # used  + to be used  - to be freed  . free  x not hot-pluggable';

/** `ports [##+..] 2 used, 1 to be used, 2 free`. */
export function portStrip(ports: PlanPorts, style: Style): string {
  if (ports.strip === undefined) {
    const range = ports.free === ports.freeAtMost ? `${ports.free}` : `${ports.free} to ${ports.freeAtMost}`;
    const parts = [`${range} free (forecast by KubeVirt's rules, the domain XML was not read)`];
    if (ports.freed > 0) parts.push(`${ports.freed} freed`);
    if (ports.needed > 0) parts.push(`${ports.needed} needed`);
    return `ports ${parts.join(', ')}`;
  }
  const strip = ports.strip
    .map(({ state }) => {
      const jack = jacks[state];
      if (state === 'taken') return style.added(jack);
      return state === 'freed' ? style.removed(jack) : jack;
    })
    .join('');
  const parts: string[] = [];
  for (const [state, words] of [
    ['used', 'used'],
    ['freed', 'freed'],
    ['taken', 'to be used'],
    ['free', 'free'],
    ['not-hotpluggable', 'not hot-pluggable'],
  ] as const) {
    const number = ports.strip.filter((port) => port.state === state).length;
    if (number > 0) parts.push(`${number} ${words}`);
  }
  return `ports [${strip}] ${parts.join(', ')}`;
}

/** So many devices that move are named; a fleet of disks is counted. */
const movesShown = 12;

/** `port count 24 declared, 8 now, 25 after a restart (forecast)`, and a line for the devices that then move. */
export function portCountLines({ declared, basis, now, afterRestart, moves }: PlanPortCount): readonly string[] {
  const today = basis === 'forecast' ? `${now} now (forecast)` : `${now} now`;
  const lines = [`port count ${declared} declared, ${today}, ${afterRestart} after the next start (forecast)`];
  if (moves.length > 0) {
    const shown = moves.slice(0, movesShown).map(({ device, from, to }) => `${device} ${from} -> ${to}`);
    const more = moves.length > movesShown ? `, and ${moves.length - movesShown} more` : '';
    lines.push(`PCI bus after the next start (forecast): ${shown.join(', ')}${more}`);
  }
  return lines;
}
