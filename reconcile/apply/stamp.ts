/** Which commit was applied to an object last, when, and of which repository: annotations in the same patch as the change. */

import type { SourceIdentity } from '../desired/model.ts';
import { isOfAnother } from '../desired/source-mark.ts';
import type { KubeObject, PatchOperation } from '../kube/cluster.ts';
import {
  appliedAtAnnotation,
  appliedCommitAnnotation,
  heldAnnotation,
  ownedAnnotation,
  sourceAnnotation,
} from '../systems/patchpanel.ts';

export interface Stamp {
  /** `main@sha1:…`, or the digest of a folder. */
  readonly commit: string;
  readonly at: Date;
  readonly source?: SourceIdentity;
  /** The object is declared no more: the mark goes with the last of the record. */
  readonly pruned?: boolean;
}

const annotationsPath = '/metadata/annotations';
export const heldPath = pathOf(heldAnnotation);

/** The mark of another repository that the object bears; another hand may have put it there since the plan was made. */
export function markOfAnother({ metadata }: KubeObject, { source, pruned = false }: Stamp): string | undefined {
  const mark = metadata.annotations?.[sourceAnnotation];
  // What is pruned must be ours for sure.
  if (pruned && mark !== source?.mark) return mark ?? 'nobody';
  return source !== undefined && isOfAnother(mark, source) ? mark : undefined;
}

/**
 * The patch with the annotations added, and without the mark that it was held: what is changed is tried. One that changes
 * nothing gets none.
 */
export function stamped(
  operations: readonly PatchOperation[],
  { metadata }: KubeObject,
  { commit, at, source, pruned = false }: Stamp,
): readonly PatchOperation[] {
  if (operations.length === 0) return operations;
  const mark = metadata.annotations?.[sourceAnnotation];
  const marks = {
    [appliedCommitAnnotation]: commit,
    // Whole seconds, as Kubernetes writes times.
    [appliedAtAnnotation]: `${at.toISOString().slice(0, 19)}Z`,
    ...(source?.mark === undefined || pruned || source.mark === mark ? {} : { [sourceAnnotation]: source.mark }),
  };
  const hasMap =
    metadata.annotations !== undefined || operations.some(({ op, path }) => op === 'add' && path === annotationsPath);
  if (!hasMap) {
    // `add` below a map that is missing is refused.
    return [
      ...operations,
      { op: 'test', path: annotationsPath, value: null },
      { op: 'add', path: annotationsPath, value: marks },
    ];
  }
  const isLast = pruned && operations.some(({ op, path }) => op === 'remove' && path === pathOf(ownedAnnotation));
  return [
    ...(mark === undefined ? [] : [{ op: 'test', path: pathOf(sourceAnnotation), value: mark } as const]),
    ...operations,
    ...Object.entries(marks).map(([key, value]): PatchOperation => ({ op: 'add', path: pathOf(key), value })),
    ...(metadata.annotations?.[heldAnnotation] === undefined || operations.some(({ path }) => path === heldPath)
      ? []
      : [{ op: 'remove', path: heldPath } as const]),
    ...(mark === undefined || !isLast ? [] : [{ op: 'remove', path: pathOf(sourceAnnotation) } as const]),
  ];
}

function pathOf(annotation: string): string {
  return `${annotationsPath}/${annotation.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** Takes the mark off a VM that is as declared by now. */
export function liftedHold({ metadata: { uid, annotations } }: KubeObject): readonly PatchOperation[] {
  if (annotations?.[heldAnnotation] === undefined) return [];
  const identity: PatchOperation[] = uid === undefined ? [] : [{ op: 'test', path: '/metadata/uid', value: uid }];
  return [...identity, { op: 'remove', path: heldPath }];
}
