/**
 * Edits of the `k8s.v1.cni.cncf.io/networks` annotation, element by element. Elements that an edit does not name keep
 * their place and their decoded keys and values for every parser, and where the value was JSON their bytes: text is
 * spliced, never written anew.
 */
import type { ObjectName } from '../vocabulary.ts';
import { scanJson } from './go-json-syntax.ts';
import {
  type NetworkSelectionElement,
  networksParsers,
  type ParsedNetworks,
  parseNetworks,
} from './multus-networks.ts';

/** The dynamic-networks controller's identity of an element: namespace and name of the NAD, and the interface. */
interface ElementKey extends ObjectName {
  readonly interface: string;
}

export type NetworksEdit =
  | {
      readonly kind: 'add';
      readonly element: ElementKey & { readonly mac?: string; readonly ips?: readonly string[] };
    }
  /** Those that are not there are passed over. */
  | { readonly kind: 'remove'; readonly elements: readonly ElementKey[] }
  /** Gives elements, by their position from 0 and their network, the interface that they lack. */
  | {
      readonly kind: 'repair';
      readonly elements: readonly {
        readonly index: number;
        readonly network: ObjectName;
        readonly interface: string;
      }[];
    }
  /** Other bytes, the same meaning: a controller that gave up looks again. */
  | { readonly kind: 'kick' };

export type EditedNetworks =
  /** `value` undefined: no element is left, so that the annotation is taken away. */
  { readonly ok: true; readonly value: string | undefined } | { readonly ok: false; readonly reason: string };

/** The part of an edit that changes which elements there are. */
type ElementEdit = Exclude<NetworksEdit, { kind: 'kick' }>;

/**
 * The value after the edit. Refused is a value that the dynamic-networks controller can't read, and an edit by which a
 * parser would read more or less than it says.
 * @param raw undefined where the pod has no such annotation
 */
export function editNetworks(raw: string | undefined, podNamespace: string, edit: NetworksEdit): EditedNetworks {
  const before = readElements(raw, podNamespace);
  if (!before.ok) return { ok: false, reason: before.error };
  if (edit.kind === 'kick') return kick(raw, podNamespace);
  const fault = editFault(edit, before.elements);
  if (fault !== undefined) return { ok: false, reason: fault };
  return spliced(raw, podNamespace, leftOf(edit, before.elements), before.elements);
}

/** Without what was done before. */
function leftOf(edit: ElementEdit, elements: readonly NetworkSelectionElement[]): ElementEdit {
  if (edit.kind !== 'repair') return edit;
  return { ...edit, elements: edit.elements.filter(({ index }) => elements[index]?.interface === undefined) };
}

function spliced(
  raw: string | undefined,
  podNamespace: string,
  edit: ElementEdit,
  elements: readonly NetworkSelectionElement[],
): EditedNetworks {
  const kept = elements.map((element) => !isRemoved(element, edit));
  const isDone = edit.kind === 'remove' ? !kept.includes(false) : edit.kind === 'repair' && edit.elements.length === 0;
  if (isDone) return { ok: true, value: raw };
  if (edit.kind !== 'add' && !kept.includes(true)) return { ok: true, value: undefined };
  const splices = isJson(raw ?? '') ? [spliceJson] : [spliceShort, spliceConverted];
  for (const splice of splices) {
    const value = splice(raw ?? '', elements, kept, edit);
    if (value !== undefined && keepsMeaning(raw, value, podNamespace, kept, edit)) return { ok: true, value };
  }
  return { ok: false, reason: 'the parsers would read other elements in the edited value' };
}

/** As the dynamic-networks controller reads the annotation of a pod, for which none and an empty one are alike. */
export function readElements(
  raw: string | undefined,
  podNamespace: string,
  parser: (typeof networksParsers)[number] = 'dynamic-controller',
): ParsedNetworks {
  return raw === undefined || raw === '' ? { ok: true, elements: [] } : parseNetworks(raw, podNamespace, parser);
}

function isJson(raw: string): boolean {
  return /[[{"]/.test(raw);
}

function editFault(edit: ElementEdit, elements: readonly NetworkSelectionElement[]): string | undefined {
  switch (edit.kind) {
    case 'add': {
      const { interface: wanted } = edit.element;
      const other = elements.find((element) => element.interface === wanted);
      return other && `an element for ${other.namespace}/${other.name} already has the interface "${wanted}"`;
    }
    case 'repair': {
      const unfit = edit.elements.find(({ index, network, interface: wanted }) => {
        const found = elements[index];
        return found === undefined || !isOf(found, network) || (found.interface ?? wanted) !== wanted;
      });
      return (
        unfit &&
        `element ${unfit.index + 1} is not that of ${unfit.network.namespace}/${unfit.network.name}, or has an interface`
      );
    }
    case 'remove':
      return undefined;
    default:
      return edit satisfies never;
  }
}

function isOf({ namespace, name }: NetworkSelectionElement, network: ObjectName): boolean {
  return namespace === network.namespace && name === network.name;
}

function isRemoved(element: NetworkSelectionElement, edit: ElementEdit): boolean {
  if (edit.kind !== 'remove') return false;
  return edit.elements.some(
    (key) =>
      key.namespace === element.namespace && key.name === element.name && key.interface === (element.interface ?? ''),
  );
}

function repairOf(edit: ElementEdit, index: number): string | undefined {
  return edit.kind === 'repair' ? edit.elements.find((item) => item.index === index)?.interface : undefined;
}

type Written = ObjectName & {
  readonly interface: string | undefined;
  readonly mac?: string;
  readonly ips?: readonly string[];
};

type Splice = (
  raw: string,
  elements: readonly NetworkSelectionElement[],
  kept: readonly boolean[],
  edit: ElementEdit,
) => string | undefined;

const spliceJson: Splice = (raw, _elements, kept, edit) => {
  const scanned = scanJson(raw);
  if (!scanned.ok || scanned.node.kind !== 'array') return undefined;
  const { node } = scanned;
  const { open, slots, close } = splitArray(raw);
  const left = slots.flatMap((slot, index) => {
    if (kept[index] === false) return [];
    const name = repairOf(edit, index);
    if (name === undefined) return [slot];
    const item = node.items[index];
    return [withInterface(slot, name, item?.kind === 'object' && item.entries.length > 0)];
  });
  const added = edit.kind === 'add' ? [written(edit.element)] : [];
  return `${open}${[...left, ...added].join(',')}${close}`;
};

/** The short form has no place for a new element's keys, but loses one, or gains an interface, as it stands. */
const spliceShort: Splice = (raw, _elements, kept, edit) => {
  if (edit.kind === 'add') return undefined;
  return raw
    .split(',')
    .flatMap((item, index) => {
      if (kept[index] === false) return [];
      const name = repairOf(edit, index);
      if (name === undefined) return [item];
      const head = item.trimEnd();
      return [`${head}${head.endsWith('@') ? '' : '@'}${name}${item.slice(head.length)}`];
    })
    .join(',');
};

const spliceConverted: Splice = (_raw, elements, kept, edit) => {
  const left = elements.flatMap((element, index) => {
    const name = repairOf(edit, index) ?? element.interface;
    return kept[index] === false ? [] : [written({ ...element, interface: name })];
  });
  return `[${[...left, ...(edit.kind === 'add' ? [written(edit.element)] : [])].join(',')}]`;
};

/** Compact, with the keys in the order of the Go structs; the short form has no others. */
function written({ name, namespace, ips, mac, interface: iface }: Written): string {
  return JSON.stringify({ name, namespace, ips, mac, interface: iface });
}

/** At the end, since the last of several equal keys wins. */
function withInterface(slot: string, name: string, hasKeys: boolean): string {
  const end = slot.lastIndexOf('}');
  const head = slot.slice(0, end).trimEnd();
  return `${head}${hasKeys ? ',' : ''}"interface":${JSON.stringify(name)}${slot.slice(head.length, end)}${slot.slice(end)}`;
}

/** A JSON array, known to be one, cut at its own brackets and commas: a slot is an element with the space around it. */
function splitArray(raw: string): { readonly open: string; readonly slots: readonly string[]; readonly close: string } {
  // Brackets within strings are none; a string keeps its length.
  const bare = raw.replaceAll(/"(?:[^"\\]|\\.)*"/gs, (literal) => '"'.repeat(literal.length));
  const first = bare.indexOf('[') + 1;
  const last = bare.lastIndexOf(']');
  const slots: string[] = [];
  let from = first;
  let depth = 0;
  for (let at = first; at < last; at += 1) {
    const character = bare.charAt(at);
    if (character === '[' || character === '{') depth += 1;
    else if (character === ']' || character === '}') depth -= 1;
    else if (character === ',' && depth === 0) {
      slots.push(raw.slice(from, at));
      from = at + 1;
    }
  }
  const rest = raw.slice(from, last);
  if (slots.length > 0 || rest.trim() !== '') slots.push(rest);
  return { open: raw.slice(0, first), slots, close: raw.slice(last) };
}

/** Whether each parser that could read the value reads the same in the new one, but for what the edit says. */
function keepsMeaning(
  raw: string | undefined,
  value: string,
  podNamespace: string,
  kept: readonly boolean[],
  edit: ElementEdit,
): boolean {
  const added = edit.kind === 'add' ? [JSON.parse(written(edit.element))] : [];
  return networksParsers.every((parser) => {
    const before = readElements(raw, podNamespace, parser);
    if (!before.ok) return parser !== 'dynamic-controller';
    const after = readElements(value, podNamespace, parser);
    const wanted = before.elements.flatMap((element, index) => {
      const name = repairOf(edit, index);
      if (kept[index] === false) return [];
      return [name === undefined ? element : { ...element, interface: name }];
    });
    return after.ok && canonical(after.elements) === canonical([...wanted, ...added]);
  });
}

/** Values within an element come from one text, so their keys are in one order; those of the element itself need not be. */
function canonical(elements: readonly object[]): string {
  return JSON.stringify(elements.map((element) => Object.entries(element).sort(([a], [b]) => (a < b ? -1 : 1))));
}

const nothingElse: ElementEdit = { kind: 'remove', elements: [] };

/** A trailing space more, or less. */
function kick(raw: string | undefined, podNamespace: string): EditedNetworks {
  if (raw === undefined || raw === '') return { ok: true, value: '[]' };
  const shorter = raw.endsWith(' ') ? raw.slice(0, -1) : raw;
  const same = shorter !== raw && keepsMeaning(raw, shorter, podNamespace, [], nothingElse);
  return { ok: true, value: same ? shorter : `${raw} ` };
}
