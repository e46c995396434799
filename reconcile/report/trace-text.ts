/** A trace for a terminal, and as JSON. */
import type { LayerTrace, NicTrace, Since, Trace } from '../trace/model.ts';
import { objectKey } from '../vocabulary.ts';
import { pasteLines } from './paste.ts';
import { portStrip } from './port-strip.ts';
import { printable, type Style } from './style.ts';
import { count, runStateWords, shortRevision } from './words.ts';

export function traceJson(trace: Trace): string {
  return `${JSON.stringify(trace, undefined, 2)}\n`;
}

/** The whole trace as text; ends with a newline. */
export function traceText(trace: Trace, style: Style): string {
  const lines = [...headLines(trace, style), ''];
  for (const nic of trace.nics) lines.push(...nicLines(nic, style));
  if (trace.nics.length > 0) lines.push('');
  if (trace.ports !== undefined) lines.push(portStrip(trace.ports, style));
  const said = new Set<string>();
  for (const blocker of trace.blockers) {
    const { code, message, remedy } = blocker;
    if (said.has(message)) continue; // As of a VM that is held: each of its actions is blocked by the same.
    said.add(message);
    lines.push(`${style.changed('next change blocked')} (${code}) ${printable(message)}`, `    ${printable(remedy)}`);
    lines.push(...pasteLines(blocker, '      '));
  }
  for (const gap of trace.gaps) lines.push(style.dim(`not seen  ${printable(gap)}`));
  lines.push(style.bold(summary(trace)));
  return `${lines.join('\n')}\n`;
}

function headLines(trace: Trace, style: Style): readonly string[] {
  const { target, node, pod, source, declared, cluster } = trace;
  const own = target.kind === 'Pod' ? 'annotation' : 'template';
  const place = node === undefined ? '' : ` on ${node}`;
  const held =
    source === undefined
      ? `held against its own ${own}; give a desired state to compare it with that`
      : declared === true
        ? `held against ${shortRevision(source)}`
        : `${shortRevision(source)} does not declare it, so it is held against its own ${own}`;
  return [
    `${target.kind === 'Pod' ? 'pod ' : ''}${style.bold(objectKey(target))}  ${runStateWords[trace.runState]}${place}${pod === undefined ? '' : style.dim(`  pod ${pod}`)}`,
    style.dim(
      `${cluster.server}  KubeVirt ${cluster.kubevirtVersion ?? 'of unknown version'}, plugs ${cluster.delivery === 'in-place' ? 'in place' : 'by migration'}`,
    ),
    style.dim(held),
  ];
}

const roleWords = {
  declared: '',
  present: '',
  owned: 'no longer declared',
  unmanaged: 'unmanaged',
  foreign: 'not of a kind that is declared',
  default: 'default network, off limits',
} as const;

function nicLines(nic: NicTrace, style: Style): readonly string[] {
  const { name, role, network, position, podInterface, lag } = nic;
  const parts = [
    style.bold(name),
    ...(network === undefined ? [] : [printable(objectKey(network))]),
    ...(podInterface === undefined ? [] : [style.dim(podInterface)]),
    ...(roleWords[role] === '' ? [] : [style.dim(`(${roleWords[role]})`)]),
    ...(position === undefined ? [] : [style.dim(printable(`${position.file}:${position.line}`))]),
  ];
  const head = parts.join('  ');
  if (lag === undefined) {
    const seen = nic.layers.filter(({ verdict }) => verdict === 'agrees').map(({ layer }) => layer);
    return [`${style.good('ok')}    ${head}  ${seen.join(' ')}`];
  }
  return [
    `${style.bad('lags')}  ${head}`,
    ...nic.layers.map((layer) => layerLine(layer, layer.layer === lag.layer, style)),
    `      since   ${sinceWords(lag.since)}`,
    `      cause   (${lag.cause}) ${printable(lag.summary)}`,
    ...lag.reasons.map(({ text, at }) => `      said    ${at === undefined ? '' : `${at} `}${printable(text)}`),
    `      remedy  ${printable(lag.remedy)}`,
  ];
}

const verdictWords = { agrees: 'ok', lags: 'lags', waits: 'waits', unread: '-' } as const;

function layerLine({ layer, verdict, seen }: LayerTrace, isFirst: boolean, style: Style): string {
  const paint = isFirst ? style.bad : verdict === 'agrees' ? style.good : style.dim;
  return `      ${layer.padEnd(7)} ${paint(verdictWords[verdict].padEnd(6))}${printable(seen)}${isFirst ? style.bad('  <- here') : ''}`;
}

function sinceWords(since: Since | undefined): string {
  if (since === undefined) return 'nothing in the cluster tells';
  return `${since.at}${since.orEarlier ? ' or earlier' : ''} (${printable(since.by)})`;
}

function summary({ nics, agrees, gaps }: Trace): string {
  const lagging = nics.filter(({ lag }) => lag !== undefined);
  if (agrees) return gaps.length === 0 ? 'Every layer agrees.' : 'Every layer that could be read agrees.';
  const first = lagging.map(({ name, lag }) => `${name} at ${lag?.layer}`).join(', ');
  return `${count(lagging.length, 'NIC')} ${lagging.length === 1 ? 'lags' : 'lag'}: ${printable(first)}.`;
}
