/** What `patchpanel inspect` makes of its standard input: pure functions from text to what is printed. */
import { type ErrorCode, type ExitCode, exitCodes, PatchpanelError } from '../reconcile/errors.ts';
import { errorText } from '../reconcile/report/error-text.ts';
import { makeStyle, printable } from '../reconcile/report/style.ts';
import { type LiveDomain, parseDomain } from '../reconcile/systems/libvirt-domain.ts';
import { countPorts, type PortCount, portModels, portPool } from '../reconcile/systems/libvirt-ports.ts';
import {
  type NetworkSelectionElement,
  type NetworksParser,
  parseNetworks,
} from '../reconcile/systems/multus-networks.ts';
import {
  defaultInterface,
  dynamicControllerKeys,
  type NetworkStatus,
  parseNetworkStatus,
  statusWarnings,
} from '../reconcile/systems/multus-status.ts';
import { networksWarnings } from '../reconcile/systems/multus-warnings.ts';

export type InspectOutput = 'text' | 'json';

export interface Inspected {
  readonly stdout: string;
  readonly stderr?: string;
  readonly exitCode: ExitCode;
}

/** Ports of a domain, from the output of `virsh dumpxml`, as a NIC of that model finds them. */
export function inspectPorts(
  stdin: string,
  options: { readonly model?: string; readonly output: InspectOutput },
): Inspected {
  const model = options.model ?? 'virtio';
  if (!portModels.includes(model)) {
    const error = new PatchpanelError('cli/usage', `"${model}" is not a NIC model that is known here`, {
      remedy: `Use one of ${portModels.join(', ')}.`,
    });
    return failure(error, options.output);
  }
  try {
    const domain = parseDomain(stdin);
    const count = countPorts(domain, portPool(model));
    const warnings = portWarnings(domain);
    if (options.output === 'json') {
      return json({ ports: count.ports, free: count.free, ...(warnings.length > 0 ? { warnings } : {}) });
    }
    return { stdout: portsText(domain, count, model), ...stderrOf(warnings), exitCode: exitCodes.ok };
  } catch (error) {
    if (error instanceof PatchpanelError) return failure(error, options.output);
    throw error;
  }
}

/** Devices that have yet to be placed take ports that look free. */
function portWarnings({ nics, pciControllers }: LiveDomain): readonly string[] {
  const unplaced = nics.filter(({ address }) => address === undefined).length;
  if (unplaced === 0 || pciControllers.length === 0) return [];
  const subject = unplaced === 1 ? '1 NIC has' : `${unplaced} NICs have`;
  return [
    `${subject} no PCI address: this is not how a domain looks while it runs, and libvirt places devices at its start`,
  ];
}

/** Elements of a networks annotation as one parser reads them, with warnings. */
export function inspectNetworks(
  stdin: string,
  options: { readonly namespace: string; readonly parser?: NetworksParser; readonly output: InspectOutput },
): Inspected {
  const value = withoutNewline(stdin);
  const parser = options.parser ?? 'dynamic-controller';
  const parsed = parseNetworks(value, options.namespace, parser);
  const warnings = networksWarnings(value, options.namespace, parser);
  const sentences = warnings.map(({ message }) => message);
  if (!parsed.ok) {
    const code: ErrorCode = parsed.crash ? 'multus/annotation-crash' : 'multus/annotation';
    return failure(new PatchpanelError(code, parsed.error), options.output, warnings, sentences);
  }
  if (options.output === 'json') {
    return json({ elements: parsed.elements, ...(warnings.length > 0 ? { warnings } : {}) });
  }
  return { stdout: elementsText(parsed.elements), ...stderrOf(sentences), exitCode: exitCodes.ok };
}

/** Entries of a network-status annotation. */
export function inspectStatus(stdin: string, options: { readonly output: InspectOutput }): Inspected {
  const parsed = parseNetworkStatus(withoutNewline(stdin));
  if (!parsed.ok) return failure(new PatchpanelError('multus/status', parsed.error), options.output);
  const { entries } = parsed;
  const warnings = statusWarnings(entries);
  if (options.output === 'json') {
    return json({
      entries,
      defaultInterface: defaultInterface(entries) ?? null,
      dynamicControllerKeys: dynamicControllerKeys(entries),
      ...(warnings.length > 0 ? { warnings } : {}),
    });
  }
  return { stdout: statusText(entries), ...stderrOf(warnings), exitCode: exitCodes.ok };
}

/** A pipe ends in a newline that is no part of the value; one only, so that what was really there stays. */
function withoutNewline(stdin: string): string {
  return stdin.endsWith('\n') ? stdin.slice(0, -1) : stdin;
}

function json(value: object): Inspected {
  return { stdout: `${JSON.stringify(value, null, 2)}\n`, exitCode: exitCodes.ok };
}

function failure(
  error: PatchpanelError,
  output: InspectOutput,
  warnings: readonly object[] = [],
  sentences: readonly string[] = [],
): Inspected {
  const { code, message, exitCode } = error;
  if (output === 'json') {
    const body = { error: { code, message }, ...(warnings.length > 0 ? { warnings } : {}) };
    return { ...json(body), exitCode };
  }
  const text = errorText(error, makeStyle(false));
  return { stdout: '', stderr: `${text}${stderrOf(sentences).stderr ?? ''}`, exitCode };
}

function stderrOf(warnings: readonly string[]): { readonly stderr?: string } {
  if (warnings.length === 0) return {};
  return { stderr: warnings.map((warning) => `warning: ${printable(warning)}\n`).join('') };
}

// --- text

function portsText(domain: LiveDomain, count: PortCount, model: string): string {
  const machine = domain.machine === undefined ? '' : ` (${printable(domain.machine)})`;
  const head = `${printable(domain.name)}${machine}: ${portsSentence(domain, count, model)}\n`;
  if (count.ports.length === 0) return head;
  const bridged = count.pool === 'conventional';
  const rows = count.ports.map(({ index, bus, state, device }) => [
    ...(bridged ? [String(bus)] : []),
    String(index),
    stateWords[state],
    device ?? '',
  ]);
  return `${head}\n${table([bridged ? ['BRIDGE', 'SLOT', 'STATE', 'DEVICE'] : ['PORT', 'STATE', 'DEVICE'], ...rows])}`;
}

const stateWords = { free: 'free', used: 'used', 'not-hotpluggable': 'not hot-pluggable' } as const;

function portsSentence(domain: LiveDomain, count: PortCount, model: string): string {
  const { ports, free, pool } = count;
  switch (pool) {
    case 'none':
      return 'no PCI bus; NICs of this machine take no port.';
    case 'pcie':
      if (ports.length === 0)
        return 'no PCIe root ports; its devices sit on the root complex, where nothing can be plugged.';
      return `${free} of ${ports.length} PCIe ports free for ${model}.`;
    case 'conventional':
      if (ports.length > 0) return `${free} of ${ports.length} conventional PCI slots free for ${model}.`;
      return `no conventional PCI slots, which ${model} needs; a virtio NIC finds ${countPorts(domain).free} free PCIe ports.`;
    default:
      return pool satisfies never;
  }
}

const tableKeys = new Set(['name', 'namespace', 'interface', 'mac', 'ips']);

function elementsText(elements: readonly NetworkSelectionElement[]): string {
  if (elements.length === 0) {
    return 'No elements: a running pod loses every attachment but its default network.\n';
  }
  const rows = elements.map((element, index) => [
    String(index + 1),
    `${element.namespace}/${element.name}`,
    element.interface ?? '-',
    element.mac ?? '-',
    element.ips?.join(' ') || '-',
    otherKeys(element),
  ]);
  return table([['#', 'NETWORK', 'INTERFACE', 'MAC', 'IPS', 'OTHER'], ...rows]);
}

function otherKeys(element: NetworkSelectionElement): string {
  return Object.entries(element)
    .filter(([key]) => !tableKeys.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}

function statusText(entries: readonly NetworkStatus[]): string {
  if (entries.length === 0) return 'No entries.\n';
  const rows = entries.map((entry) => [
    entry.interface ?? '-',
    entry.name,
    entry.default === true ? 'default' : '',
    entry.mac ?? '-',
    entry.mtu === undefined ? '-' : String(entry.mtu),
    entry.ips?.join(' ') || '-',
    deviceOf(entry),
  ]);
  return table([['INTERFACE', 'NETWORK', 'DEFAULT', 'MAC', 'MTU', 'IPS', 'DEVICE'], ...rows]);
}

function deviceOf({ 'device-info': info }: NetworkStatus): string {
  const address = info?.pci?.['pci-address'] ?? info?.vdpa?.path ?? info?.['vhost-user']?.path ?? info?.memif?.path;
  return [info?.type, address].filter((part) => part !== undefined).join(' ');
}

/** Columns as wide as their widest cell; what was piped in can not move the cursor. */
function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = cells.reduce<number[]>(
    (sofar, row) => row.map((cell, at) => Math.max(cell.length, sofar[at] ?? 0)),
    [],
  );
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
