/** What a person keeps from being taken away, by an annotation on the VM or pod. */
import type { LiveTargetPod } from '../live/pod-model.ts';
import type { Protection } from '../live/protection.ts';
import { protectAnnotation } from '../systems/patchpanel.ts';
import type { Json } from '../vocabulary.ts';
import type { Blocker, Note } from './model.ts';
import { blocker, type VmContext } from './steps.ts';

/** A VM or pod, as far as protection goes. */
export interface Protected {
  readonly kind: 'vm' | 'pod';
  readonly namespace: string;
  readonly name: string;
  readonly protection?: Protection | undefined;
  /** Names that the annotation may list: those that are there, and those that are declared. */
  readonly known: ReadonlySet<string>;
}

/** Why this attachment must not be taken away; undefined where it may. */
export function protectedBlocker(object: Protected, attachment: string, what: string): Blocker | undefined {
  const { protection, kind, namespace, name } = object;
  if (protection === undefined) return undefined;
  const fault = protectionFault(object);
  if (fault === undefined && protection.kind === 'some' && !protection.names.includes(attachment)) return undefined;
  const why = fault === undefined ? '' : ` (${fault}, so all are)`;
  return blocker(
    'protected',
    attachment,
    `"${attachment}" of ${name} is protected by the annotation ${protectAnnotation}${why}: ${what}`,
    `Keep it in the repository as it is; or, if it may go, lift the protection with kubectl -n ${namespace} annotate ${kind} ${name} ${protectAnnotation}- and run again.`,
  );
}

/** A VM and the names that its annotation may list. */
export function protectedVm({ vm, diff }: Pick<VmContext, 'vm' | 'diff'>): Protected {
  const { namespace, name, protection } = vm;
  const nics = [...vm.nics, ...(vm.vmi?.nics ?? []), ...diff.attachments];
  return { kind: 'vm', namespace, name, protection, known: new Set([...nics.map((nic) => nic.name), ...vm.owned]) };
}

/** The same of a pod. */
export function protectedPod(
  { namespace, name, protection, owned }: LiveTargetPod,
  attachments: readonly { readonly name: string }[],
): Protected {
  const known = new Set([...attachments, ...owned].map((one) => one.name));
  return { kind: 'pod', namespace, name, protection, known };
}

/** A note where the annotation does not say what it seems to. */
export function protectionNotes(object: Protected): readonly Note[] {
  const fault = protectionFault(object);
  if (fault === undefined) return [];
  const message = `the annotation ${protectAnnotation} of ${object.name} is taken to protect all: ${fault}`;
  return [{ code: 'protect-malformed', message }];
}

/** A name that nobody knows may be one that was meant otherwise. */
function protectionFault({ protection, known }: Protected): string | undefined {
  if (protection?.kind === 'malformed') {
    return `${JSON.stringify(protection.text)} is neither true nor a list of names`;
  }
  const strange = protection?.kind === 'some' ? protection.names.filter((name) => !known.has(name)) : [];
  return strange.length === 0 ? undefined : `it names ${strange.join(', ')}, which is no NIC here`;
}

/** As a plan remembers it, to see whether it has moved. */
export function protectionField(protection: Protection): Json {
  return protection.kind === 'some' ? protection.names : protection.kind;
}
