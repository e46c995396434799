/** The names that patchpanel itself writes on objects of the cluster. */

/** On a VM: JSON list, sorted, of the attachments that patchpanel plugged and may therefore unplug. */
export const ownedAnnotation = 'patchpanel.dev/owned-attachments';

/** On a VM or pod that was changed: the desired state that declares it, see desired/source-mark.ts. */
export const sourceAnnotation = 'patchpanel.dev/source';

/** On a VM or pod: `true`, or a list of attachments with commas, which must not be taken away. */
export const protectAnnotation = 'patchpanel.dev/protect';

/** On a VM or pod: a person has it left alone; any value but `false`. */
export const suspendAnnotation = 'patchpanel.dev/suspend';

/** On a VM, value `acknowledged`: its owner knows that another tool writes the same lists. */
export const sharedOwnershipAnnotation = 'patchpanel.dev/shared-ownership';

/** On a VM whose change failed: JSON that says of what it is not tried again, and why. */
export const heldAnnotation = 'patchpanel.dev/held';

/** `fieldManager` of every write. */
export const fieldManager = 'patchpanel';

/** Label of objects that patchpanel made. */
export const managedBy = { 'app.kubernetes.io/managed-by': 'patchpanel' } as const;

/** On a VM or pod that was changed: the commit that was applied to it last, as `main@sha1:…`, and when. */
export const appliedCommitAnnotation = 'patchpanel.dev/applied-commit';
export const appliedAtAnnotation = 'patchpanel.dev/applied-at';
