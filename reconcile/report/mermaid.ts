/** A small plan as a picture: VMs, networks, and the NICs between them, readable without colour. */
import type { Change } from '../change/model.ts';
import { splitPlan } from '../change/split.ts';
import type { Plan, PlanAction, TargetName, TargetPlan } from '../plan/model.ts';
import type { Json, ObjectName } from '../vocabulary.ts';

type CableState = 'stays' | 'plugged' | 'unplugged' | 'changed' | 'blocked';

interface Cable {
  readonly target: string;
  readonly attachment: string;
  readonly network: string;
  readonly state: CableState;
}

/** Beyond these a picture shows less than a table. */
const mostTargets = 10;
const mostCables = 40;

/** Each line differs in its shape and its words: thin stays, thick is plugged, dotted goes, crosses are blocked. */
const lines: Readonly<Record<CableState, readonly [open: string, close: string]>> = {
  stays: ['---', ''],
  plugged: ['== "', '" ==>'],
  unplugged: ['-. "', '" .->'],
  changed: ['-- "', '" -->'],
  blocked: ['x-- "', '" --x'],
};

/** A fenced Mermaid block, or nothing where the plan is empty or too large for one. */
export function planPicture({ targets }: Pick<Plan, 'targets'>): string {
  return picture(targets.flatMap(cablesOf));
}

/** The same of a change; what was due before is not in it. */
export function changePicture({ cluster, declared }: Change): string {
  if (cluster !== undefined) return planPicture({ targets: splitPlan(cluster).ofChange });
  const cables = declared.objects.flatMap(({ target, attachments, stays }) => [
    ...attachments.map(
      ({ name, network, change }): Cable => cable(target, name, networkLabel(network, target), change),
    ),
    ...stays.map(({ name, network }): Cable => cable(target, name, networkLabel(network, target), 'stays')),
  ]);
  return picture(cables);
}

function picture(cables: readonly Cable[]): string {
  const targets = [...new Set(cables.map(({ target }) => target))];
  const networks = [...new Set(cables.map(({ network }) => network))];
  const moves = cables.some(({ state }) => state !== 'stays');
  if (!moves || targets.length > mostTargets || cables.length > mostCables) return '';
  return [
    '```mermaid',
    'flowchart LR',
    ...targets.map((target, index) => `  t${index}["${label(target)}"]`),
    ...networks.map((network, index) => `  n${index}(["${label(network)}"])`),
    ...cables.map(({ target, attachment, network, state }) => {
      const [from, to] = [`t${targets.indexOf(target)}`, `n${networks.indexOf(network)}`];
      const [open, close] = lines[state];
      return state === 'stays'
        ? `  ${from} -- "${label(attachment)}" --- ${to}`
        : `  ${from} ${open}${label(`${state}: ${attachment}`)}${close} ${to}`;
    }),
    '```',
    '',
  ].join('\n');
}

/** Inside the quotes of a label nothing but letters, digits and plain marks is left as it is. */
function label(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 59)}…` : text;
  return [...short.toWellFormed()]
    .map((character) => (/[\p{L}\p{N} ./:_-]/u.test(character) ? character : `#${character.codePointAt(0)};`))
    .join('');
}

function cablesOf(target: TargetPlan): readonly Cable[] {
  const name = target.target;
  const put = new Map(target.actions.flatMap(plugged).map((each) => [each.name, each.network]));
  const gone = new Set(target.actions.flatMap(unplugged));
  const altered = new Set(target.actions.flatMap(changed));
  const held = (attachment: string): boolean =>
    target.blockers.some((each) => each.attachment === attachment) ||
    (target.blockers.some((each) => each.attachment === undefined) &&
      target.differences.some((each) => each.attachment === attachment && each.layer !== 'guest'));
  const declared = new Map((target.declared ?? []).map((each) => [each.name, each.network]));
  const known = knownNetworks(target);
  const all = new Set([
    ...declared.keys(),
    ...put.keys(),
    ...gone,
    ...altered,
    ...target.differences.map((each) => each.attachment),
  ]);
  return [...all].map((attachment) => {
    const network = put.get(attachment) ?? declared.get(attachment);
    const text = network === undefined ? known(attachment) : networkLabel(network, name);
    const state = put.has(attachment)
      ? 'plugged'
      : gone.has(attachment)
        ? 'unplugged'
        : held(attachment)
          ? 'blocked'
          : altered.has(attachment)
            ? 'changed'
            : 'stays';
    return cable(name, attachment, text, state);
  });
}

function plugged(action: PlanAction): readonly { readonly name: string; readonly network: ObjectName }[] {
  if (action.kind === 'plug') return action.attachments;
  if (action.kind === 'edit-template') return action.put;
  return action.kind === 'pod-plug' ? [action.element] : [];
}

function unplugged(action: PlanAction): readonly string[] {
  if (action.kind === 'unplug') return action.attachments;
  if (action.kind === 'edit-template') return action.remove;
  return action.kind === 'pod-unplug' ? action.elements.map(({ name }) => name) : [];
}

function changed(action: PlanAction): readonly string[] {
  if (action.kind === 'link' || action.kind === 'swap' || action.kind === 'follow') return [action.attachment];
  return action.kind === 'domain-link' || action.kind === 'pod-follow' ? [action.attachment] : [];
}

/** Networks of NICs that are no longer declared, as the plan read them. */
function knownNetworks(target: TargetPlan): (attachment: string) => string {
  const read = target.read.fields;
  const nics = field(field(read, 'vm'), 'nics');
  return (attachment) => {
    const network = field(field(nics, attachment), 'network');
    return typeof network === 'string' ? network.replace(`${target.target.namespace}/`, '') : 'network not known';
  };
}

function field(value: Json | undefined, name: string): Json | undefined {
  if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

function cable(
  target: TargetName | TargetPlan['target'],
  attachment: string,
  network: string,
  state: CableState,
): Cable {
  const kind = target.kind === 'Pod' ? 'pod ' : '';
  return { target: `${kind}${target.namespace}/${target.name}`, attachment, network, state };
}

function networkLabel(network: ObjectName, target: ObjectName): string {
  return network.namespace === target.namespace ? network.name : `${network.namespace}/${network.name}`;
}
