/** Objects whose target is a pod: what they may say, and which pod interface each attachment gets. */
import type { PatchpanelError } from '../errors.ts';
import { fields, items } from '../systems/json-shape.ts';
import { podInterfaceName, primaryPodInterface } from '../systems/kubevirt-names.ts';
import { normaliseMac } from '../systems/mac.ts';
import type { ObjectName } from '../vocabulary.ts';
import { documentError } from './check-document.ts';
import type { DesiredElement, DesiredPods, PodQuery } from './model.ts';
import type { NetworkAttachmentsDocument } from './schema.ts';
import type { SourceDocument, ValuePath } from './yaml-documents.ts';

type Spec = NetworkAttachmentsDocument['spec'];
type Selector = NonNullable<NonNullable<Spec['target']>['selector']>;

const onlyVm = 'is only for a VirtualMachine';
const onlyPod = 'is only for a Pod; write target: {kind: Pod}';

/** Keys of an object or attachment that mean something only for one kind of target. */
export function foreignKeys(source: SourceDocument, spec: Spec): readonly PatchpanelError[] {
  const written = fields(fields(source.value).spec);
  const isPod = spec.target?.kind === 'Pod';
  const errors: PatchpanelError[] = [];
  const refuse = (path: ValuePath, why: string) => {
    errors.push(documentError(source, 'schema/invalid', ['spec', ...path], `spec.${path.join('.')} ${why}`));
  };
  for (const key of isPod ? ['pciePorts', 'restart'] : ['repair']) {
    if (written[key] !== undefined) refuse([key], isPod ? onlyVm : onlyPod);
  }
  for (const key of ['selector', 'domain']) {
    if (!isPod && fields(written.target)[key] !== undefined) refuse(['target', key], onlyPod);
  }
  if (spec.target?.selector !== undefined && spec.target.name !== undefined) {
    refuse(['target', 'selector'], 'and target.name exclude each other');
  }
  for (const [index, attachment] of items(written.attachments).map(fields).entries()) {
    for (const [key, why] of barredKeys(spec)) {
      if (attachment[key] !== undefined) refuse(['attachments', index, key], why);
    }
  }
  return errors;
}

/** Keys that an attachment must not have, each with the reason. */
function barredKeys({ target }: Spec): readonly (readonly [key: string, why: string])[] {
  if (target?.kind !== 'Pod') return ['interface', 'ips'].map((key) => [key, onlyPod]);
  const ofDomain = target.domain === undefined ? ['model', 'state'] : [];
  const noDomain = 'needs target.domain: a pod by itself has no such thing';
  return [['binding', onlyVm], ...ofDomain.map((key) => [key, noDomain] as const)];
}

/** The pods that an object is about, with every default filled in; faults are added to `errors`. */
export function podsOf(source: SourceDocument, spec: Spec, object: ObjectName, errors: PatchpanelError[]): DesiredPods {
  const { target } = spec;
  const { namespace } = object;
  const name = target?.name ?? object.name;
  const query: PodQuery =
    target?.selector === undefined ? { namespace, name } : { namespace, selector: labelSelector(target.selector) };
  const attachments = spec.attachments.map((attachment, index): DesiredElement => {
    const [first = '', second] = attachment.network.split('/');
    const { mac, ips, model } = attachment;
    return {
      name: attachment.name,
      network: second === undefined ? { namespace, name: first } : { namespace: first, name: second },
      interface: attachment.interface ?? defaultInterface(attachment.name, target?.domain !== undefined),
      ...(mac === undefined ? {} : { mac: normaliseMac(mac) }),
      ...(ips === undefined ? {} : { ips }),
      ...(model === undefined ? {} : { model }),
      state: attachment.state,
      position: source.locate(['spec', 'attachments', index], 'value'),
    };
  });
  checkInterfaces(source, spec, attachments, errors);
  return {
    query,
    name,
    ...(target?.selector === undefined ? {} : { selector: target.selector }),
    repair: spec.repair ?? false,
    ...(spec.suspend === true ? { suspended: true } : {}),
    ...(target?.domain === undefined ? {} : { domain: target.domain }),
    attachments,
    position: source.locate([], 'value'),
  };
}

function defaultInterface(attachment: string, hasDomain: boolean): string {
  return hasDomain ? podInterfaceName(attachment) : attachment;
}

/** The longest name of an interface in Linux. */
const longest = 15;
/** Names that the pod has by itself, or that Multus gives to elements without one. */
const reserved = new RegExp(`^(?:lo|${primaryPodInterface}|ovn-udn[0-9]+|net[0-9]+|\\.{1,2})$`);

function checkInterfaces(
  source: SourceDocument,
  spec: Spec,
  attachments: readonly DesiredElement[],
  errors: PatchpanelError[],
): void {
  const taken = new Map<string, string>();
  for (const [index, { name, interface: iface }] of attachments.entries()) {
    const given = spec.attachments[index]?.interface !== undefined;
    const path = ['spec', 'attachments', index, given ? 'interface' : 'name'];
    const refuse = (message: string) => {
      errors.push(documentError(source, 'desired/interface', path, `${message}; write interface`));
    };
    const other = taken.get(iface);
    if (iface.length > longest)
      refuse(`the name "${name}" is too long for an interface, which takes ${longest} characters`);
    // `net1` may be asked for, but not by chance.
    else if (reserved.test(iface) && !(given && /^net[0-9]+$/.test(iface)))
      refuse(`the interface "${iface}" of "${name}" is one that the pod has by itself, or that Multus gives`);
    else if (other !== undefined && other !== name) refuse(`"${other}" and "${name}" have one interface, ${iface}`);
    taken.set(iface, name);
  }
}

/** A selector as the API takes it in a list, with sorted parts, so that equal ones are equal. */
function labelSelector({ matchLabels = {}, matchExpressions = [] }: Selector): string {
  const parts = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values = [] } of matchExpressions) {
    const list = `(${values.toSorted().join(',')})`;
    const words = { In: `${key} in ${list}`, NotIn: `${key} notin ${list}`, Exists: key, DoesNotExist: `!${key}` };
    parts.push(words[operator]);
  }
  return [...new Set(parts)].sort().join(',');
}
